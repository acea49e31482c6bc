/** Where replies have ids, a request whose connection closes with it takes nobody else's reply away. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

class Ids extends Server.Service<Ids>()("Ids", {
  protocol: Protocol.correlated(Protocol.lines(), { id: (line) => line }),
  key: ({ body }) => body
}) {}

const bytes = (text: string) => new TextEncoder().encode(text)

const closing: Record<string, () => Effect.Effect<Response.Response<string>>> = {
  dies: () => Effect.die("a defect"),
  "cannot be encoded": () => Effect.succeed(Response.make("a\nb")),
  "closes its connection": () => Effect.succeed(Response.andClose(Response.empty)),
  "dies once it has yielded": () => Effect.andThen(Effect.yieldNow, Effect.die("a defect"))
}

/** A connection with "slow", which takes a second, "never", and "last", which ends the connection. */
const connected = (last: (typeof closing)[string], policy: Policy.Policy) =>
  Effect.gen(function* () {
    const [, logging] = logs()
    const handler = ({ body }: { readonly body: string }) =>
      body === "last"
        ? last()
        : body === "never"
          ? Effect.never
          : Effect.as(Effect.sleep("1 second"), Response.make(body))
    const context = yield* Layer.build(
      Layer.provide(
        Layer.provideMerge(Ids.serve(handler, { policy }), MemoryServer.layer(Ids, { drainTimeout: "10 seconds" })),
        logging
      )
    )
    return yield* Effect.gen(function* () {
      const server = yield* Ids
      const outcomes: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, ({ outcome, request }) =>
          Effect.sync(() => outcomes.push(`${request?.body as string} ${nameOf(outcome)}`))
        ),
        { startImmediately: true }
      )
      const client = yield* Ids.rawClient
      let read = ""
      const reading = yield* Effect.forkScoped(
        Effect.ignore(
          Stream.runForEach(client.stream, (chunk) => Effect.sync(() => (read += new TextDecoder().decode(chunk))))
        ),
        { startImmediately: true }
      )
      return {
        server,
        client,
        outcomes,
        read: () => read,
        hasEnded: () => reading.pollUnsafe() !== undefined,
        ended: Fiber.await(reading)
      }
    }).pipe(Effect.provideContext(context))
  })

const nameOf = (outcome: Outcome.Outcome): string =>
  outcome._tag === "Cancelled" ? `Cancelled ${outcome.reason}` : outcome._tag

// Under the others one at a time is in flight on a connection.
for (const policy of [Policy.fiber(), Policy.keyed()]) {
  describe(`under ${policy.name} a request that has an id`, () => {
    for (const [what, last] of Object.entries(closing)) {
      it.effect(`and ${what} leaves those in flight their replies`, () =>
        Effect.gen(function* () {
          const { client, ended, hasEnded, outcomes, read } = yield* connected(last, policy)
          yield* client.write(bytes("before\nlast\nbehind\n"))
          yield* turns
          yield* Effect.ignore(client.write(bytes("too late\n")))
          yield* turns
          assert.isFalse(hasEnded())
          yield* TestClock.adjust("1 second")
          yield* ended
          assert.deepStrictEqual(read().split("\n").sort(), ["", "before", "behind"])
          assert.sameMembers(
            outcomes.filter((outcome) => !outcome.startsWith("last")),
            ["before Completed", "behind Completed"]
          )
        })
      )
    }

    it.effect("and dies ends its connection at once where nothing else is in flight", () =>
      Effect.gen(function* () {
        const { client, ended } = yield* connected(closing["dies"]!, policy)
        yield* client.write(bytes("last\n"))
        yield* ended
      })
    )

    it.effect("and dies waits for one that has no end as long as a stop", () =>
      Effect.gen(function* () {
        const { client, ended, hasEnded, outcomes } = yield* connected(closing["dies"]!, policy)
        yield* client.write(bytes("never\nlast\n"))
        yield* turns
        yield* TestClock.adjust("9999 millis")
        assert.isFalse(hasEnded())
        yield* TestClock.adjust("1 millis")
        yield* ended
        assert.deepStrictEqual(outcomes, ["last Failed", "never Cancelled ConnectionClosed"])
      })
    )

    it.effect("and dies leaves the others theirs where the peer has half-closed", () =>
      Effect.gen(function* () {
        const { client, ended, read } = yield* connected(closing["dies"]!, policy)
        yield* client.write(bytes("before\nlast\n"))
        yield* client.end
        yield* turns
        yield* TestClock.adjust("1 second")
        yield* ended
        assert.strictEqual(read(), "before\n")
      })
    )

    it.effect("and dies keeps a stop no longer than it lasts", () =>
      Effect.gen(function* () {
        const { client, ended, server } = yield* connected(closing["dies"]!, policy)
        yield* client.write(bytes("never\nbefore\nlast\n"))
        yield* turns
        const stopping = yield* Effect.forkScoped(server.shutdown)
        yield* turns
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(stopping)).completed, 1)
        yield* ended
      })
    )
  })
}
