/** What a server holds for its peers is bounded: for each connection, and for all. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Connection,
  Endpoint,
  Handler,
  MemoryServer,
  Outcome,
  Peer as PeerOf,
  Policy,
  Protocol,
  Response,
  Server,
  Simulation
} from "@socketserver/core"
import * as Remote from "@socketserver/core/Remote"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
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
  isReset = false
  override reset(): void {
    this.isReset = true
    super.reset()
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
    const budget = budgetOf(server)
    return { server, connect, total: () => budget.total, engine: budget }
  })

const budgetOf = (server: object): { readonly total: number } =>
  (server as Record<symbol, { context: { budget: { total: number } } }>)[
    Symbol.for("@socketserver/core/Server/engine")
  ]!.context.budget

/** A server of datagrams; the system has taken what was sent when the test says so. */
const datagrams = (handler: LineHandler, options?: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const address = Endpoint.memory("scripted")
    const sent: Array<() => void> = []
    const asked: Array<string> = []
    const flow = { pause: () => void asked.push("pause"), resume: () => void asked.push("resume") }
    let sink: Transport.Sink | undefined
    const listen: Transport.Listen = (given) => {
      sink = given
      return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("scripted"), flow })
    }
    const context = yield* Layer.build(
      Layer.provideMerge(Lines.serve(handler), Transport.layer(Lines, { drainTimeout: 0, ...options }, listen))
    )
    const receive = (text: string) =>
      sink!.receive({
        data: new TextEncoder().encode(text),
        peer: PeerOf.make({ transport: "memory", name: text }),
        listener: address,
        reply: (_, done) => void sent.push(() => done())
      })
    return { budget: budgetOf(Context.get(context, Lines)), receive, sent, asked }
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

  it.effect("has few of many short requests made at once, where it holds as much as it may", () =>
    Effect.gen(function* () {
      let begun = 0
      const { connect, total } = yield* connected(
        () =>
          Effect.andThen(
            Effect.sync(() => begun++),
            Effect.never
          ),
        {
          maxBuffered: "16KiB",
          maxPipelined: 10_000
        }
      )
      const wire = connect()
      wire.data("x\n".repeat(20 * kib))
      yield* turns
      assert.isAtMost(begun, 32)
      // The chunk, three times, and those.
      assert.isAtMost(total(), 130 * kib)
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

describe("what counts", () => {
  /** A server of any protocol, whose handler never ends. */
  const holding = <In, Out>(protocol: Protocol.Protocol<In, Out>, options?: Transport.ServerOptions) =>
    Effect.gen(function* () {
      class Any extends Server.Service<Any>()("Any", { protocol }) {}
      const { accept, listen } = listener()
      const served = Any.serve(() => Effect.never)
      const context = yield* Layer.build(
        Layer.provideMerge(
          served as Layer.Layer<never, never, Any>,
          Transport.layer(Any, { drainTimeout: 0, ...options }, listen)
        )
      )
      const budget = budgetOf(Context.get(context, Any))
      const wire = new Peer()
      accept(wire)
      return { budget, wire }
    })

  interface Held {
    readonly what: string
    readonly protocol: () => Protocol.Protocol<never, never>
    readonly sent: string
    readonly least: number
    readonly most: number
  }

  const any = (protocol: unknown) => protocol as Protocol.Protocol<never, never>

  it.effect.each<Held>([
    {
      what: "a request, beside its bytes",
      protocol: () => any(Protocol.lines()),
      sent: "x\n".repeat(100),
      least: 100 * 256,
      most: 100 * 300
    },
    {
      what: "text, twice its bytes",
      protocol: () => any(Protocol.lines()),
      sent: `${"x".repeat(50 * kib)}\n`,
      least: 100 * kib,
      most: 102 * kib
    },
    {
      what: "values of JSON, 35 times their bytes",
      protocol: () => any(Protocol.ndjson()),
      sent: `${JSON.stringify(Array.from({ length: 5_000 }, () => 1))}\n`,
      least: 35 * 10_000,
      most: 35 * 11_000
    },
    {
      what: "a frame that is not whole, twice its bytes",
      protocol: () => any(Protocol.lines()),
      sent: "x".repeat(50 * kib),
      least: 100 * kib,
      most: 102 * kib
    },
    {
      what: "what a whole connection has not read",
      protocol: () => any(Protocol.connection(Protocol.lines())),
      sent: "x\n".repeat(5 * kib),
      least: 10 * kib,
      most: 40 * kib
    }
  ])("is $what", ({ least, most, protocol, sent }) =>
    Effect.gen(function* () {
      const { budget, wire } = yield* holding(protocol())
      wire.data(sent)
      yield* turns
      assert.isAtLeast(budget.total, least)
      assert.isAtMost(budget.total, most)
      wire.gone()
      yield* turns
      assert.strictEqual(budget.total, 0)
    })
  )

  it.effect("is a datagram until it is answered", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { budget, receive } = yield* datagrams(() => Effect.as(latch.await, Response.empty))
      receive("x".repeat(10 * kib))
      yield* turns
      assert.isAtLeast(budget.total, 10 * kib)
      yield* latch.open
      yield* turns
      assert.strictEqual(budget.total, 0)
    })
  )
})

describe("what is sent without being asked for", () => {
  const many = 60

  /** Somebody pushes to everybody, in a fiber for each message. */
  const pushing = (connection: Connection.Ref<string>) =>
    Effect.forEach(
      Array.from({ length: many }, (_, i) => i),
      (i) => Effect.ignore(connection.push(`${i} ${"p".repeat(10 * kib)}`)),
      { concurrency: "unbounded", discard: true }
    )

  it.effect("by many at once waits outside once maxBuffered of it is unsent, and comes in order when it is read", () =>
    Effect.gen(function* () {
      const { connect, total } = yield* connected(
        ({ connection }) => Effect.as(Effect.forkDetach(pushing(connection)), Response.empty),
        { maxBuffered: "128KiB" }
      )
      const wire = connect(false)
      wire.data("subscribe\n")
      yield* turns
      assert.isAtLeast(total(), 128 * kib)
      assert.isAtMost(total(), 160 * kib)
      for (let i = 0; i < many && wire.written.split("\n").length <= many; i++) {
        wire.read()
        yield* turns
        assert.isAtMost(total(), 160 * kib)
      }
      const got = wire.written.trimEnd().split("\n")
      assert.deepStrictEqual(
        got.map((line) => line.split(" ")[0]),
        Array.from({ length: many }, (_, i) => `${i}`)
      )
    })
  )

  it.effect("fails where it waits when its connection ends", () =>
    Effect.gen(function* () {
      const ends = { Sent: 0, Closed: 0 }
      const { connect, total } = yield* connected(
        ({ connection }) =>
          Effect.as(
            Effect.forkDetach(
              Effect.forEach(
                Array.from({ length: many }),
                () =>
                  Effect.matchEager(connection.push("p".repeat(10 * kib)), {
                    onSuccess: () => void ends.Sent++,
                    onFailure: ({ reason }) => void ends[reason._tag as "Closed"]++
                  }),
                { concurrency: "unbounded", discard: true }
              )
            ),
            Response.empty
          ),
        { maxBuffered: "128KiB" }
      )
      const wire = connect(false)
      wire.data("subscribe\n")
      yield* turns
      wire.gone()
      yield* turns
      // A few were sent before the peer had been seen not to read.
      assert.isAtMost(ends.Sent, 16)
      assert.strictEqual(ends.Sent + ends.Closed, many)
      assert.strictEqual(total(), 0)
    })
  )

  it.effect("by the handler of a whole connection is held back as well", () =>
    Effect.gen(function* () {
      class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
      const { accept, listen } = listener()
      const written = { count: 0 }
      const handler = Handler.dialogue((connection: Connection.Connection<string, string>) =>
        Effect.forEach(
          Array.from({ length: many }),
          () =>
            Effect.andThen(
              Effect.ignore(connection.write("w".repeat(10 * kib))),
              Effect.sync(() => void written.count++)
            ),
          { concurrency: "unbounded", discard: true }
        )
      )
      const context = yield* Layer.build(
        Layer.provideMerge(
          Talk.serve(handler),
          Transport.layer(Talk, { drainTimeout: 0, maxBuffered: "128KiB" }, listen)
        )
      )
      const budget = budgetOf(Context.get(context, Talk))
      const wire = new Peer()
      wire.accepts = false
      accept(wire)
      yield* turns
      assert.isAtLeast(budget.total, 128 * kib)
      assert.isAtMost(budget.total, 160 * kib)
      for (let i = 0; i < many && written.count < many; i++) {
        wire.read()
        yield* turns
        assert.isAtMost(budget.total, 160 * kib)
      }
      assert.strictEqual(wire.written.length, many * (10 * kib + 1))
    })
  )

  it.effect("to the sender of a datagram counts until the system has taken it, also after the answer", () => {
    const kept: Array<Connection.Ref<string>> = []
    return Effect.gen(function* () {
      const { budget, receive, sent } = yield* datagrams(
        ({ connection }) => {
          kept.push(connection)
          return Effect.succeed(Response.empty)
        },
        { maxMemory: "200KiB" }
      )
      receive("subscribe")
      yield* turns
      assert.strictEqual(budget.total, 0)
      const [connection] = kept
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkScoped(Effect.exit(connection!.push("p".repeat(10 * kib))), { startImmediately: true })
      )
      yield* turns
      // Seven are more than 64 KiB: the others wait outside.
      assert.strictEqual(sent.length, 7)
      assert.strictEqual(budget.total, 7 * (10 * kib + 64))
      // Whoever else pushes has a way of his own, up to what all may hold.
      for (let i = 0; i < 4; i++) receive(`${i}`)
      yield* turns
      const others = yield* Effect.forEach(kept.slice(1), (connection) =>
        Effect.forEach(Array.from({ length: 7 }), () =>
          Effect.forkScoped(Effect.exit(connection.push("p".repeat(10 * kib))), { startImmediately: true })
        )
      )
      yield* turns
      assert.isAtMost(budget.total, 211 * kib)
      const over = others.flat().filter((fiber) => fiber.pollUnsafe()?._tag === "Success")
      assert.isAbove(over.length, 0)
      const told = yield* Effect.flip(Effect.flatten(Fiber.join(over[0]!)))
      assert.match(told.message, /maxMemory is held/)
      for (let i = 0; i < 40; i++) {
        for (const done of sent.splice(0)) done()
        yield* turns
      }
      assert.strictEqual(budget.total, 0)
      assert.deepStrictEqual([...new Set(fibers.map((fiber) => fiber.pollUnsafe()?._tag))], ["Success"])
    })
  })
})

describe("what a policy holds elsewhere for a connection", () => {
  it.effect("counts, holds back what comes next, and ends with the connection", () =>
    Effect.gen(function* () {
      const refs: Array<Connection.Ref<string>> = []
      const { connect, total } = yield* connected(
        ({ connection }) => {
          refs.push(connection)
          return Effect.never
        },
        { maxBuffered: "64KiB" }
      )
      const wire = connect()
      wire.data("one\n")
      yield* turns
      const before = total()
      Remote.hold(refs[0]!, 64 * kib)
      assert.strictEqual(total() - before, 64 * kib)
      wire.data("two\n")
      yield* turns
      assert.isTrue(wire.paused)
      assert.lengthOf(refs, 1)
      Remote.hold(refs[0]!, -64 * kib)
      wire.drain()
      yield* turns
      assert.isFalse(wire.paused)
      assert.lengthOf(refs, 2)
      Remote.hold(refs[0]!, 10 * kib)
      wire.gone()
      yield* turns
      assert.strictEqual(total(), 0)
      Remote.hold(refs[0]!, -10 * kib)
      assert.strictEqual(total(), 0)
    })
  )
})

describe("a connection that is not read while memory is short", () => {
  it.effect("is read on when the system has taken what was sent, of which nobody is told", () =>
    Effect.gen(function* () {
      const { connect, total } = yield* connected(
        ({ body }) => (body === "hold" ? Effect.never : Effect.succeed(Response.make(body.repeat(9_500)))),
        { maxMemory: "32KiB" }
      )
      connect().data("hold\n")
      // It takes all of it at once, and says how much has not left: no event tells when it has.
      const wire = connect()
      wire.bytesUnsent = 0
      wire.write = (data) => {
        wire.bytesUnsent += data.length
        return true
      }
      wire.data("abc\n")
      yield* turns
      assert.isAbove(total(), 0.75 * 32 * kib)
      wire.data("hold\n")
      yield* turns
      assert.isTrue(wire.paused)
      wire.bytesUnsent = 0
      yield* turns
      assert.isTrue(wire.paused)
      yield* TestClock.adjust(100)
      assert.isFalse(wire.paused)
      assert.isBelow(total(), kib)
    })
  )
})

describe("a stream from elsewhere that waits for its turn", () => {
  it.effect("is let go of when its connection has ended, though another handler has not", () =>
    Effect.gen(function* () {
      let left = 0
      const { connect, server } = yield* connected((request) =>
        request.body === "one"
          ? Effect.uninterruptible(Effect.never)
          : Effect.sync(() => {
              Remote.hold(request.connection, 10 * kib)
              Remote.onUnstarted(request, () => {
                left++
                Remote.hold(request.connection, -10 * kib)
              })
              return Response.stream(Stream.make("never"))
            })
      )
      const wire = connect()
      wire.data("one\ntwo\n")
      yield* turns
      const held = () => Simulation.holdings(server).map(({ bytes }) => bytes)
      assert.isAtLeast(held()[0]!, 10 * kib)
      wire.gone()
      yield* turns
      assert.strictEqual(left, 1)
      // The first is still at work: its connection is there, and has nothing but what it was sent.
      assert.lengthOf(held(), 1)
      assert.isBelow(held()[0]!, kib)
    })
  )

  it.effect("is not, where it has started", () =>
    Effect.gen(function* () {
      let left = 0
      const { connect } = yield* connected((request) =>
        Effect.sync(() => {
          Remote.onUnstarted(request, () => left++)
          return Response.stream(Stream.concat(Stream.make("first"), Stream.never))
        })
      )
      const wire = connect()
      wire.data("one\n")
      yield* turns
      assert.strictEqual(wire.written, "first\n")
      wire.gone()
      yield* turns
      assert.strictEqual(left, 0)
    })
  )
})

describe("a request that waits behind what is held elsewhere", () => {
  it.effect("does not begin, though it has arrived with the one before it", () =>
    Effect.gen(function* () {
      const begun: Array<string> = []
      let release = () => {}
      const { connect } = yield* connected(
        ({ body, connection }) =>
          Effect.suspend(() => {
            begun.push(body)
            if (body !== "one") return Effect.succeed(Response.make(body))
            Remote.hold(connection, 64 * kib)
            release = () => Remote.hold(connection, -64 * kib)
            return Effect.never
          }),
        { maxBuffered: "64KiB" }
      )
      const wire = connect()
      wire.data("one\ntwo\n")
      yield* turns
      assert.deepStrictEqual(begun, ["one"])
      release()
      wire.drain()
      yield* turns
      assert.deepStrictEqual(begun, ["one", "two"])
    })
  )
})

describe("a peer that does not read", () => {
  it.effect("is not read either, once 64 KiB wait for it, until it reads", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected(({ body }) => Effect.succeed(Response.make(body.repeat(80 * kib))))
      const wire = connect(false)
      wire.data("x\n")
      yield* turns
      wire.data("y\n")
      yield* turns
      assert.isTrue(wire.paused)
      for (let i = 0; i < 10; i++) {
        wire.read()
        yield* turns
      }
      assert.isFalse(wire.paused)
      assert.strictEqual(wire.written.length, 2 * (80 * kib + 1))
    })
  )

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

describe("a reply over maxReply that waits for those before it", () => {
  it.effect("is not kept, and fails in its turn", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { connect, server, total } = yield* connected(
        ({ body }) =>
          body === "first"
            ? Effect.as(latch.await, Response.make(body))
            : Effect.succeed(Response.make("r".repeat(100 * kib))),
        { maxReply: "1KiB" }
      )
      const wire = connect()
      wire.data("first\nover\n")
      yield* turns
      assert.isAtMost(total(), kib)
      yield* latch.open
      yield* turns
      assert.strictEqual(wire.written, "first\n")
      const { Completed, Failed } = yield* server.counts
      assert.deepStrictEqual([Completed, Failed], [1, 1])
    }).pipe(Effect.provide(logging))
  })
})

describe("what has arrived for a whole connection", () => {
  it.effect("is decoded as somebody reads it, a few messages ahead", () =>
    Effect.gen(function* () {
      let decoded = 0
      const protocol = Protocol.make<string>({
        name: "counting",
        decode: (input) => {
          if (input.length === 0) return Protocol.more()
          decoded++
          return Protocol.frame(String.fromCharCode(input[0] as number), 1)
        },
        encode: (text) => text
      })
      class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(protocol) }) {}
      const { accept, listen } = listener()
      const more = Latch.makeUnsafe()
      const handler = Handler.dialogue((connection: Connection.Connection<string, string>) =>
        Effect.andThen(more.await, Effect.andThen(connection.take, Effect.never)).pipe(Effect.ignore)
      )
      yield* Layer.build(Layer.provideMerge(Talk.serve(handler), Transport.layer(Talk, { drainTimeout: 0 }, listen)))
      const wire = new Peer()
      accept(wire)
      yield* turns
      wire.data("x".repeat(60 * kib))
      yield* turns
      assert.isAtMost(decoded, 129)
      assert.isTrue(wire.paused)
      yield* more.open
      yield* turns
      assert.isAtMost(decoded, 2 * 129)
    })
  )
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

  it.effect("reads those again that have more than their share when others have left", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected(holding, { maxMemory: "100KiB" })
      const [large, others] = [connect(), [connect(), connect()]]
      for (const other of others) hold(other, 10 * kib)
      hold(large, 19 * kib)
      yield* turns
      hold(large, 1)
      yield* turns
      assert.isTrue(large.paused)
      for (const other of others) other.gone()
      yield* turns
      assert.isFalse(large.paused)
    })
  )

  it.effect("holds datagrams back, where the system can, and takes them again", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { asked, receive } = yield* datagrams(() => Effect.as(latch.await, Response.empty), { maxMemory: "220KiB" })
      for (let i = 0; i < 5; i++) receive(`${i}${"x".repeat(20 * kib)}`)
      yield* turns
      assert.strictEqual(asked.at(-1), "pause")
      yield* latch.open
      yield* turns
      assert.strictEqual(asked.at(-1), "resume")
    }).pipe(Effect.provide(logging))
  })

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

  it.effect("resets the largest first, and no more than it has to", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, total } = yield* connected(holding, { maxMemory: "100KiB" })
      const sizes = [5, 9, 6, 12, 4, 9].map((kibs) => ({ kibs, wire: connect() }))
      for (const { kibs, wire } of sizes) hold(wire, kibs * kib)
      yield* turns
      assert.isAtMost(total(), 100 * kib)
      const another = connect()
      // Nobody new is let in by now, and who is there still asks.
      hold(sizes[0]!.wire, 5 * kib)
      yield* turns
      const reset = sizes.filter(({ wire }) => wire.asked().includes("reset")).map(({ kibs }) => kibs)
      assert.deepStrictEqual(reset, [12])
      assert.isFalse(another.started)
      assert.isAtMost(total(), 100 * kib)
    }).pipe(Effect.provide(logging))
  })

  it.effect("resets at most fifty in a turn of the event loop", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, total } = yield* connected(holding, { maxMemory: "1MiB", maxConnections: 2_000 })
      const wires = Array.from({ length: 600 }, () => connect())
      // What is held jumps over the limit within one turn.
      for (const wire of wires) hold(wire, kib)
      const left = () => wires.filter(({ isReset }) => !isReset).length
      let [before, most] = [left(), 0]
      for (let i = 0; i < 40; i++) {
        yield* Effect.yieldNow
        const now = left()
        most = Math.max(most, before - now)
        before = now
      }
      assert.isAtMost(total(), 1_048_576)
      assert.isBelow(left(), 550)
      assert.isAtMost(most, 50)
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
