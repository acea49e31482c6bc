/** Whose turn it is where several messages come at once, and whoever gets one acts at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import * as Protocol from "@socketserver/core/Protocol"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Scripted, turns } from "./support/scripted.ts"

const connected = Effect.gen(function* () {
  const wire = new Scripted()
  return { wire, client: yield* Client.make(wire, Protocol.lines()) }
})

const starting = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(effect, { startImmediately: true })

describe("whoever is answered", () => {
  it.effect.each(["send", "take", "stream"] as const)(
    "and reads on at once by %s does not get what others wait for",
    (how) =>
      Effect.gen(function* () {
        const { client, wire } = yield* connected
        const { send, stream, take } = client
        const again = {
          send: send("again"),
          take,
          stream: Effect.map(Stream.runCollect(Stream.take(stream, 1)), ([line]) => line)
        }
        const first = yield* starting(Effect.all([send("1"), again[how]]))
        const second = yield* starting(send("2"))
        yield* turns
        wire.data("a\nb\nc\n")
        assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [["a", "c"], "b"])
      }).pipe(Effect.scoped)
  )

  it.effect("and closes at once takes no answer from others, and leaves nobody waiting", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* connected
      const { close, send } = client
      const first = yield* starting(Effect.tap(send("1"), () => close))
      const others = yield* Effect.forEach(["2", "3", "4"], (line) => starting(send(line)))
      yield* turns
      wire.data("a\nb\n")
      const exits = yield* Effect.forEach([first, ...others], (fiber) => Fiber.await(fiber))
      const said = exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : "failed"))
      assert.deepStrictEqual(said, ["a", "b", "failed", "failed"])
    }).pipe(Effect.scoped)
  )
})
