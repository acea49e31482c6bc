/** How a connection ends: each state that it can be in, and each thing that can happen then, seen from its wire. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

/** Echoes; `wait` is answered when the test says so, and `quit` closes the connection. */
const answering =
  (answer: Latch.Latch): Handler.Handler<string, string> =>
  ({ body }) => {
    if (body === "quit") return Effect.succeed(Response.andClose(Response.make("bye")))
    const response = Effect.succeed(Response.make(body))
    return body === "wait" ? Effect.andThen(answer.await, response) : response
  }

/** A server of lines with one connection, whose peer and whose system the test is. */
const connected = (options?: {
  readonly resetsOnClose?: boolean
  readonly maxPipelined?: number
  readonly writeTimeout?: Duration.Input
}) =>
  Effect.gen(function* () {
    const wire = new Scripted(options)
    const answer = Latch.makeUnsafe()
    const { accept, listen } = listener()
    const { maxPipelined, writeTimeout } = options ?? {}
    const limits = { drainTimeout: "10 seconds", maxPipelined, writeTimeout } as const
    const transport = Transport.layer(Lines, limits, listen)
    const context = yield* Layer.build(Layer.provideMerge(Lines.serve(answering(answer)), transport))
    const server = Context.get(context, Lines)
    yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
    accept(wire)
    return {
      wire,
      answer: Effect.andThen(answer.open, turns),
      /** Begins to stop the server; the returned fiber ends with it. */
      stop: Effect.tap(Effect.forkScoped(server.shutdown, { startImmediately: true }), () => turns),
      says: (text: string) =>
        Effect.andThen(
          Effect.sync(() => wire.data(text)),
          turns
        ),
      open: Effect.map(server.connections, (all) => all.length === 1),
      inFlight: Effect.map(server.connections, (all) => all.map((connection) => connection.inFlight)),
      counts: Effect.map(server.counts, (all) =>
        Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
      )
    }
  })

type Connected = Effect.Success<ReturnType<typeof connected>>
type Step = (connection: Connected) => Effect.Effect<unknown, never, Scope.Scope>

/** The states, each by the shortest way there. */
const states = {
  idle: () => Effect.void,
  busy: ({ says }) => says("wait\n"),
  "busy, and its peer has half-closed": ({ says, wire }) =>
    Effect.andThen(
      says("wait\n"),
      Effect.sync(() => wire.half())
    ),
  "closing with something unsent": ({ says, wire }) =>
    Effect.andThen(
      Effect.sync(() => void (wire.bytesUnsent = 4)),
      says("quit\n")
    ),
  "closing, and its peer has half-closed": ({ says, wire }) =>
    Effect.andThen(
      says("quit\n"),
      Effect.sync(() => wire.half())
    ),
  lingering: ({ says, wire }) =>
    Effect.andThen(
      says("quit\n"),
      Effect.sync(() => wire.finish())
    ),
  "idle as the server stops": ({ stop }) => stop,
  "busy as the server stops": ({ says, stop }) => Effect.andThen(says("wait\n"), stop),
  gone: ({ says, wire }) =>
    Effect.andThen(
      says("wait\n"),
      Effect.sync(() => wire.gone())
    )
} satisfies Record<string, Step>

/** What can happen. */
const events = {
  "the peer sends": ({ says }) => says("more\n"),
  "the peer half-closes": ({ wire }) =>
    Effect.andThen(
      Effect.sync(() => wire.half()),
      turns
    ),
  "the peer is gone": ({ wire }) =>
    Effect.andThen(
      Effect.sync(() => wire.gone()),
      turns
    ),
  "everything has left": ({ wire }) =>
    Effect.andThen(
      Effect.sync(() => wire.finish()),
      turns
    ),
  "the answer is there": ({ answer }) => answer,
  "the server stops": ({ stop }) => stop,
  "999 ms pass": () => TestClock.adjust("999 millis"),
  "a second passes": () => TestClock.adjust("1 second"),
  "ten seconds pass": () => TestClock.adjust("10 seconds"),
  "some of it is read within ten seconds": ({ wire }) => {
    wire.bytesUnsent--
    return TestClock.adjust("10 seconds")
  },
  "the system takes it all and says nothing": ({ wire }) => {
    wire.bytesUnsent = 0
    return TestClock.adjust("10 seconds")
  },
  "nothing of its last reply is read": ({ wire }) => {
    wire.bytesUnsent = 5
    return TestClock.adjust("10 seconds")
  }
} satisfies Record<string, Step>

interface Row {
  /** What happens, one after the other. */
  readonly after: ReadonlyArray<keyof typeof events>
  /** What the last of it asks of the wire. */
  readonly asks: ReadonlyArray<string>
  /** Whether the connection is there after it. */
  readonly open: boolean
  readonly counts: Readonly<Record<string, number>>
}

const table: { readonly [State in keyof typeof states]: ReadonlyArray<Row> } = {
  idle: [
    { after: ["the peer sends"], asks: ["write more"], open: true, counts: { Completed: 1 } },
    { after: ["the peer half-closes"], asks: ["end"], open: true, counts: {} },
    { after: ["the peer half-closes", "everything has left"], asks: ["destroy"], open: false, counts: {} },
    { after: ["the peer is gone"], asks: [], open: false, counts: {} },
    { after: ["ten seconds pass"], asks: [], open: true, counts: {} },
    { after: ["the server stops"], asks: ["end"], open: true, counts: {} }
  ],
  busy: [
    { after: ["the peer sends"], asks: [], open: true, counts: {} },
    {
      after: ["the peer sends", "the answer is there"],
      asks: ["write wait\nmore"],
      open: true,
      counts: { Completed: 2 }
    },
    { after: ["the peer half-closes"], asks: [], open: true, counts: {} },
    { after: ["the peer is gone"], asks: [], open: false, counts: { Cancelled: 1 } },
    { after: ["ten seconds pass"], asks: [], open: true, counts: {} },
    { after: ["the answer is there"], asks: ["write wait"], open: true, counts: { Completed: 1 } },
    { after: ["the server stops"], asks: [], open: true, counts: {} }
  ],
  "busy, and its peer has half-closed": [
    { after: ["the answer is there"], asks: ["write wait", "end"], open: true, counts: { Completed: 1 } },
    {
      after: ["the answer is there", "everything has left"],
      asks: ["destroy"],
      open: false,
      counts: { Completed: 1 }
    },
    { after: ["the peer is gone"], asks: [], open: false, counts: { Cancelled: 1 } },
    {
      after: ["the server stops", "the answer is there"],
      asks: ["write wait", "end"],
      open: true,
      counts: { Completed: 1 }
    }
  ],
  "closing with something unsent": [
    { after: ["the peer sends"], asks: [], open: true, counts: { Completed: 1 } },
    { after: ["the peer half-closes"], asks: [], open: true, counts: { Completed: 1 } },
    { after: ["the peer is gone"], asks: [], open: false, counts: { Completed: 1 } },
    { after: ["the server stops"], asks: [], open: true, counts: { Completed: 1 } },
    { after: ["the server stops", "everything has left"], asks: ["destroy"], open: false, counts: { Completed: 1 } },
    { after: ["everything has left"], asks: [], open: true, counts: { Completed: 1 } },
    // What is cut off must not look like a regular end.
    { after: ["ten seconds pass"], asks: ["reset"], open: false, counts: { Completed: 1 } },
    { after: ["some of it is read within ten seconds"], asks: [], open: true, counts: { Completed: 1 } },
    {
      after: ["some of it is read within ten seconds", "some of it is read within ten seconds"],
      asks: [],
      open: true,
      counts: { Completed: 1 }
    },
    {
      after: ["some of it is read within ten seconds", "ten seconds pass"],
      asks: ["reset"],
      open: false,
      counts: { Completed: 1 }
    },
    { after: ["the system takes it all and says nothing"], asks: ["reset"], open: false, counts: { Completed: 1 } }
  ],
  "closing, and its peer has half-closed": [
    { after: ["everything has left"], asks: ["destroy"], open: false, counts: { Completed: 1 } },
    { after: ["ten seconds pass"], asks: ["reset"], open: false, counts: { Completed: 1 } }
  ],
  lingering: [
    { after: ["the peer sends"], asks: [], open: true, counts: { Completed: 1 } },
    { after: ["the peer is gone"], asks: [], open: false, counts: { Completed: 1 } },
    { after: ["999 ms pass"], asks: [], open: true, counts: { Completed: 1 } },
    { after: ["a second passes"], asks: ["destroy"], open: false, counts: { Completed: 1 } },
    // Nobody else is waiting: the last reply has left, and a stop does not wait for the peer's good-bye.
    { after: ["the server stops"], asks: ["destroy"], open: false, counts: { Completed: 1 } }
  ],
  "idle as the server stops": [
    { after: ["the peer sends"], asks: [], open: true, counts: {} },
    { after: ["the peer half-closes"], asks: [], open: true, counts: {} },
    { after: ["the peer is gone"], asks: [], open: false, counts: {} },
    // Nothing was said that a reset could cost the peer.
    { after: ["everything has left"], asks: ["destroy"], open: false, counts: {} },
    { after: ["ten seconds pass"], asks: ["destroy"], open: false, counts: {} }
  ],
  "busy as the server stops": [
    {
      after: ["the peer sends", "the answer is there"],
      asks: ["write wait", "end"],
      open: true,
      counts: { Completed: 1 }
    },
    { after: ["the peer half-closes"], asks: [], open: true, counts: {} },
    { after: ["the peer is gone"], asks: [], open: false, counts: { Cancelled: 1 } },
    { after: ["the answer is there", "everything has left"], asks: [], open: true, counts: { Completed: 1 } },
    {
      after: ["the answer is there", "everything has left", "a second passes"],
      asks: ["destroy"],
      open: false,
      counts: { Completed: 1 }
    },
    {
      after: ["the answer is there", "the peer half-closes", "everything has left"],
      asks: ["destroy"],
      open: false,
      counts: { Completed: 1 }
    },
    { after: ["ten seconds pass"], asks: ["destroy"], open: false, counts: { Drained: 1 } },
    { after: ["nothing of its last reply is read"], asks: ["reset"], open: false, counts: { Drained: 1 } }
  ],
  gone: [
    { after: ["the answer is there"], asks: [], open: false, counts: { Cancelled: 1 } },
    { after: ["ten seconds pass"], asks: [], open: false, counts: { Cancelled: 1 } },
    { after: ["the server stops"], asks: [], open: false, counts: { Cancelled: 1 } }
  ]
}

for (const [state, rows] of Object.entries(table)) {
  describe(`a connection that is ${state}`, () => {
    for (const { after, asks, counts, open } of rows) {
      const what = asks.length === 0 ? "nothing" : asks.join(", ").replaceAll("\n", " ")
      it.effect(`asks for ${what} when ${after.join(", then ")}`, () =>
        Effect.gen(function* () {
          const connection = yield* connected()
          yield* (states[state as keyof typeof states] as Step)(connection)
          for (const event of after) {
            connection.wire.asked()
            yield* (events[event] as Step)(connection)
          }
          yield* turns
          assert.deepStrictEqual(connection.wire.asked(), asks)
          assert.strictEqual(yield* connection.open, open)
          assert.deepStrictEqual(yield* connection.counts, counts)
        }).pipe(Effect.scoped)
      )
    }
  })
}

describe("a connection of 3 requests at once", () => {
  it.effect("begins no more while some of them are answered", () =>
    Effect.gen(function* () {
      const { inFlight, says, wire } = yield* connected({ maxPipelined: 3 })
      yield* says("wait\nwait\n")
      yield* says("wait\nwait\nwait\nwait\n")
      assert.isTrue(wire.paused)
      assert.deepStrictEqual(yield* inFlight, [3])
    }).pipe(Effect.scoped)
  )
})

describe("a connection that closes", () => {
  it.effect("reads on, so that its peer can come to its end", () =>
    Effect.gen(function* () {
      const { says, wire } = yield* connected({ maxPipelined: 1 })
      wire.data("quit\nmore\n")
      assert.isTrue(wire.paused)
      yield* says("")
      assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
      assert.isFalse(wire.paused)
    }).pipe(Effect.scoped)
  )

  it.effect("does not linger where closing costs its peer nothing", () =>
    Effect.gen(function* () {
      const { says, wire } = yield* connected({ resetsOnClose: false })
      yield* says("quit\n")
      assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
      wire.finish()
      assert.deepStrictEqual(wire.asked(), ["destroy"])
    }).pipe(Effect.scoped)
  )

  it.effect("is cut off after writeTimeout without progress, where that is less than a stop may take", () =>
    Effect.gen(function* () {
      const { says, wire } = yield* connected({ writeTimeout: "2 seconds" })
      wire.bytesUnsent = 4
      yield* says("quit\n")
      assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
      yield* TestClock.adjust(1_999)
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(wire.asked(), ["reset"])
    }).pipe(Effect.scoped)
  )

  it.effect("holds no stop once its last reply has left", () =>
    Effect.gen(function* () {
      const { says, stop, wire } = yield* connected()
      yield* says("quit\n")
      wire.finish()
      const { millis } = yield* Fiber.join(yield* stop)
      assert.strictEqual(millis, 0)
    }).pipe(Effect.scoped)
  )
})

type Line = Connection.Connection<string, string>

/** A server whose only connection, a conversation, is with the test. */
const talking = (talk: (connection: Line) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const wire = new Scripted()
    const { accept, listen } = listener()
    const transport = Transport.layer(Talk, { drainTimeout: "10 seconds" }, listen)
    const handler: Handler.Handler<Line, never> = ({ body }) => Effect.as(Effect.orDie(talk(body)), Response.empty)
    const context = yield* Layer.build(Layer.provideMerge(Talk.serve(handler), transport))
    const server = Context.get(context, Talk)
    yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
    accept(wire)
    yield* turns
    return {
      wire,
      stop: Effect.tap(Effect.forkScoped(server.shutdown, { startImmediately: true }), () => turns),
      completed: Effect.map(server.counts, ({ Completed }) => Completed === 1)
    }
  })

describe("a conversation whose handler has half-closed", () => {
  /** It reads to the end after it has half-closed. */
  const reader = (heard: Array<string>, returns: Latch.Latch) => (connection: Line) =>
    Effect.gen(function* () {
      yield* connection.end
      yield* Stream.runForEach(connection.stream, (line) => Effect.sync(() => heard.push(line)))
      yield* returns.await
    })

  it.effect("goes on reading, and ends with its peer", () => {
    const heard: Array<string> = []
    return Effect.gen(function* () {
      const { completed, wire } = yield* talking(reader(heard, Latch.makeUnsafe(true)))
      assert.deepStrictEqual(wire.asked(), ["end"])
      wire.finish()
      wire.data("one\ntwo\n")
      yield* turns
      assert.deepStrictEqual(heard, ["one", "two"])
      assert.deepStrictEqual(wire.asked(), [])
      wire.half()
      yield* turns
      assert.isTrue(yield* completed)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
    }).pipe(Effect.scoped)
  })

  it.effect("is not cut off by a stop that comes before it returns", () => {
    const returns = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const { completed, stop, wire } = yield* talking(reader([], returns))
      wire.finish()
      assert.deepStrictEqual(wire.asked(), ["end"])
      const stopped = yield* stop
      assert.deepStrictEqual(wire.asked(), [])
      yield* Effect.andThen(returns.open, turns)
      assert.isTrue(yield* completed)
      // Its peer still sends: closing now might cost it what it has not read yet.
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      yield* Fiber.join(stopped)
    }).pipe(Effect.scoped)
  })

  it.effect("is broken off at the deadline of a stop", () =>
    Effect.gen(function* () {
      const { stop, wire } = yield* talking((connection) => Effect.andThen(connection.end, Effect.never))
      wire.finish()
      const stopped = yield* stop
      assert.deepStrictEqual(wire.asked(), ["end"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      assert.strictEqual((yield* Fiber.join(stopped)).counts.Drained, 1)
    }).pipe(Effect.scoped)
  )
})

describe("a conversation", () => {
  it.effect("closes when its handler returns, after what was written", () =>
    Effect.gen(function* () {
      const { completed, wire } = yield* talking((connection) => connection.write("bye"))
      assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
      assert.isTrue(yield* completed)
      wire.finish()
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
    }).pipe(Effect.scoped)
  )

  it.effect("that its handler resets is reset at once, and not closed", () =>
    Effect.gen(function* () {
      const { completed, wire } = yield* talking((connection) =>
        Effect.andThen(connection.write("lost"), Effect.andThen(connection.reset, Effect.never))
      )
      assert.deepStrictEqual(wire.asked(), ["reset"])
      assert.isFalse(yield* completed)
    }).pipe(Effect.scoped)
  )

  it.effect("is told of a stop as of an end, and may still answer", () =>
    Effect.gen(function* () {
      const { completed, stop, wire } = yield* talking((connection) =>
        Effect.andThen(Stream.runDrain(connection.stream), connection.write("bye"))
      )
      wire.data("one\n")
      yield* stop
      assert.deepStrictEqual(wire.asked(), ["write bye", "end"])
      assert.isTrue(yield* completed)
    }).pipe(Effect.scoped)
  )
})
