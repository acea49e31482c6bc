/** What an operator does to a server while it runs. */
import { assert, describe, it } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const utf8 = new TextEncoder()

/** A server whose requests are answered when the gate is opened, with the most that were at work at once. */
const gated = (options?: MemoryServer.MemoryServerOptions) => {
  const gate = Deferred.makeUnsafe<void>()
  const seen = { now: 0, most: 0 }
  const handler: Handler.Handler<string, string> = ({ body }) =>
    Effect.suspend(() => {
      seen.most = Math.max(seen.most, ++seen.now)
      return Effect.as(
        Effect.ensuring(
          Deferred.await(gate),
          Effect.sync(() => void seen.now--)
        ),
        Response.make(body)
      )
    })
  const layer = Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines, options))
  return { layer, seen, open: Deferred.succeed(gate, undefined) }
}

describe("the limits of a server that runs", () => {
  it.effect("are read, and changed one by one", () =>
    Effect.gen(function* () {
      const { control } = yield* Lines
      const before = yield* control.limits
      assert.strictEqual(before.maxPipelined, 16)
      const changed = yield* control.change({ idleTimeout: "5 minutes", maxConnections: undefined })
      assert.deepStrictEqual(changed, { ...before, idleMillis: 300_000 })
      assert.deepStrictEqual(yield* control.limits, changed)
      // They can be sent, and are what can be changed.
      assert.isTrue(Object.values(changed).every((value) => typeof value === "number"))
    }).pipe(Effect.provide(MemoryServer.layer(Lines, { maxPipelined: 16 })))
  )

  it.effect("have room for a frame, however large its protocol lets that be", () => {
    class Large extends Server.Service<Large>()("Large", { protocol: Protocol.lines({ maxFrameBytes: 16_777_216 }) }) {}
    return Effect.gen(function* () {
      const { maxBuffered, maxReply } = yield* (yield* Large).control.limits
      assert.deepStrictEqual([maxBuffered, maxReply], [16_777_216, 16_777_216])
    }).pipe(Effect.provide(MemoryServer.layer(Large)))
  })

  it.effect("stay as they are when one of them is wrong", () =>
    Effect.gen(function* () {
      const { control } = yield* Lines
      const before = yield* control.limits
      const error = yield* Effect.flip(control.change({ maxPipelined: 0, drainTimeout: "1 second" }))
      assert.strictEqual(error.reason._tag, "InvalidOption")
      assert.match(error.message, /maxPipelined/)
      assert.deepStrictEqual(yield* control.limits, before)
    }).pipe(Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("lowered under load hold for the next request, and none is lost", () => {
    const { layer, open, seen } = gated({ maxPipelined: 8 })
    return Effect.gen(function* () {
      const { control } = yield* Lines
      const client = yield* Lines.rawClient
      const all = Array.from({ length: 40 }, (_, i) => `${i}`)
      yield* client.write(utf8.encode(all.map((line) => `${line}\n`).join("")))
      yield* turns
      assert.strictEqual(seen.most, 8)
      yield* control.change({ maxPipelined: 2 })
      seen.most = 0
      yield* open
      const received = yield* client.stream.pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.take(40),
        Stream.runCollect
      )
      assert.deepStrictEqual(received, all)
      assert.isAtMost(seen.most, 8)
      // The eight that had begun were eight; from then on there are two at a time.
      const next = Lines.rawClient.pipe(
        Effect.tap((client) => client.write(utf8.encode("a\nb\nc\nd\n"))),
        Effect.andThen(turns)
      )
      seen.most = 0
      yield* next
      assert.isAtMost(seen.most, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("raised let what waits begin at once", () => {
    const { layer, open, seen } = gated({ maxPipelined: 1 })
    return Effect.gen(function* () {
      const { control } = yield* Lines
      const client = yield* Lines.rawClient
      yield* client.write(utf8.encode("a\nb\nc\nd\n"))
      yield* turns
      assert.strictEqual(seen.now, 1)
      yield* control.change({ maxPipelined: 3 })
      yield* turns
      assert.strictEqual(seen.now, 3)
      yield* open
      yield* turns
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("hold for connections that come later: those that are open stay", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const clients = [yield* Lines.client, yield* Lines.client, yield* Lines.client]
      yield* server.control.change({ maxConnections: 2 })
      assert.strictEqual((yield* server.connections).length, 3)
      const late = yield* Lines.client
      assert.isTrue(["Done", "ConnectionError"].includes((yield* Effect.flip(late.take))._tag))
      assert.strictEqual((yield* server.counts).Refused, 1)
      yield* clients[0]!.close
      yield* clients[1]!.close
      yield* turns
      const next = yield* Lines.client
      assert.strictEqual(yield* next.send("hello"), "hello")
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )

  it.effect("lowered below what is open have nobody make room for who is refused all the same", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const open = Effect.map(server.connections, (all) => all.length)
      for (let i = 0; i < 5; i++) yield* (yield* Lines.client).send("hello")
      yield* TestClock.adjust("1 minute")
      yield* server.control.change({ maxConnections: 3 })
      for (let i = 0; i < 4; i++) {
        yield* Effect.exit(Effect.scoped(Effect.flatMap(Lines.client, (late) => late.take)))
        assert.strictEqual(yield* open, 5)
      }
      assert.deepStrictEqual((yield* server.refusals).MaxConnections, 4)
      // Where one is enough it makes room, as ever.
      yield* server.control.change({ maxConnections: 5 })
      const next = yield* Lines.client
      assert.strictEqual(yield* next.send("hello"), "hello")
      assert.strictEqual(yield* open, 5)
      assert.strictEqual((yield* server.refusals).MadeRoom, 1)
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )

  it.effect("turn the time of silence on, shorten it, and turn it off", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const open = Effect.map(server.connections, (all) => all.length)
      yield* Lines.client
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* open, 1)
      yield* server.control.change({ idleTimeout: "1 hour" })
      yield* server.control.change({ idleTimeout: "1 second" })
      yield* TestClock.adjust("2 seconds")
      yield* turns
      assert.strictEqual(yield* open, 0)
      yield* Lines.client
      yield* server.control.change({ idleTimeout: Infinity })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* open, 1)
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )

  it.effect("bound the next message of connections that are open", () => {
    let size = 100
    const served = Lines.serve(() => Effect.sync(() => Response.make("r".repeat(size))))
    return Effect.gen(function* () {
      const server = yield* Lines
      const [client, other] = [yield* Lines.client, yield* Lines.client]
      assert.strictEqual((yield* client.send("one")).length, 100)
      yield* server.control.change({ maxReply: 99 })
      yield* Effect.exit(client.send("two"))
      assert.strictEqual((yield* server.counts).Failed, 1)
      // With the end of its line.
      size = 98
      assert.strictEqual((yield* other.send("three")).length, 98)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(served, MemoryServer.layer(Lines)).pipe(Layer.provide(Logger.layer([]))))
    )
  })

  it.effect("are what a policy sees that has been placed", () => {
    let placement: Policy.Placement<never, never> | undefined
    const policy: Policy.Policy = {
      ...Policy.fiber(),
      place: (served, placed) =>
        Effect.sync(() => {
          placement = placed as never
          return served
        })
    }
    const served = Lines.serve(({ body }) => Effect.succeed(Response.make(body)), { policy })
    return Effect.gen(function* () {
      const { control } = yield* Lines
      assert.strictEqual(placement?.startMillis, 30_000)
      yield* control.change({ startTimeout: "5 seconds", placeTimeout: "2 seconds" })
      assert.deepStrictEqual([placement?.startMillis, placement?.placeMillis], [5_000, 2_000])
    }).pipe(Effect.provide(Layer.provideMerge(served, MemoryServer.layer(Lines))))
  })

  it.effect("give the next stop its deadline", () => {
    const { layer } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      yield* client.write("never")
      yield* turns
      yield* server.control.change({ drainTimeout: "2 seconds" })
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* server.control.change({ drainTimeout: "1 second" })
      yield* TestClock.adjust("1999 millis")
      yield* turns
      assert.isUndefined(stop.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(stop)).millis, 2_000)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("a deadline that is changed", () => {
  /** What each waits for. */
  const waits: Record<string, (wire: Scripted) => void> = {
    firstByte: () => {},
    frame: (wire) => wire.data("half a li"),
    request: (wire) => wire.data("never\n"),
    write: (wire) => {
      wire.accepts = false
      wire.bytesUnsent = 6
      wire.data("hello\n")
    },
    idle: (wire) => wire.data("hello\n")
  }
  const off = Object.fromEntries(Object.keys(waits).map((name) => [`${name}Timeout`, "off" as const]))
  for (const [name, wait] of Object.entries(waits)) {
    for (const before of ["off", "1 hour"] as const) {
      it.effect(`holds for who is waited for already: ${name}, ${before} before`, () => {
        const { accept, listen } = listener()
        const handler: Handler.Handler<string, string> = ({ body }) =>
          body === "never" ? Effect.never : Effect.succeed(Response.make(body))
        const options = { ...off, drainTimeout: 0, [`${name}Timeout`]: before }
        return Effect.gen(function* () {
          const server = yield* Lines
          const wire = new Scripted()
          accept(wire)
          wait(wire)
          yield* turns
          yield* TestClock.adjust("10 seconds")
          assert.lengthOf(yield* server.connections, 1)
          yield* server.control.change({ [`${name}Timeout`]: "2 seconds" })
          yield* TestClock.adjust("3 seconds")
          yield* turns
          assert.lengthOf(yield* server.connections, 0)
          const timeouts = Object.entries(yield* server.timeouts).filter(([, count]) => count > 0)
          assert.deepStrictEqual(timeouts, [[name, 1]])
        }).pipe(Effect.provide(Layer.provideMerge(Lines.serve(handler), Transport.layer(Lines, options, listen))))
      })
    }
  }
})

describe("accepting", () => {
  it.effect("is suspended and resumed: what was accepted is served", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const before = yield* Lines.client
      yield* server.control.suspend
      assert.isTrue(yield* server.control.isSuspended)
      const late = yield* Lines.client
      assert.isTrue(["Done", "ConnectionError"].includes((yield* Effect.flip(late.take))._tag))
      assert.strictEqual(yield* before.send("still here"), "still here")
      const { Refused } = yield* server.counts
      assert.strictEqual(Refused, 1)
      yield* server.control.resume
      assert.isFalse(yield* server.control.isSuspended)
      const next = yield* Lines.client
      assert.strictEqual(yield* next.send("hello"), "hello")
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )

  it.effect("is told as refused, with the reason", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const heard = yield* Effect.forkScoped(Stream.runHead(server.outcomes), { startImmediately: true })
      yield* turns
      yield* server.control.suspend
      yield* Lines.client
      const event = yield* Fiber.join(heard)
      assert.deepStrictEqual(
        event._tag === "Some" ? event.value.outcome : undefined,
        Outcome.refused("accepting is suspended", "Suspended")
      )
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )

  it.effect("that is suspended does not keep a stop from ending", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      yield* Lines.client
      yield* server.control.suspend
      assert.strictEqual((yield* server.shutdown).millis, 0)
      yield* server.control.resume
      yield* server.control.change({ idleTimeout: "1 second" })
    }).pipe(Effect.scoped, Effect.provide(echoing()))
  )
})

describe("a connection", () => {
  it.effect("is closed by its id, once", () => {
    const { layer } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      const other = yield* Lines.client
      yield* client.write("waits")
      yield* turns
      const [first] = yield* server.connections
      assert.isTrue(yield* server.control.close(first!.id))
      assert.isTrue(["Done", "ConnectionError"].includes((yield* Effect.flip(client.take))._tag))
      yield* client.close
      yield* turns
      assert.isFalse(yield* server.control.close(first!.id))
      assert.isFalse(yield* server.control.close(4_711))
      assert.strictEqual((yield* server.counts).Cancelled, 1)
      assert.strictEqual((yield* server.connections).length, 1)
      yield* other.close
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

function echoing(options?: MemoryServer.MemoryServerOptions) {
  return Layer.provideMerge(
    Lines.serve((request) => Effect.succeed(Response.make(request.body))),
    MemoryServer.layer(Lines, options)
  )
}
