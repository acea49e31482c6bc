/** A server in a worker, seen from its host. */
import { assert, describe, it } from "@effect/vitest"
import type * as Remote from "@socketserver/core/Remote"
import { PolicyFailed } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { engineOf } from "../src/internal/face.ts"
import { hosted } from "../src/internal/hosted.ts"
import { turns } from "./support/scripted.ts"
import { Lines } from "./support/serving.ts"

describe("the end of a server in a worker", () => {
  it.effect.each(["asked", "failed"] as const)("says why: it was %s", (why) =>
    Effect.gen(function* () {
      let taker: Remote.Taker | undefined
      const open = (it: Remote.Taker) => void (taker = it)
      const host = { service: Lines.key, address: "memory:lines", open } as Remote.Host
      const { stop } = engineOf(yield* hosted(Lines, {}, host))
      const stopping = yield* Effect.forkScoped(taker!.stopping)
      yield* turns
      assert.isUndefined(stopping.pollUnsafe())
      if (why === "asked") yield* Effect.forkScoped(stop.shutdown)
      else stop.fail(new PolicyFailed({ policy: "thread", cause: new Error("bug") }))
      assert.strictEqual(yield* Fiber.join(stopping), why)
    }).pipe(Effect.scoped)
  )
})
