/** What a server holds for its peers is bounded: for each connection, and for all. */
import { assert, describe, it } from "@effect/vitest"
import { Outcome, Policy, Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { type LineHandler, logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A peer that reads nothing until it drains; what was sent stays with the system. */
class Peer extends Scripted {
  written = ""
  override write(data: string | Uint8Array): boolean {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data)
    this.written += text
    super.write(data)
    if (!this.accepts) this.bytesUnsent += text.length
    return this.accepts
  }
  read(): void {
    this.bytesUnsent = 0
    this.drain()
  }
}

const connected = (handler: LineHandler, options?: Transport.ServerOptions, policy?: Policy.Policy) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const context = yield* Layer.build(
      Layer.provideMerge(
        Lines.serve(handler, { policy }),
        Transport.layer(Lines, { drainTimeout: 0, ...options }, listen)
      )
    )
    const server = Context.get(context, Lines)
    const connect = (accepts = true) => {
      const wire = new Peer()
      wire.accepts = accepts
      accept(wire)
      return wire
    }
    const budget = (server as never as Record<symbol, { context: { budget: { total: number } } }>)[
      Symbol.for("@socketserver/core/Server/engine")
    ]!.context.budget
    return { server, connect, total: () => budget.total, engine: budget }
  })

const kib = 1_024

describe("a connection", () => {
  it.effect("is not read while it holds maxBuffered of what is not answered, and then goes on", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const begun: Array<string> = []
      const { connect, total } = yield* connected(
        ({ body }) =>
          Effect.suspend(() => {
            begun.push(body[0] as string)
            return Effect.as(latch.await, Response.make(body[0] as string))
          }),
        { maxBuffered: "16KiB" }
      )
      const wire = connect()
      for (const letter of "abcdefgh") {
        if (!wire.paused) wire.data(`${letter.repeat(4 * kib)}\n`)
        yield* turns
      }
      assert.isTrue(wire.paused)
      assert.strictEqual(begun.join(""), "abcd")
      assert.isAtMost(total(), 2 * 20 * kib)
      yield* latch.open
      yield* turns
      assert.isFalse(wire.paused)
      assert.strictEqual(wire.written, "a\nb\nc\nd\n")
      assert.strictEqual(total(), 0)
    })
  )

  it.effect("has a frame read that is larger, when nothing else of it is held", () =>
    Effect.gen(function* () {
      const { connect, total } = yield* connected(({ body }) => Effect.succeed(Response.make(`${body.length}`)), {
        maxBuffered: 100
      })
      const wire = connect()
      for (let i = 0; i < 10; i++) wire.data("x".repeat(kib))
      wire.data("\nnext\n")
      yield* turns
      assert.strictEqual(wire.written, "10240\n4\n")
      assert.strictEqual(total(), 0)
    })
  )

  it.effect("counts what waits for a reply before it, encoded", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { connect, total } = yield* connected(({ body }) =>
        body === "first"
          ? Effect.as(latch.await, Response.make(body))
          : Effect.succeed(Response.make("r".repeat(10 * kib)))
      )
      const wire = connect()
      wire.data("first\n2\n3\n4\n")
      yield* turns
      assert.isAtLeast(total(), 30 * kib)
      yield* latch.open
      yield* turns
      assert.strictEqual(wire.written.length, "first\n".length + 3 * (10 * kib + 1))
      assert.strictEqual(total(), 0)
    })
  )

  it.effect("that cannot be sent a reply out of turn fails in turn", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { connect, server } = yield* connected(({ body }) =>
        body === "first" ? Effect.as(latch.await, Response.make(body)) : Effect.succeed(Response.make("a\nb"))
      )
      const wire = connect()
      wire.data("first\nbad\nnever\n")
      yield* turns
      yield* latch.open
      yield* turns
      assert.strictEqual(wire.written, "first\n")
      const { Cancelled, Completed, Failed } = yield* server.counts
      assert.deepStrictEqual([Completed, Failed, Cancelled], [1, 1, 1])
    }).pipe(Effect.provide(logging))
  })

  it.effect("counts what its peer does not read, streams and pushes too, until it leaves", () =>
    Effect.gen(function* () {
      const { connect, total } = yield* connected(({ body, connection }) =>
        body === "push"
          ? Effect.as(Effect.ignore(connection.push("p".repeat(100 * kib))), Response.empty)
          : Effect.succeed(Response.stream(Stream.forever(Stream.succeed("s".repeat(10 * kib)))))
      )
      const [pushed, streamed] = [connect(false), connect(false)]
      pushed.data("push\n")
      yield* turns
      const one = total()
      assert.isAtLeast(one, 100 * kib)
      streamed.data("stream\n")
      yield* turns
      assert.isAtLeast(total() - one, 60 * kib)
      assert.isAtMost(total() - one, 200 * kib)
      pushed.gone()
      streamed.gone()
      yield* turns
      assert.strictEqual(total(), 0)
    })
  )
})

describe("a peer that does not read", () => {
  const counted = (size: number, later: Effect.Effect<unknown>) => {
    const begun = { count: 0 }
    const handler: LineHandler = ({ body }) =>
      Effect.suspend(() => {
        begun.count++
        return Effect.as(later, Response.make(body.repeat(size)))
      })
    return { begun, handler }
  }

  it.effect.each([
    { when: "at once", later: Effect.void, maxPipelined: 128, policy: Policy.fiber() },
    { when: "after a turn", later: Effect.yieldNow, maxPipelined: 4, policy: Policy.fiber() },
    // Its requests were taken before they could begin, and wait there.
    { when: "at once", later: Effect.void, maxPipelined: 128, policy: Policy.connection() },
    { when: "after a turn", later: Effect.yieldNow, maxPipelined: 128, policy: Policy.connection() },
    { when: "after a turn", later: Effect.yieldNow, maxPipelined: 128, policy: Policy.sequential }
  ])("gets no further request begun, and all of them once it reads (answered $when, $policy.name)", (kind) =>
    Effect.gen(function* () {
      const { begun, handler } = counted(80 * kib, kind.later)
      const { connect, total } = yield* connected(handler, { maxPipelined: kind.maxPipelined }, kind.policy)
      const [wire, other] = [connect(false), connect()]
      wire.data("x\n".repeat(100))
      yield* turns
      assert.isAtMost(begun.count, 4)
      assert.isAtMost(total(), 4 * 81 * kib + 512 * kind.maxPipelined)
      // It costs others nothing.
      other.data("y\n")
      yield* turns
      assert.strictEqual(other.written.length, 80 * kib + 1)
      for (let i = 0; i < 400; i++) {
        wire.read()
        yield* Effect.yieldNow
      }
      assert.strictEqual(wire.written.length, 100 * (80 * kib + 1))
      assert.strictEqual(total(), 0)
    })
  )

  it.effect("has no more replies wait for one that hangs than it may hold", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      let begun = 0
      const { connect, total } = yield* connected(
        ({ body }) =>
          Effect.suspend(() => {
            begun++
            return body === "hangs"
              ? Effect.as(latch.await, Response.make(body))
              : Effect.succeed(Response.make("r".repeat(10 * kib)))
          }),
        { maxBuffered: "40KiB" }
      )
      const wire = connect()
      wire.data(`hangs\n${"x\n".repeat(60)}`)
      yield* turns
      assert.isAtMost(begun, 6)
      assert.isAtMost(total(), 100 * kib)
      yield* latch.open
      for (let i = 0; i < 5; i++) yield* turns
      assert.strictEqual(wire.written.length, 6 + 60 * (10 * kib + 1))
      assert.strictEqual(total(), 0)
    })
  )
})

describe("a reply over maxReply", () => {
  it.effect.each([
    { what: "a reply", over: Response.make("r".repeat(101)) },
    { what: "an element of a stream", over: Response.stream(Stream.make("r".repeat(101))) }
  ])("fails its request and closes its connection: $what", ({ over }) => {
    const [entries, logging] = logs()
    return Effect.gen(function* () {
      const { connect, server } = yield* connected(
        ({ body }) => Effect.succeed(body === "over" ? over : Response.make("r".repeat(99))),
        { maxReply: 100 }
      )
      const wire = connect()
      wire.data("under\nover\nunder\n")
      yield* turns
      assert.strictEqual(wire.written, `${"r".repeat(99)}\n`)
      assert.strictEqual(wire.asked().at(-1), "end")
      const { Completed, Failed } = yield* server.counts
      assert.deepStrictEqual([Completed, Failed], [1, 1])
      assert.strictEqual(entries.length > 0, true)
    }).pipe(Effect.provide(logging))
  })
})

describe("a server near maxMemory", () => {
  const holding: LineHandler = () => Effect.never
  /** Holds about so much: a chunk with a request that is never answered. */
  const hold = (wire: Peer, bytes: number) => wire.data(`${"x".repeat(bytes)}\n`)

  it.effect("does not read those with more than their share, and reads the others", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { connect } = yield* connected(({ body }) => Effect.as(latch.await, Response.make(body[0] as string)), {
        maxMemory: "100KiB"
      })
      const [large, small] = [connect(), connect()]
      small.data("s\n")
      for (let i = 0; i < 4; i++) hold(large, 10 * kib)
      yield* turns
      hold(large, 1)
      assert.isTrue(large.paused)
      small.data("s\n")
      assert.isFalse(small.paused)
      yield* latch.open
      yield* turns
      assert.isFalse(large.paused)
      assert.strictEqual(small.written, "s\ns\n")
    })
  )

  it.effect("lets nobody new in, says so once, and then lets them in again", () => {
    const [entries, logging] = logs()
    return Effect.gen(function* () {
      const { connect, server, total } = yield* connected(holding, { maxMemory: "100KiB" })
      const wires = Array.from({ length: 5 }, () => connect())
      for (const wire of wires) hold(wire, 9.5 * kib)
      yield* turns
      assert.isAtLeast(total(), 90 * kib)
      const late = [connect(), connect()]
      yield* turns
      for (const wire of late) assert.deepStrictEqual(wire.asked(), ["destroy"])
      assert.strictEqual((yield* server.counts).Refused, 2)
      for (const wire of wires) wire.gone()
      yield* turns
      assert.strictEqual(total(), 0)
      assert.strictEqual(connect().started, true)
      const lines = () => entries.filter(({ level }) => level !== "Debug").map(({ message }) => message)
      assert.deepStrictEqual(lines(), ["Lines: maxMemory (100KiB) is reached"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines(), [
        "Lines: maxMemory (100KiB) is reached",
        "Lines: maxMemory (100KiB) was reached for 0 ms: 2 refused"
      ])
    }).pipe(Effect.provide(logging))
  })

  it.effect("resets those that hold most, those first that do not read, and nobody else", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, server, total } = yield* connected(
        ({ body }) => (body === "large" ? Effect.succeed(Response.make("r".repeat(30 * kib))) : Effect.never),
        { maxMemory: "100KiB" }
      )
      const events: Array<Outcome.Event> = []
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, (event) => Effect.sync(() => events.push(event))),
        {
          startImmediately: true
        }
      )
      const [small, middle, unread, another] = [connect(), connect(), connect(false), connect()]
      hold(small, 4 * kib)
      hold(middle, 30 * kib)
      unread.data("large\n")
      yield* turns
      assert.isAtMost(total(), 110 * kib)
      hold(another, 10 * kib)
      yield* turns
      assert.deepStrictEqual(unread.asked().at(-1), "reset")
      assert.notInclude(middle.asked(), "reset")
      assert.notInclude(small.asked(), "reset")
      assert.isAtMost(total(), 100 * kib)
      assert.deepStrictEqual(
        events.filter(({ outcome }) => outcome._tag === "Cancelled").map(({ outcome, request }) => [outcome, request]),
        [[Outcome.cancelled("OutOfMemory"), undefined]]
      )
    }).pipe(Effect.provide(logging))
  })

  it.effect("holds no more than it and what its peers have just sent, however many there are", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, total } = yield* connected(holding, { maxMemory: "1MiB" })
      let most = 0
      const wires: Array<Peer> = []
      for (let i = 0; i < 200; i++) {
        const wire = connect()
        wires.push(wire)
        for (const wire of wires.slice(-10)) if (wire.started && !wire.paused) hold(wire, 20 * kib)
        yield* Effect.repeat(Effect.yieldNow, { times: 4 })
        most = Math.max(most, total())
      }
      assert.isAtMost(most, 1.5 * 1_048_576)
    }).pipe(Effect.provide(logging))
  })
})
