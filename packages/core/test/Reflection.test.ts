/** How much goes back to senders of datagrams, who may be others than they say. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Peer from "@socketserver/core/Peer"
import * as Response from "@socketserver/core/Response"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as ReflectionModule from "../src/internal/reflection.ts"
import { datagramOf, front, inet } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { type LineHandler, logs } from "./support/serving.ts"

// Not exported, as it should be: a test alone looks at it.
const { networkOf } = await vi.importActual<typeof ReflectionModule>("../src/internal/reflection.ts")

const [, quiet] = logs()

/** A server that answers with as many letters as it is told, in so many datagrams. */
const telling: LineHandler = ({ body }) => {
  const [count = 0, times = 1] = body.split(" ").map(Number)
  return Effect.succeed(Response.stream(Stream.fromIterable(Array.from({ length: times }, () => "x".repeat(count)))))
}

const served = (options: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const { server, sink } = yield* front(options, telling)
    return {
      server,
      ask: (peer: Peer.Peer, text: string) =>
        Effect.gen(function* () {
          const replies: Array<string> = []
          sink.receive(datagramOf(peer, text, replies))
          yield* turns
          return replies.map((reply) => reply.length).join()
        }),
      counts: Effect.map(server.counts, ({ Completed, Undelivered }) => ({ Completed, Undelivered }))
    }
  })

const sender = () => inet("192.0.2.1", "udp")

describe("replies to a datagram", () => {
  it.effect("are no larger than so many times the question, all together", () =>
    Effect.gen(function* () {
      const { ask, counts } = yield* served({ maxAmplification: 3 })
      assert.strictEqual(yield* ask(sender(), "06"), "6")
      assert.strictEqual(yield* ask(sender(), "07"), "")
      // The second would be too much, and no third is tried.
      assert.strictEqual(yield* ask(sender(), "5 9"), "5")
      assert.deepStrictEqual(yield* counts, { Completed: 1, Undelivered: 2 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("go so often to a network, which each of its addresses shares, and to others", () =>
    Effect.gen(function* () {
      const { ask, counts } = yield* served({ maxRepliesPerNetwork: 2 })
      const of = (host: string) => ask(inet(host, "udp"), "1")
      assert.deepStrictEqual(yield* Effect.all([of("192.0.2.1"), of("192.0.2.2"), of("192.0.2.3")]), ["1", "1", ""])
      assert.strictEqual(yield* of("192.0.3.1"), "1")
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* Effect.all([of("192.0.2.3"), of("192.0.2.3")]), ["1", ""])
      assert.deepStrictEqual(yield* counts, { Completed: 4, Undelivered: 2 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are not bounded without the options, nor where the sender has no IP address", () =>
    Effect.gen(function* () {
      const free = yield* served({})
      assert.strictEqual(yield* free.ask(sender(), "900"), "900")
      const bounded = yield* served({ maxAmplification: 1, maxRepliesPerNetwork: 1 })
      const local = Peer.make({ transport: "unixgram", name: "/run/a" })
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* bounded.ask(local, "900"), "900")
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("follow the limits that are in force", () =>
    Effect.gen(function* () {
      const { ask, server } = yield* served({})
      yield* server.control.change({ maxAmplification: 2 })
      assert.strictEqual(yield* ask(sender(), "900"), "")
      yield* server.control.change({ maxAmplification: "off" })
      assert.strictEqual(yield* ask(sender(), "900"), "900")
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that are withheld are told of once", () => {
    const [entries, logged] = logs()
    return Effect.gen(function* () {
      const { ask } = yield* served({ maxAmplification: 2 })
      for (let i = 0; i < 3; i++) yield* ask(sender(), "900")
      const warned = entries.filter(({ level }) => level === "Warn").map(({ message }) => message)
      assert.strictEqual(warned.length, 1)
      assert.match(warned[0]!, /^Lines: maxAmplification \(2\) is reached: not answered 192\.0\.2\.1:\d+$/)
    }).pipe(Effect.scoped, Effect.provide(logged))
  })
})

describe("the network of an address", () => {
  it.each([
    ["192.0.2.77", "192.0.2"],
    ["2001:db8:1:2ff::7", "2001:db8:1:2"],
    ["2001:db8:1:2::7", "2001:db8:1:0"],
    ["::1", "::1"]
  ])("%s is %s", (host, network) => assert.strictEqual(networkOf(inet(host, "udp")), network))
})
