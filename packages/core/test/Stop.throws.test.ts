/** A stop ends at its deadline, and not before it has to, whatever a transport, a hook or a handler throws on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Answers what it is asked for, and never `never`. */
const handler = ({ body }: Request.Request<string>) =>
  body === "never" ? Effect.never : Effect.succeed(Response.make(body))

type Method = "start" | "write" | "pause" | "resume" | "end" | "destroy" | "reset"
const methods: ReadonlyArray<Method> = ["start", "write", "pause", "resume", "end", "destroy", "reset"]

/** A wire that throws when one of its methods is called, from the moment at which the test says so. */
class Throwing extends Scripted {
  readonly throws: Set<Method | "bytesUnsent" | "nothing">
  armed = true

  constructor(...throws: ReadonlyArray<Method | "bytesUnsent">) {
    super()
    this.throws = new Set(throws)
    let unsent = 0
    Object.defineProperty(this, "bytesUnsent", {
      get: () => {
        this.fail("bytesUnsent")
        return unsent
      },
      set: (bytes: number) => {
        unsent = bytes
      }
    })
    for (const method of methods) {
      const does = (this[method] as (...args: ReadonlyArray<unknown>) => unknown).bind(this)
      Object.defineProperty(this, method, {
        value: (...args: ReadonlyArray<unknown>) => {
          this.fail(method)
          return does(...args)
        }
      })
    }
  }

  private fail(method: Method | "bytesUnsent"): void {
    if (this.armed && this.throws.has(method)) throw new Error(`${method} threw`)
  }
}

/** A transport whose listener does what the test says. */
const scripted = (listening: Partial<Transport.Listening>, options: Transport.ServerOptions = {}) => {
  const address = Endpoint.memory("scripted")
  const logged: Array<string> = []
  let sink!: Transport.Sink
  const layer = Layer.provide(
    Transport.layer(Lines, { drainTimeout: "5 seconds", ...options }, (given) => {
      sink = given
      return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("scripted"), ...listening })
    }),
    Logger.layer([Logger.make(({ message }) => logged.push(String(message)))])
  )
  return { layer, logged, sink: () => sink, address }
}

const served = (
  layer: Layer.Layer<Lines, unknown>,
  work: Handler.Handler<string, string> | Session.Session<string, string> = handler
): Layer.Layer<Lines, unknown> => Layer.provideMerge(Lines.serve(work), layer)

/** Stops, and says after how many milliseconds it had ended: it is looked at each time before and after. */
const stopping = (millis: number) =>
  Effect.gen(function* () {
    const server = yield* Lines
    const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
    yield* turns
    if (millis > 0) {
      yield* TestClock.adjust(millis - 1)
      yield* turns
      assert.isUndefined(stop.pollUnsafe(), `ended before ${millis} ms`)
      yield* TestClock.adjust(1)
    }
    yield* turns
    assert.isDefined(stop.pollUnsafe(), `had not ended at ${millis} ms`)
    const report = yield* Fiber.join(stop)
    assert.strictEqual(report.millis, millis)
    return report
  })

const throws = (what: string) => () => {
  throw new Error(`${what} threw`)
}

describe("a stop ends, and tells it", () => {
  it.effect.each([
    { what: "close", listening: { close: throws("close") }, told: "when memory:scripted was closed: close threw" },
    { what: "ended", listening: { ended: throws("ended") }, told: "when memory:scripted was ended: ended threw" }
  ])("when a listener's $what throws, with what is in flight cut off at the deadline", ({ listening, told }) => {
    const { layer, logged, sink } = scripted(listening)
    return Effect.gen(function* () {
      const [busy, idle] = [new Scripted(), new Scripted()]
      sink().accept(busy)
      sink().accept(idle)
      busy.data("never\n")
      yield* turns
      const report = yield* stopping(5_000)
      assert.strictEqual(report.interrupted, 1)
      assert.deepStrictEqual(report.problems, [told])
      assert.strictEqual(logged.filter((line) => line === `Lines: ${told}`).length, 1)
      assert.include(idle.asked().join(), "end")
      assert.include(busy.asked().join(), "destroy")
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect("when one of several listeners throws: the others close and end as well", () => {
    const steps: Array<string> = []
    const listen =
      (name: string, close: () => void, ended: () => void): Transport.Listen =>
      () =>
        Effect.succeed({ address: Endpoint.memory(name), close, ended, connect: MemoryServer.wire(name) })
    const layer = Transport.layer(Lines, { drainTimeout: "5 seconds" }, [
      listen("one", throws("close"), throws("ended")),
      listen(
        "two",
        () => void steps.push("closed"),
        () => void steps.push("ended")
      )
    ])
    return Effect.gen(function* () {
      const { problems } = yield* stopping(0)
      assert.deepStrictEqual(steps, ["closed", "ended"])
      assert.strictEqual(problems?.length, 2)
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect.each(
    [...methods, "bytesUnsent" as const].flatMap((method) => [
      { method, asks: "" },
      { method, asks: "hello\n" },
      { method, asks: "never\n" }
    ])
  )("when a wire's $method throws, asked $asks", ({ asks, method }) => {
    const { layer, sink } = scripted({})
    return Effect.gen(function* () {
      const odd = new Throwing(method)
      const sound = new Scripted()
      sink().accept(odd)
      sink().accept(sound)
      sound.data("never\n")
      if (asks !== "") odd.data(asks)
      yield* turns
      const report = yield* stopping(5_000)
      // It has cost its own connection at most: the other one was waited for until the deadline, and cut off.
      assert.isAtLeast(report.interrupted, 1)
      assert.include(sound.asked().join(), "destroy")
      const server = yield* Lines
      assert.deepStrictEqual(yield* server.connections, [])
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect.each(["write", "pause"] as const)(
    "and a server goes on when a wire's %s throws before a stop",
    (method) => {
      const { layer, logged, sink } = scripted({}, { maxPipelined: 1, drainTimeout: 0 })
      return Effect.gen(function* () {
        const odd = new Throwing(method)
        const sound = new Scripted()
        sink().accept(odd)
        sink().accept(sound)
        odd.data("a\nb\n")
        yield* turns
        sound.data("c\n")
        yield* turns
        assert.include(sound.asked().join(), "write c")
        const server = yield* Lines
        assert.strictEqual((yield* server.connections).length, 1)
        assert.deepStrictEqual(logged, [`Lines: the wire of memory:scripted failed: ${method} threw`])
      }).pipe(Effect.scoped, Effect.provide(served(layer)))
    }
  )

  it.effect("when an opening's destroy throws", () => {
    const { address, layer, sink } = scripted({})
    return Effect.gen(function* () {
      const opening = { listener: address, peer: Peer.make({ transport: "memory", name: "peer" }) }
      sink().open({ ...opening, begun: () => false, secure: () => Effect.never, destroy: throws("destroy") })
      const { problems } = yield* stopping(0)
      assert.deepStrictEqual(problems, ["a peer of memory:scripted cannot be turned away: destroy threw"])
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect("when a listener cannot be held back, or resumed", () => {
    const flow = { pause: throws("pause"), resume: throws("resume") }
    const { address, layer, logged, sink } = scripted({ flow }, { maxConnections: 1 })
    return Effect.gen(function* () {
      const replies: Array<string> = []
      const peer = Peer.make({ transport: "memory", name: "peer" })
      for (const text of ["one", "two"]) {
        const reply: Wire.Datagram["reply"] = (data, sent) => {
          replies.push(new TextDecoder().decode(data))
          sent()
        }
        sink().receive({ data: new TextEncoder().encode(text), peer, listener: address, reply })
        yield* turns
      }
      assert.deepStrictEqual(replies, ["one", "two"])
      assert.deepStrictEqual(logged, [
        "Lines: when memory:scripted was held back: pause threw",
        "Lines: when memory:scripted was resumed: resume threw"
      ])
      yield* stopping(0)
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect("when the way back of a datagram throws: that is how its request ended", () => {
    const { address, layer, sink } = scripted({})
    return Effect.gen(function* () {
      const peer = Peer.make({ transport: "memory", name: "peer" })
      sink().receive({ data: new TextEncoder().encode("one"), peer, listener: address, reply: throws("reply") })
      yield* turns
      const { counts } = yield* stopping(0)
      assert.strictEqual(counts.Undelivered, 1)
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })

  it.effect("when the state of a connection cannot be released: the others' is", () => {
    const released: Array<string> = []
    const session = Session.make<string, string, never, Scope.Scope>(() =>
      Effect.as(
        Effect.addFinalizer(() => {
          if (released.push("one") === 1) throw new Error("it is gone")
          return Effect.void
        }),
        handler
      )
    )
    const { layer, sink } = scripted({})
    return Effect.gen(function* () {
      for (let i = 0; i < 2; i++) {
        const wire = new Scripted({ resetsOnClose: false })
        sink().accept(wire)
        yield* turns
        wire.gone()
      }
      yield* turns
      const { problems } = yield* stopping(0)
      assert.strictEqual(released.length, 2)
      assert.deepStrictEqual(problems, ["the state of a connection was not released: it is gone"])
    }).pipe(Effect.scoped, Effect.provide(served(layer, session as never)))
  })

  it.effect("when a policy says that of a connection whose state is elsewhere", () => {
    const { layer, logged } = scripted({})
    const policy: Policy.Policy = {
      ...Policy.fiber(),
      place: (served, server) =>
        Effect.sync(() => {
          server.unreleased(new Error("it is gone"))
          return served
        })
    }
    return Effect.gen(function* () {
      const { problems } = yield* stopping(0)
      assert.deepStrictEqual(problems, ["the state of a connection was not released: it is gone"])
      assert.deepStrictEqual(logged, ["Lines: the state of a connection was not released: it is gone"])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler, { policy }), layer)))
  })

  it.effect("also when nobody serves it, and when its listener dies", () => {
    const { layer, sink } = scripted({ close: throws("close"), ended: throws("ended") })
    return Effect.gen(function* () {
      const wire = new Scripted()
      sink().accept(wire)
      wire.data("hello\n")
      sink().fail(new Error("the listener died"))
      yield* turns
      yield* TestClock.adjust("5 seconds")
      yield* turns
      const server = yield* Lines
      assert.strictEqual((yield* server.shutdown).problems?.length, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("and hears of a text once, however often it is thrown", () => {
    const { layer, logged, sink } = scripted({})
    return Effect.gen(function* () {
      for (let i = 0; i < 3; i++) sink().accept(new Throwing("start"))
      const { problems } = yield* stopping(0)
      assert.deepStrictEqual(problems, ["the wire of memory:scripted failed: start threw (3 times)"])
      assert.strictEqual(logged.length, 1)
    }).pipe(Effect.scoped, Effect.provide(served(layer)))
  })
})
