import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Peer, Policy, Protocol, Response, Server, Session } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as NetAddress from "effect/net/NetAddress"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted } from "./support/scripted.ts"
import { counts, type LineHandler, Lines, logs } from "./support/serving.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

/** What has been begun has been done. */
const settled = Effect.promise(async () => {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Lets `millis` pass, and everything happen that they bring. */
const pass = (millis: number) => Effect.andThen(settled, Effect.andThen(TestClock.adjust(millis), settled))

/** A peer that does as it likes, and sees how the server ends the connection. */
const hostile = (name: string) =>
  Effect.map(MemoryServer.wire(name), (wire) => {
    const peer = {
      text: "",
      end: "none" as "none" | "closed" | "reset",
      wire,
      send: (text: string) =>
        Effect.andThen(
          settled,
          Effect.sync(() => void wire.write(text))
        )
    }
    wire.start({
      onData: (chunk) => (peer.text += new TextDecoder().decode(chunk)),
      onEnd: () => (peer.end = "closed"),
      onDrain: () => {},
      onFinish: () => {},
      onClose: (error) => (peer.end = error === undefined ? "closed" : "reset")
    })
    return peer
  })

type Hostile = Effect.Success<ReturnType<typeof hostile>>

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** What is sent is more than is taken of it, and nothing of it is read. */
const large: LineHandler = () => Effect.succeed(Response.make("x".repeat(200_000)))

const session = (handler: LineHandler) => Session.make<string, string>(() => Effect.succeed(handler))

type Kind = (handler: LineHandler, options: Transport.ServerOptions) => Layer.Layer<never, unknown>

/** Each kind of protocol, with something that answers each line. */
const kinds: Readonly<Record<"frames" | "sessions" | "whole connections", Kind>> = {
  frames: (handler, options) =>
    Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines, { ...options, name: "deadlines" })) as never,
  sessions: (handler, options) =>
    Layer.provideMerge(
      Lines.serve(session(handler)),
      MemoryServer.layer(Lines, { ...options, name: "deadlines" })
    ) as never,
  "whole connections": (handler, options) =>
    Layer.provideMerge(
      Talk.serve((request) =>
        request.body.stream.pipe(
          Stream.runForEach((line) =>
            Effect.flatMap(handler({ ...request, body: line } as never), (response) =>
              response._tag === "Reply" ? request.body.write(response.value) : Effect.void
            )
          ),
          Effect.ignore,
          Effect.as(Response.empty)
        )
      ),
      MemoryServer.layer(Talk, { ...options, name: "deadlines" })
    ) as never
}

const each = Object.entries(kinds)

const timeoutsOf = (context: Context.Context<never>) =>
  Effect.gen(function* () {
    const servers = context as unknown as Context.Context<Lines & Talk>
    const server = Context.getOption(servers, Lines as never) as Option.Option<
      Pick<Server.Server<never, never>, "timeouts">
    >
    const all = yield* Option.getOrElse(server, () => Context.get(context as never, Talk)).timeouts
    return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
  })

const scenario = (
  kind: Kind,
  handler: LineHandler,
  options: Transport.ServerOptions,
  test: (peer: Hostile, timeouts: Effect.Effect<unknown>) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(kind(handler, options))
    const peer = yield* hostile("deadlines")
    yield* settled
    yield* test(peer, timeoutsOf(context as never))
  })

describe.each(each)("the deadlines of %s", (_, kind) => {
  it.effect("end who sends a byte now and then, 30 seconds after the first of a frame", () =>
    scenario(kind, echo, {}, (peer, timeouts) =>
      Effect.gen(function* () {
        yield* peer.send("hello\nh")
        yield* pass(0)
        assert.strictEqual(peer.text, "hello\n")
        for (let second = 0; second < 29; second++) {
          yield* pass(1_000)
          yield* peer.send("x")
        }
        yield* pass(999)
        assert.strictEqual(peer.end, "none")
        yield* pass(1)
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { frame: 1 })
      })
    )
  )

  it.effect("leave who sends whole frames alone, and whoever is silent between two", () =>
    scenario(kind, echo, {}, (peer, timeouts) =>
      Effect.gen(function* () {
        for (let i = 0; i < 5; i++) {
          yield* peer.send("he")
          yield* pass(20_000)
          yield* peer.send("llo\nh")
          yield* pass(20_000)
          yield* peer.send("ello\n")
          yield* pass(3_600_000)
        }
        assert.strictEqual(peer.text, "hello\n".repeat(10))
        assert.deepStrictEqual(yield* timeouts, {})
      })
    )
  )

  it.effect("reset who reads nothing for 60 seconds", () =>
    scenario(kind, large, {}, (peer, timeouts) =>
      Effect.gen(function* () {
        yield* settled
        peer.wire.pause()
        yield* peer.send("hello\n")
        yield* pass(59_999)
        assert.strictEqual(peer.end, "none")
        assert.deepStrictEqual(yield* timeouts, {})
        yield* pass(1)
        assert.deepStrictEqual(yield* timeouts, { write: 1 })
        peer.wire.resume()
        yield* settled
        assert.strictEqual(peer.end, "reset")
      })
    )
  )

  it.effect("give who reads something all the time", () =>
    scenario(kind, large, {}, (peer, timeouts) =>
      Effect.gen(function* () {
        for (let i = 0; i < 5; i++) {
          peer.wire.pause()
          yield* peer.send("hello\n")
          yield* pass(50_000)
          peer.wire.resume()
          yield* pass(0)
        }
        assert.strictEqual(peer.text.length, 5 * 200_001)
        assert.deepStrictEqual(yield* timeouts, {})
      })
    )
  )

  it.effect("close who sends no first byte, where that is timed", () =>
    scenario(kind, echo, { firstByteTimeout: "5s" }, (peer, timeouts) =>
      Effect.gen(function* () {
        yield* pass(4_999)
        assert.strictEqual(peer.end, "none")
        yield* pass(1)
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { firstByte: 1 })
      })
    )
  )

  it.effect("close who is silent after a reply, where that is timed", () =>
    scenario(kind, echo, { firstByteTimeout: "5s", idleTimeout: "10s" }, (peer, timeouts) =>
      Effect.gen(function* () {
        yield* pass(4_999)
        yield* peer.send("hello\n")
        yield* pass(7_000)
        yield* peer.send("hello\n")
        yield* pass(9_999)
        assert.strictEqual(peer.end, "none")
        yield* pass(1)
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { idle: 1 })
      })
    )
  )

  it.effect("count no time in which something is handled as silence", () =>
    scenario(
      kind,
      (request) => Effect.as(Effect.sleep("1 minute"), Response.make(request.body)),
      { idleTimeout: "10s" },
      (peer) =>
        Effect.gen(function* () {
          yield* peer.send("a\n")
          yield* pass(60_000)
          assert.strictEqual(peer.text, "a\n")
          yield* pass(9_999)
          assert.strictEqual(peer.end, "none")
          yield* pass(1)
          assert.strictEqual(peer.end, "closed")
        })
    )
  )
})

/** Everything is served by lines from here on. */
const lines = <E>(
  work: LineHandler | Session.Session<string, string, never>,
  options: Transport.ServerOptions,
  test: (peer: Hostile) => Effect.Effect<void, E, Scope.Scope | Lines>
) =>
  Effect.gen(function* () {
    const peer = yield* hostile("deadlines")
    yield* settled
    yield* test(peer)
  }).pipe(
    Effect.provide(
      Layer.provideMerge(Lines.serve(work as LineHandler), MemoryServer.layer(Lines, { ...options, name: "deadlines" }))
    )
  )

const timeouts = Effect.gen(function* () {
  const all = yield* (yield* Lines).timeouts
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
})

describe("the deadline of a frame", () => {
  it.effect("stands still while nothing is read", () =>
    lines(
      (request) => Effect.as(Effect.sleep("10 minutes"), Response.make(request.body)),
      { maxPipelined: 1 },
      (peer) =>
        Effect.gen(function* () {
          const late = yield* hostile("deadlines")
          for (const either of [peer, late]) yield* either.send("one\ntwo\nth")
          // From now on it is read again.
          yield* pass(600_000)
          yield* pass(29_999)
          yield* peer.send("ree\n")
          yield* pass(1)
          yield* late.send("ree\n")
          yield* pass(600_000)
          yield* pass(600_000)
          assert.deepStrictEqual([peer.text, peer.end], ["one\ntwo\nthree\n", "none"])
          assert.deepStrictEqual([late.text, late.end], ["one\ntwo\n", "closed"])
        })
    )
  )

  it.effect("stands still while the handler of a whole connection has enough to read", () => {
    const handler: LineHandler = (request) => Effect.as(Effect.sleep("10 minutes"), Response.make(request.body))
    return scenario(kinds["whole connections"], handler, {}, (peer, timeouts) =>
      Effect.gen(function* () {
        yield* peer.send("one\ntwo\nth")
        yield* pass(600_000)
        // From now on it reads on.
        yield* pass(29_999)
        assert.deepStrictEqual([peer.text, peer.end], ["one\n", "none"])
        yield* pass(1)
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { frame: 1 })
      })
    )
  })

  it.effect("stands still while nothing is read because replies wait for their reader", () =>
    lines(large, { writeTimeout: "off" }, (peer) =>
      Effect.gen(function* () {
        peer.wire.pause()
        yield* peer.send("one\ntw")
        yield* pass(600_000)
        assert.strictEqual(peer.end, "none")
        peer.wire.resume()
        yield* pass(29_000)
        yield* peer.send("o\nth")
        yield* settled
        assert.strictEqual(peer.text.length, 2 * 200_001)
        yield* pass(30_000)
        assert.strictEqual(peer.end, "closed")
      })
    )
  )

  it.effect(
    "is no shorter than the largest frame takes at 16 KiB a second, which is said once where it was set",
    () => {
      const [entries, logging] = logs()
      return Effect.gen(function* () {
        class Large extends Server.Service<Large>()("Large", {
          protocol: Protocol.lines({ maxFrameBytes: 60 * 16_384 })
        }) {}
        yield* Layer.build(
          Layer.provideMerge(Large.serve(echo), MemoryServer.layer(Large, { name: "large", frameTimeout: "1s" }))
        )
        const peer = yield* hostile("large")
        yield* peer.send("x")
        yield* pass(59_999)
        assert.strictEqual(peer.end, "none")
        yield* pass(1)
        assert.strictEqual(peer.end, "closed")
        yield* Layer.build(
          Layer.provideMerge(Large.serve(echo), MemoryServer.layer(Large, { name: "enough", frameTimeout: "60s" }))
        )
        yield* Layer.build(Layer.provideMerge(Large.serve(echo), MemoryServer.layer(Large, { name: "by default" })))
        assert.deepStrictEqual(
          entries.filter(({ message }) => message.includes("is below what")).map(({ message }) => message),
          ["Large: frameTimeout 1s is below what a frame of 960KiB needs at 16KiB a second: 1m holds"]
        )
      }).pipe(Effect.provide(logging))
    }
  )

  it.effect("lets what came before be answered, and says what it was", () => {
    const [entries, layer] = logs()
    return lines(
      (request) => Effect.as(Effect.sleep("1 minute"), Response.make(request.body)),
      {},
      (peer) =>
        Effect.gen(function* () {
          yield* peer.send("one\ntw")
          yield* pass(30_000)
          yield* peer.send("o\n")
          assert.strictEqual(peer.end, "none")
          yield* pass(30_000)
          assert.strictEqual(peer.text, "one\n")
          assert.strictEqual(peer.end, "closed")
          assert.deepStrictEqual(yield* counts, { Completed: 1, TimedOut: 1 })
          const said = entries.filter(({ message }) => message.includes("a frame was"))
          assert.lengthOf(said, 1)
          assert.match(
            said[0]!.message,
            /^Lines: a connection from .* ended: a frame was not whole 30000 ms after its first byte$/
          )
        })
    ).pipe(Effect.provide(layer))
  })

  it.effect("can be off", () =>
    lines(echo, { frameTimeout: "off" }, (peer) =>
      Effect.gen(function* () {
        yield* peer.send("x")
        yield* pass(3_600_000)
        assert.strictEqual(peer.end, "none")
      })
    )
  )
})

describe("the deadline of a write", () => {
  it.effect("counts from when something last left", () =>
    lines(large, { writeTimeout: "10s", drainTimeout: 0 }, (peer) =>
      Effect.gen(function* () {
        peer.wire.pause()
        yield* peer.send("hello\n")
        yield* pass(9_000)
        // Takes one of its pieces, and no more.
        const before = peer.text.length
        peer.wire.resume()
        yield* settled
        assert.isAbove(peer.text.length, before)
        yield* peer.send("hello\n")
        peer.wire.pause()
        yield* pass(1_000)
        assert.strictEqual(peer.end, "none")
      })
    )
  )

  it.effect("counts anew when everything has left", () =>
    lines(large, {}, (peer) =>
      Effect.gen(function* () {
        peer.wire.pause()
        yield* peer.send("hello\n")
        yield* pass(30_000)
        peer.wire.resume()
        yield* pass(120_000)
        peer.wire.pause()
        yield* peer.send("hello\n")
        yield* pass(59_000)
        assert.deepStrictEqual(yield* timeouts, {})
        yield* pass(1_000)
        assert.deepStrictEqual(yield* timeouts, { write: 1 })
      })
    )
  )

  it.effect("frees what waits for the reader, handlers and all", () => {
    let released = false
    return lines(
      () =>
        Effect.succeed(
          Response.stream(
            Stream.forever(Stream.succeed("x".repeat(1_000))).pipe(
              Stream.ensuring(Effect.sync(() => void (released = true)))
            )
          )
        ),
      {},
      (peer) =>
        Effect.gen(function* () {
          peer.wire.pause()
          yield* peer.send("hello\n")
          yield* pass(59_999)
          assert.isFalse(released)
          yield* pass(1)
          assert.isTrue(released)
          assert.deepStrictEqual(yield* counts, { Cancelled: 1, TimedOut: 1 })
          assert.lengthOf(yield* (yield* Lines).connections, 0)
        })
    )
  })
})

describe("the deadline of silence", () => {
  it.effect("counts from when a peer has read what it was sent", () =>
    lines(large, { idleTimeout: "10s" }, (peer) =>
      Effect.gen(function* () {
        peer.wire.pause()
        yield* peer.send("hello\n")
        yield* pass(50_000)
        assert.strictEqual(peer.end, "none")
        peer.wire.resume()
        yield* settled
        assert.strictEqual(peer.text.length, 200_001)
        yield* pass(9_000)
        assert.strictEqual(peer.end, "none")
        // It was looked at a while before.
        yield* pass(1_000)
        yield* pass(1_000)
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { idle: 1 })
      })
    )
  )
})

describe("pushes", () => {
  it.effect("keep no dead peer alive", () =>
    lines(
      Session.make<string, string>((connection) =>
        Effect.as(
          Effect.forkScoped(Effect.ignore(Effect.forever(Effect.delay(connection.push("tick"), "1 second")))),
          echo
        )
      ) as never,
      { idleTimeout: "10s" },
      (peer) =>
        Effect.gen(function* () {
          yield* pass(9_999)
          assert.strictEqual(peer.end, "none")
          assert.strictEqual(peer.text, "tick\n".repeat(9))
          yield* pass(1)
          assert.strictEqual(peer.end, "closed")
        })
    )
  )
})

describe("the deadline of a request", () => {
  const options = { requestTimeout: "5s" } as const

  it.effect("counts waiting and handling, and closes after the replies before", () => {
    let begun = 0
    return lines(
      (request) =>
        Effect.suspend(() => {
          begun++
          return request.body === "quick" ? Effect.succeed(Response.make("quick")) : Effect.never
        }),
      options,
      (peer) =>
        Effect.gen(function* () {
          yield* peer.send("quick\nslow\nslow\n")
          yield* pass(4_999)
          assert.strictEqual(peer.text, "quick\n")
          assert.strictEqual(peer.end, "none")
          yield* pass(1)
          assert.strictEqual(peer.end, "closed")
          assert.strictEqual(begun, 3)
          assert.deepStrictEqual(yield* counts, { Completed: 1, TimedOut: 1, Cancelled: 1 })
          assert.deepStrictEqual(yield* timeouts, { request: 1 })
        })
    )
  })

  it.effect("of one that nobody takes is the same, and its handler never begins", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(MemoryServer.layer(Lines, { ...options, name: "deadlines" }))
      const peer = yield* hostile("deadlines")
      yield* peer.send("hello\n")
      yield* pass(4_999)
      assert.strictEqual(peer.end, "none")
      yield* pass(1)
      assert.strictEqual(peer.end, "closed")
      assert.deepStrictEqual(yield* Effect.provide(counts, context), { TimedOut: 1 })
    })
  )

  it.effect("is the time between two elements of a stream, its reader's left out", () =>
    lines(
      (request) =>
        Effect.succeed(
          Response.stream(
            Stream.fromIterable([4_000, 4_000, Number(request.body)]).pipe(
              Stream.mapEffect((millis) => Effect.as(Effect.sleep(millis), "x".repeat(100_000)))
            )
          )
        ),
      options,
      (peer) =>
        Effect.gen(function* () {
          yield* peer.send("4000\n")
          yield* pass(4_000)
          peer.wire.pause()
          yield* pass(4_000)
          yield* pass(50_000)
          peer.wire.resume()
          yield* pass(4_000)
          assert.strictEqual(peer.text.length, 300_003)
          assert.deepStrictEqual(yield* counts, { Completed: 1 })
          yield* peer.send("6000\n")
          yield* pass(8_000)
          yield* pass(4_999)
          assert.strictEqual(peer.end, "none")
          yield* pass(1)
          assert.strictEqual(peer.end, "closed")
          assert.deepStrictEqual(yield* counts, { Completed: 1, TimedOut: 1 })
        })
    )
  )

  it.effect("is not for whole connections", () =>
    // The other times have it looked at now and then.
    scenario(kinds["whole connections"], echo, { ...options, idleTimeout: "10s" }, (peer, timeouts) =>
      Effect.gen(function* () {
        for (let i = 0; i < 6; i++) {
          yield* pass(9_000)
          yield* peer.send("hello\n")
          yield* settled
        }
        assert.strictEqual(peer.text, "hello\n".repeat(6))
        assert.deepStrictEqual(yield* timeouts, {})
      })
    )
  )

  it.effect("of one that its policy has taken, and has no place for, is its end", () =>
    Effect.gen(function* () {
      class Keyed extends Server.Service<Keyed>()("Keyed", {
        protocol: Protocol.lines(),
        key: ({ body }) => body.split(" ", 1)[0]
      }) {}
      const begun: Array<string> = []
      const handler: LineHandler = ({ body }) =>
        Effect.sync(() => {
          begun.push(body)
          // Elements in time, for a while.
          const elements = Stream.fromIterable(Array.from({ length: Number(body.split(" ")[1]) }, () => body))
          return Response.stream(Stream.tap(elements, () => Effect.sleep("4 seconds")))
        })
      yield* Layer.build(
        Layer.provideMerge(
          Keyed.serve(handler, { policy: Policy.keyed() }),
          MemoryServer.layer(Keyed, { ...options, name: "keyed" })
        )
      )
      const [one, two] = [yield* hostile("keyed"), yield* hostile("keyed")]
      yield* one.send("a 3\n")
      // Its first is answered for long, and its second waits for the key of another connection.
      yield* two.send("b 6\na 1\n")
      yield* pass(4_000)
      yield* pass(1_000)
      for (let i = 0; i < 8; i++) yield* pass(4_000)
      assert.deepStrictEqual(begun, ["a 3", "b 6"])
      assert.strictEqual(two.text, "b 6\n".repeat(6))
      assert.strictEqual(two.end, "closed")
    })
  )

  it.effect("drops a datagram that is not answered in time", () =>
    Effect.gen(function* () {
      const layer = MemoryServer.layerDatagrams(Lines, { ...options, name: "deadlines" })
      const context = yield* Layer.build(
        Layer.provideMerge(
          Lines.serve(() => Effect.never),
          layer
        )
      )
      const wire = yield* MemoryServer.wire("deadlines")
      wire.start({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onFinish: () => {}, onClose: () => {} })
      wire.write("hello")
      yield* pass(4_999)
      assert.deepStrictEqual(yield* Effect.provide(counts, context), {})
      yield* pass(1)
      assert.deepStrictEqual(yield* Effect.provide(counts, context), { TimedOut: 1 })
      assert.lengthOf(yield* Effect.flatMap(Effect.provide(Lines, context), (server) => server.connections), 0)
    })
  )
})

describe("the deadline of a login", () => {
  it.effect("refuses who is not set up in 30 seconds, and what was asked meanwhile", () => {
    let released = false
    return lines(
      Session.make<string, string>(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (released = true)))
      ) as never,
      {},
      (peer) =>
        Effect.gen(function* () {
          const silent = yield* hostile("deadlines")
          yield* peer.send("hello\n")
          yield* pass(29_999)
          assert.strictEqual(peer.end, "none")
          yield* pass(1)
          assert.strictEqual(peer.end, "closed")
          assert.strictEqual(silent.end, "closed")
          assert.deepStrictEqual(yield* counts, { Refused: 2 })
          yield* pass(1_000)
          assert.isTrue(released)
        })
    )
  })

  it.effect("is over once one is set up", () =>
    lines(Session.make<string, string>(() => Effect.as(Effect.sleep("29 seconds"), echo)) as never, {}, (peer) =>
      Effect.gen(function* () {
        yield* pass(29_000)
        yield* pass(3_600_000)
        yield* peer.send("hello\n")
        yield* settled
        assert.strictEqual(peer.text, "hello\n")
      })
    )
  )
})

describe("the lifetime of a connection", () => {
  it.effect("ends with the first reply after it, so that no request crosses with the close", () =>
    lines(echo, { maxLifetime: "1m" }, (peer) =>
      Effect.gen(function* () {
        yield* pass(59_999)
        yield* peer.send("one\n")
        yield* pass(1)
        assert.strictEqual(peer.end, "none")
        yield* pass(3_600_000)
        assert.strictEqual(peer.end, "none")
        yield* peer.send("two\n")
        yield* settled
        assert.strictEqual(peer.text, "one\ntwo\n")
        assert.strictEqual(peer.end, "closed")
        assert.deepStrictEqual(yield* timeouts, { lifetime: 1 })
      })
    )
  )

  it.effect("answers what was received before it ends", () =>
    lines(
      (request) => Effect.as(Effect.sleep("40 seconds"), Response.make(request.body)),
      { maxLifetime: "1m", maxPipelined: 1 },
      (peer) =>
        Effect.gen(function* () {
          yield* peer.send("one\ntwo\nthree\n")
          for (let i = 0; i < 3; i++) yield* pass(40_000)
          assert.strictEqual(peer.text, "one\ntwo\nthree\n")
          assert.strictEqual(peer.end, "closed")
          assert.deepStrictEqual(yield* counts, { Completed: 3 })
        })
    )
  )
})

describe("a server that is full", () => {
  const options = { maxConnections: 3 }

  it.effect("makes room by who has asked for nothing for longest, a second at least", () => {
    const [entries, layer] = logs()
    return lines(echo, options, (first) =>
      Effect.gen(function* () {
        const second = yield* hostile("deadlines")
        const third = yield* hostile("deadlines")
        yield* first.send("one\n")
        yield* pass(500)
        yield* second.send("half a li")
        yield* third.send("three\n")
        yield* pass(499)
        const early = yield* hostile("deadlines")
        yield* settled
        assert.notStrictEqual(early.end, "none")
        assert.deepStrictEqual([first.end, second.end, third.end], ["none", "none", "none"])

        yield* pass(1)
        const next = yield* hostile("deadlines")
        yield* next.send("served\n")
        yield* settled
        assert.strictEqual(next.text, "served\n")
        assert.notStrictEqual(second.end, "none")
        assert.deepStrictEqual([first.end, third.end], ["none", "none"])
        assert.deepStrictEqual(yield* timeouts, { evicted: 1 })
        const told = entries.filter(({ level }) => level === "Warn").map(({ message }) => message)
        assert.lengthOf(told, 1)
        assert.match(told[0]!, /^Lines: maxConnections \(3\) is reached: refused memory:deadlines#\d+$/)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect(
    "takes the room from the peer that has most, and of its connections from the one that was of no use longest",
    () => {
      const [, layer] = logs()
      return Effect.gen(function* () {
        const { accept, listen } = listener()
        const limits = { maxConnections: 5, maxConnectionsPerPeer: "off", drainTimeout: 0 } as const
        yield* Layer.build(Layer.provideMerge(Lines.serve(echo), Transport.layer(Lines, limits, listen)))
        const connect = (host: string) => {
          const wire = new Scripted({
            peer: Peer.make({
              transport: "tcp",
              name: `${host}:5`,
              address: () => NetAddress.inetAddressFromNativeUnsafe(host, 5)
            })
          })
          accept(wire)
          return { host, wire, isGone: () => wire.asked().some((asked) => asked === "destroy" || asked === "reset") }
        }
        const oldest = connect("192.0.2.2")
        yield* pass(1_000)
        const many = [connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.1")]
        const other = connect("192.0.2.3")
        for (const at of [0, 2]) {
          yield* pass(1_000)
          many[at]!.wire.data("hello\n")
          yield* settled
        }
        yield* pass(5_000)
        for (const goes of [1, 0]) {
          const next = connect(`192.0.2.${10 + goes}`)
          yield* settled
          assert.isTrue(next.wire.started)
          assert.deepStrictEqual(
            many.map(({ isGone }) => isGone()),
            many.map((_, at) => at === goes)
          )
        }
        assert.deepStrictEqual([oldest.isGone(), other.isGone()], [false, false])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }
  )

  it.effect("refuses the newcomer where everybody is served, is sent something, or was pushed to", () =>
    lines(
      (request) =>
        request.body === "push"
          ? Effect.as(Effect.orDie(request.connection.push("pushed")), Response.make("done"))
          : request.body === "large"
            ? large(request)
            : Effect.never,
      { ...options, drainTimeout: 0 },
      (busy) =>
        Effect.gen(function* () {
          const unread = yield* hostile("deadlines")
          const pushed = yield* hostile("deadlines")
          yield* busy.send("wait\n")
          unread.wire.pause()
          yield* unread.send("large\n")
          yield* pushed.send("push\n")
          yield* pass(30_000)
          const next = yield* hostile("deadlines")
          yield* settled
          assert.notStrictEqual(next.end, "none")
          assert.deepStrictEqual([busy.end, unread.end, pushed.end], ["none", "none", "none"])
          assert.deepStrictEqual(yield* timeouts, {})
          assert.strictEqual((yield* counts).Refused, 1)
        })
    )
  )

  for (const [kind, serve] of each.slice(1)) {
    it.effect(`refuses the newcomer where its connections are ${kind}`, () =>
      scenario(serve, echo, { maxConnections: 1 }, (peer, timeouts) =>
        Effect.gen(function* () {
          yield* pass(60_000)
          const next = yield* hostile("deadlines")
          yield* settled
          assert.strictEqual(peer.end, "none")
          assert.notStrictEqual(next.end, "none")
          assert.deepStrictEqual(yield* timeouts, {})
        })
      )
    )
  }
})

describe("durations that are none", () => {
  for (const [option, value] of [
    ["frameTimeout", 0],
    ["writeTimeout", -1],
    ["requestTimeout", "soon"],
    ["loginTimeout", "0s"],
    ["maxLifetime", "-1s"],
    ["firstByteTimeout", 0],
    ["idleTimeout", "30"]
  ] as const) {
    it.effect(`are refused with the mend: ${option}=${value}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(MemoryServer.layer(Lines, { [option]: value }))))
        assert.include(error.message, `${option} of Lines: it must be a positive time, not`)
        assert.include(error.message, 'write "30 seconds", or "off"')
      })
    )
  }
})
