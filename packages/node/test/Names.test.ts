/** Clients whose name server never answers. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { createRequire, syncBuiltinESMExports } from "node:module"

const dns = createRequire(import.meta.url)("node:dns") as { lookup: unknown }

/** Nobody answers, for as long as the scope is open. */
const silence = Effect.acquireRelease(
  Effect.sync(() => {
    const { lookup } = dns
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    dns.lookup = () => resolve()
    syncBuiltinESMExports()
    return { asked, lookup }
  }),
  ({ lookup }) =>
    Effect.sync(() => {
      dns.lookup = lookup
      syncBuiltinESMExports()
    })
)

describe("a client whose host's name nobody knows or denies", () => {
  it.effect.each(["tcp", "udp"])("gives up after ten seconds, over %s", (kind) =>
    Effect.gen(function* () {
      const { asked } = yield* silence
      const connecting = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(NodeClient.wire(`${kind}://nobody.invalid:9`))),
        { startImmediately: true }
      )
      yield* Effect.promise(() => asked)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(connecting)
      assert.strictEqual((error as { readonly kind?: string }).kind, "TimedOut")
    }).pipe(Effect.scoped)
  )
})
