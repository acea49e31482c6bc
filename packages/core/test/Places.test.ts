/** Places of a policy, and replies that nobody reads. */
import { assert, describe, it } from "@effect/vitest"
import { Policy, Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", {
  protocol: Protocol.lines(),
  key: (request) => request.body.split(" ", 1)[0]
}) {}

let begun: Array<string> = []

/** `KEY stream`, `KEY push`, `KEY wait MILLIS`, `KEY die`, or an echo. */
const handler: Server.HandlerOf<typeof Lines> = ({ body, connection }) => {
  begun.push(body)
  const [, what, millis] = body.split(" ")
  switch (what) {
    case "stream":
      return Effect.succeed(Response.stream(Stream.forever(Stream.succeed("x".repeat(1_000)))))
    case "few":
      return Effect.succeed(Response.stream(Stream.make("1", "2")))
    case "push":
      return Effect.as(Effect.ignore(connection.push("pushed")), Response.make("done"))
    case "wait":
      return Effect.as(Effect.sleep(Number(millis)), Response.make(body))
    case "die":
      return Effect.andThen(Effect.sleep(1_000), Effect.die(new Error("told to")))
    default:
      return Effect.succeed(Response.make(body))
  }
}

/** A server whose peers are wires that the test holds. */
const serving = <A, E, R>(
  policy: Policy.Policy,
  test: (connect: () => Effect.Effect<Scripted>) => Effect.Effect<A, E, R>
) => {
  begun = []
  const { accept, listen } = listener()
  const wires: Array<Scripted> = []
  const connect = () =>
    Effect.gen(function* () {
      const wire = new Scripted()
      wires.push(wire)
      accept(wire)
      yield* turns
      return wire
    })
  return test(connect).pipe(
    // A stop would wait for them, for a second.
    Effect.ensuring(Effect.sync(() => wires.forEach((wire) => wire.gone()))),
    Effect.provide(Layer.provideMerge(Lines.serve(handler, { policy }), Transport.layer(Lines, {}, listen)))
  )
}

const unread = (wire: Scripted) => {
  wire.accepts = false
  wire.bytesUnsent = 1_000_000
}

const asks = (wire: Scripted, text: string) =>
  Effect.suspend(() => {
    wire.data(text)
    return turns
  })

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), turns)

const counts = Effect.flatMap(Lines, (server) => server.counts)

const overlapping = [Policy.fiber({ max: 1 }), Policy.connection({ max: 1 }), Policy.keyed({ max: 1 })]

describe("a reply that nobody reads", () => {
  for (const policy of overlapping) {
    for (const what of ["stream", "push"]) {
      it.effect(`keeps no place from others (${policy.name}, ${what})`, () =>
        serving(policy, (connect) =>
          Effect.gen(function* () {
            const a = yield* connect()
            const b = yield* connect()
            unread(a)
            yield* asks(a, `a ${what}\n`)
            yield* asks(b, "b hello\n")
            assert.deepStrictEqual(b.asked(), ["write b hello"])
            // There is still one place, and not more.
            const c = yield* connect()
            yield* asks(b, "b wait 1000\n")
            yield* asks(c, "c wait 1000\n")
            yield* pass(1_000)
            assert.deepStrictEqual([b.asked(), c.asked()], [["write b wait 1000"], []])
            yield* pass(1_000)
            assert.deepStrictEqual(c.asked(), ["write c wait 1000"])
          })
        )
      )
    }

    it.effect(`gives the place back once, however often it waits (${policy.name})`, () =>
      serving(policy, (connect) =>
        Effect.gen(function* () {
          const a = yield* connect()
          const b = yield* connect()
          const c = yield* connect()
          unread(a)
          yield* asks(a, "a stream\n")
          for (let i = 0; i < 3; i++) {
            a.drain()
            yield* turns
          }
          a.gone()
          yield* turns
          yield* asks(b, "b wait 1000\n")
          yield* asks(c, "c wait 1000\n")
          assert.deepStrictEqual(begun, ["a stream", "b wait 1000"])
          yield* pass(1_000)
          yield* pass(1_000)
          assert.deepStrictEqual([b.asked(), c.asked()], [["write b wait 1000"], ["write c wait 1000"]])
        })
      )
    )
  }

  it.effect("lets no further request of its connection begin, until it is read", () =>
    serving(Policy.fiber(), (connect) =>
      Effect.gen(function* () {
        const a = yield* connect()
        unread(a)
        yield* asks(a, "a stream\n" + "a hello\n".repeat(127))
        assert.deepStrictEqual(begun, ["a stream"])
        const b = yield* connect()
        yield* asks(b, "b few\nb few\nb hello\n")
        assert.deepStrictEqual(begun, ["a stream", "b few", "b few", "b hello"])
      })
    )
  )
})

describe("a place for one at a time", () => {
  for (const { name, policy } of [
    { name: "sequential", policy: Policy.sequential },
    { name: "a key", policy: Policy.keyed() },
    { name: "a policy of one's own", policy: { ...Policy.fiber({ max: 1 }), drain: Policy.sequential.drain } }
  ]) {
    it.effect(`is held for the place timeout by who does not read, where others wait (${name})`, () =>
      serving(policy, (connect) =>
        Effect.gen(function* () {
          const a = yield* connect()
          const b = yield* connect()
          unread(a)
          yield* asks(a, "k stream\n")
          yield* asks(b, "k hello\n")
          yield* pass(9_999)
          assert.deepStrictEqual([b.asked(), (yield* counts).Cancelled], [[], 0])
          yield* pass(1)
          assert.deepStrictEqual([b.asked(), (yield* counts).Cancelled], [["write k hello"], 1])
          assert.strictEqual(a.asked().at(-1), "reset")
        })
      )
    )

    it.effect(`is held as long as who does not read likes, where nobody waits (${name})`, () =>
      serving(policy, (connect) =>
        Effect.gen(function* () {
          const a = yield* connect()
          unread(a)
          yield* asks(a, "k stream\nk hello\n")
          yield* pass(59_000)
          assert.notInclude(a.asked(), "reset")
          const b = yield* connect()
          yield* asks(b, "k hello\n")
          yield* pass(10_000)
          assert.deepStrictEqual(b.asked(), ["write k hello"])
        })
      )
    )

    it.effect(`is held for six place timeouts by who reads a little, where others wait (${name})`, () =>
      serving(policy, (connect) =>
        Effect.gen(function* () {
          const a = yield* connect()
          const b = yield* connect()
          unread(a)
          yield* asks(a, "k stream\n")
          yield* asks(b, "k hello\n")
          for (let second = 0; second < 59; second++) {
            a.bytesUnsent -= 1
            // Now and then it makes room for more.
            if (second % 7 === 6) a.drain()
            yield* pass(1_000)
          }
          a.bytesUnsent -= 1
          yield* pass(999)
          assert.deepStrictEqual([b.asked(), (yield* counts).Cancelled], [[], 0])
          yield* pass(1)
          assert.deepStrictEqual([b.asked(), (yield* counts).Cancelled], [["write k hello"], 1])
          assert.strictEqual(a.asked().at(-1), "reset")
        })
      )
    )
  }

  it.effect("is another's at once when its reader leaves", () =>
    serving(Policy.sequential, (connect) =>
      Effect.gen(function* () {
        const a = yield* connect()
        const b = yield* connect()
        unread(a)
        yield* asks(a, "k stream\n")
        yield* asks(b, "k hello\n")
        a.gone()
        yield* turns
        assert.deepStrictEqual(b.asked(), ["write k hello"])
      })
    )
  )

  it.effect("is watched no longer when its reader has read", () =>
    serving(Policy.sequential, (connect) =>
      Effect.gen(function* () {
        const a = yield* connect()
        const b = yield* connect()
        unread(a)
        yield* asks(a, "k push\n")
        yield* asks(b, "k hello\n")
        yield* pass(9_999)
        a.accepts = true
        a.bytesUnsent = 0
        a.drain()
        yield* pass(60_000)
        assert.deepStrictEqual([b.asked(), (yield* counts).Cancelled], [["write k hello"], 0])
      })
    )
  )
})

describe("the turn of a reply", () => {
  for (const { ends, first, order } of [
    { first: "a wait 1000", ends: "completes", order: ["write a wait 1000\n1\n2\na hello"] },
    { first: "a die", ends: "fails", order: ["end"] }
  ]) {
    it.effect(`passes on when the one before it ${ends}`, () =>
      serving(Policy.fiber({ max: 2 }), (connect) =>
        Effect.gen(function* () {
          const a = yield* connect()
          yield* asks(a, `${first}\na few\na hello\n`)
          // The stream has given its place to another while it waits for its turn.
          const b = yield* connect()
          yield* asks(b, "b hello\n")
          assert.deepStrictEqual(b.asked(), ["write b hello"])
          yield* pass(1_000)
          assert.deepStrictEqual(a.asked(), order)
          a.finish()
          yield* turns
          // All places are there again.
          yield* asks(b, "b wait 1000\nb wait 1000\n")
          yield* pass(1_000)
          assert.deepStrictEqual(b.asked(), ["write b wait 1000", "write b wait 1000"])
        })
      )
    )
  }

  it.effect("passes to nobody when the peer leaves, and leaves no place behind", () =>
    serving(Policy.fiber({ max: 2 }), (connect) =>
      Effect.gen(function* () {
        const a = yield* connect()
        yield* asks(a, "a wait 1000\na few\na hello\n")
        a.gone()
        yield* turns
        const b = yield* connect()
        yield* asks(b, "b wait 1000\nb wait 1000\n")
        yield* pass(1_000)
        assert.deepStrictEqual(b.asked(), ["write b wait 1000", "write b wait 1000"])
        assert.strictEqual((yield* counts).Cancelled, 3)
      })
    )
  )
})

describe("a stop", () => {
  it.effect("ends at its deadline beside replies that nobody reads", () =>
    serving(Policy.fiber({ max: 1 }), (connect) =>
      Effect.gen(function* () {
        const a = yield* connect()
        unread(a)
        yield* asks(a, "a stream\na stream\n")
        const server = yield* Lines
        const report = yield* Effect.forkScoped(server.shutdown)
        yield* turns
        yield* pass(9_999)
        assert.isUndefined(report.pollUnsafe())
        yield* pass(1)
        assert.isDefined(report.pollUnsafe())
        assert.strictEqual((yield* counts).Drained, 2)
      })
    )
  )
})
