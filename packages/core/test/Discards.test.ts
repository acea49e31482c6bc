/** What peers send behind their last answer: it is read and thrown away, and so much in a moment of all of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

const mebibyte = "x".repeat(1_048_576)

/** Peers who are leaving, all that was for them has left: who was answered for the last time, and who was turned away. */
const leaving = {
  "of lines": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Lines.serve(() => Effect.succeed(Response.andClose(Response.make("bye"))))
    yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Lines, {}, listen)))
    return { accept, begin: "quit\n" }
  }),
  "of a whole connection": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Talk.serve(({ body }) =>
      Effect.as(Effect.ignore(Effect.andThen(body.take, body.write("bye"))), Response.empty)
    )
    yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Talk, {}, listen)))
    return { accept, begin: "quit\n" }
  }),
  "who was turned away": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Lines.serve(({ body }) => Effect.succeed(Response.make(body)), {
      onTurnedAway: () => Response.make("bye")
    })
    const context = yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Lines, {}, listen)))
    yield* Context.get(context, Lines).control.suspend
    return { accept, begin: "" }
  })
}

describe("what is sent behind the last answer", () => {
  it.effect.each(Object.keys(leaving) as Array<keyof typeof leaving>)(
    "is read no faster than so much in a moment: %s",
    (kind) =>
      Effect.gen(function* () {
        const { accept, begin } = yield* leaving[kind]
        const [one, other] = [new Scripted(), new Scripted()]
        for (const wire of [one, other]) {
          accept(wire)
          yield* turns
          if (begin !== "") wire.data(begin)
          yield* turns
          assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
          wire.finish()
        }
        for (let i = 0; i < 4; i++) for (const wire of [one, other]) wire.data(mebibyte)
        assert.deepStrictEqual([one.paused, other.paused], [false, false])
        one.data("x")
        assert.deepStrictEqual([one.paused, other.paused], [true, false])
        yield* TestClock.adjust("249 millis")
        other.data("x")
        assert.deepStrictEqual([one.paused, other.paused], [true, true])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual([one.paused, other.paused], [false, false])
        // It is a moment again, and lasts as long as who leaves may take.
        for (let i = 0; i < 8; i++) one.data(mebibyte)
        assert.isFalse(one.paused)
        one.data("x")
        assert.isTrue(one.paused)
        yield* TestClock.adjust("750 millis")
        assert.deepStrictEqual([one.asked(), other.asked()], [["destroy"], ["destroy"]])
      }).pipe(Effect.scoped)
  )
})
