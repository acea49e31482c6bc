/** What peers send behind the last request that counts: it is read and thrown away, and so much in a moment of all of them. */
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
class Short extends Server.Service<Short>()("Short", { protocol: Protocol.lines({ maxFrameBytes: 4 }) }) {}
class ShortTalk extends Server.Service<ShortTalk>()("ShortTalk", {
  protocol: Protocol.connection(Protocol.lines({ maxFrameBytes: 4 }))
}) {}

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

/** Peers of whom nothing more counts, while what they have asked for is still answered. */
const waiting = {
  "a server that stops": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Lines.serve(() => Effect.never)
    const context = yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Lines, {}, listen)))
    return { accept, begin: "ask\n", next: Effect.forkScoped(Context.get(context, Lines).shutdown) }
  }),
  "a server that stops, of a whole connection": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Talk.serve(({ body }) => Effect.andThen(Effect.ignore(body.take), Effect.never))
    const context = yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Talk, {}, listen)))
    return { accept, begin: "ask\n", next: Effect.forkScoped(Context.get(context, Talk).shutdown) }
  }),
  "what cannot be decoded, of a whole connection": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = ShortTalk.serve(({ body }) => Effect.andThen(Effect.ignore(body.take), Effect.never))
    yield* Layer.build(Layer.provideMerge(handler, Transport.layer(ShortTalk, {}, listen)))
    return { accept, begin: "too long\n", next: Effect.void }
  }),
  "what cannot be decoded": Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler = Short.serve(() => Effect.never)
    yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Short, {}, listen)))
    return { accept, begin: "ask\ntoo long\n", next: Effect.void }
  })
}

describe("what is sent behind the last request that counts", () => {
  it.effect.each(Object.keys(waiting) as Array<keyof typeof waiting>)(
    "is read no faster than so much in a moment, while one is answered: %s",
    (kind) =>
      Effect.gen(function* () {
        const { accept, begin, next } = yield* waiting[kind]
        const wire = new Scripted()
        accept(wire)
        wire.data(begin)
        yield* turns
        yield* next
        yield* turns
        assert.deepStrictEqual(wire.asked(), [])
        wire.resume()
        for (let i = 0; i < 8; i++) wire.data(mebibyte)
        assert.isFalse(wire.paused)
        wire.data("x")
        assert.isTrue(wire.paused)
        yield* TestClock.adjust("250 millis")
        assert.isFalse(wire.paused)
        wire.gone()
      }).pipe(Effect.scoped)
  )

  it.effect("is not read on after a moment of who reads nothing", () =>
    Effect.gen(function* () {
      const { accept, listen } = listener()
      const handler = Lines.serve(() => Effect.never)
      const context = yield* Layer.build(Layer.provideMerge(handler, Transport.layer(Lines, {}, listen)))
      const server = Context.get(context, Lines)
      const wire = new Scripted()
      accept(wire)
      wire.data("ask\n")
      yield* turns
      yield* Effect.forkScoped(server.shutdown)
      yield* turns
      wire.accepts = false
      const [connection] = yield* server.connections
      yield* connection!.push("pushed")
      yield* turns
      for (let i = 0; i < 9; i++) wire.data(mebibyte)
      assert.isTrue(wire.paused)
      yield* TestClock.adjust("250 millis")
      assert.isTrue(wire.paused)
      wire.accepts = true
      wire.drain()
      yield* turns
      assert.isFalse(wire.paused)
      wire.gone()
    }).pipe(Effect.scoped)
  )
})
