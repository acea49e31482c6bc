/** What handlers take that wait for a peer is bounded: they have no place, so that nothing else bounds how many there are. */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Policy, Protocol, Request, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { type LineHandler, logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines(), key: ({ body }) => body }) {}

const mib = 1_048_576

/** A server with a megabyte, and who comes to it. */
const served = (handler: LineHandler, policy: Policy.Policy, options?: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const context = yield* Layer.build(
      Layer.provideMerge(
        Lines.serve(handler, { policy }),
        Transport.layer(
          Lines,
          { drainTimeout: 0, maxMemory: mib, maxBuffered: 65_536, maxReply: 65_536, ...options },
          listen
        )
      )
    )
    const server = Context.get(context, Lines)
    const connect = () => {
      const wire = new Scripted()
      accept(wire)
      return wire
    }
    const { budget } = (server as unknown as Record<symbol, { context: { budget: { total: number } } }>)[
      Symbol.for("@socketserver/core/Server/engine")
    ]!.context
    return { server, connect, held: () => budget.total }
  })

/** Ten peers, each of which asks for a hundred things, which takes four times as much as there may be. */
const tenAskFor100 = ({ connect, held }: { readonly connect: () => Scripted; readonly held: () => number }) =>
  Effect.gen(function* () {
    const peers = Array.from({ length: 10 }, connect)
    for (const [p, peer] of peers.entries()) {
      for (let i = 0; i < 100; i++) peer.data(`${p} ${i}\n`)
      yield* turns
      assert.isAtMost(held(), 1.5 * mib)
    }
    for (let i = 0; i < 20; i++) yield* turns
  })

const policies = [Policy.fiber(), Policy.fiber({ max: 4 }), Policy.keyed()]

describe("handlers that wait for a peer", () => {
  const [, logging] = logs()
  const silent = Layer.fresh(logging)

  it.effect.each(policies)(
    "to say something count in maxMemory, and those that have most of them are reset (%s)",
    (policy) =>
      Effect.gen(function* () {
        const latch = yield* Latch.make()
        const waits: LineHandler = ({ body }) => Effect.as(Request.awaitPeer(latch.await), Response.make(body))
        const { connect, held, server } = yield* served(waits, policy)
        yield* tenAskFor100({ connect, held })
        assert.isAtMost(held(), mib)
        const open = yield* server.connections
        // A megabyte is 256 of them.
        assert.isAtMost(open.length, 3)
        assert.isAtLeast(open.length, 1)
        yield* latch.open
        yield* turns
        assert.strictEqual(held(), 0)
        const { Cancelled, Completed } = yield* server.counts
        assert.strictEqual(Completed, 100 * open.length)
        assert.strictEqual(Cancelled + Completed, 1_000)
      }).pipe(Effect.provide(silent))
  )

  it.effect("keep nobody out: those that have most of them give way to who comes anew", () =>
    Effect.gen(function* () {
      const waits: LineHandler = ({ body }) =>
        body === "hello"
          ? Effect.succeed(Response.make(body))
          : Effect.as(Request.awaitPeer(Effect.never), Response.make(body))
      const { connect, held, server } = yield* served(waits, Policy.fiber())
      const [many, few, alone] = [connect(), connect(), connect()]
      for (let i = 0; i < 120; i++) many.data(`${i}\n`)
      for (let i = 0; i < 100; i++) few.data(`${i}\n`)
      alone.data("1\n")
      yield* turns
      assert.isAtLeast(held(), 0.9 * mib)
      assert.strictEqual((yield* server.connections).length, 3)
      const newcomer = connect()
      newcomer.data("hello\n")
      yield* turns
      assert.include(newcomer.asked(), "write hello")
      assert.include(many.asked(), "reset")
      for (const { asked } of [few, alone].map((peer) => ({ asked: peer.asked() }))) assert.notInclude(asked, "reset")
      assert.strictEqual((yield* server.counts).Refused, 0)
    }).pipe(Effect.provide(silent))
  )

  it.effect("count as much as they say", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make()
      const waits: LineHandler = ({ body }) =>
        Effect.as(Request.awaitPeer(latch.await, { bytes: 100_000 }), Response.make(body))
      const { connect, held } = yield* served(waits, Policy.fiber())
      const peer = connect()
      for (let i = 0; i < 5; i++) peer.data(`${i}\n`)
      yield* turns
      assert.isAtLeast(held(), 500_000)
      assert.isAtMost(held(), 505_000)
      yield* latch.open
      yield* turns
      assert.strictEqual(held(), 0)
    })
  )

  it.effect.each(policies)(
    "to read what they push count for who asked them, and the one that does not read is reset (%s)",
    (policy) =>
      Effect.gen(function* () {
        let reader: Connection.Ref<string> | undefined
        const pushes: LineHandler = ({ body, connection }) => {
          if (body === "subscribe") reader = connection
          if (body === "subscribe" || reader === undefined) return Effect.succeed(Response.make(body))
          return Effect.as(Effect.ignore(reader.push("x".repeat(1_000))), Response.make(body))
        }
        const { connect, held, server } = yield* served(pushes, policy)
        const subscriber = connect()
        subscriber.data("subscribe\n")
        yield* turns
        subscriber.accepts = false
        yield* tenAskFor100({ connect, held })
        const open = yield* server.connections
        assert.isAtLeast(open.length, 9)
        if (policy.name !== "fiber:4") assert.isTrue(open.every(({ id }) => id !== reader?.id))
        for (const { close, id } of open) if (id === reader?.id) yield* close
        subscriber.gone()
        yield* turns
        assert.strictEqual(held(), 0)
      }).pipe(Effect.provide(silent))
  )

  for (const [what, wait] of [
    ["are interrupted", (latch: Latch.Latch) => Request.awaitPeer(latch.await)],
    ["run on until they end", (latch: Latch.Latch) => Effect.uninterruptible(Request.awaitPeer(latch.await))]
  ] as const) {
    it.effect(`count until they have ended, where their connection has (${what})`, () =>
      Effect.gen(function* () {
        const latch = yield* Latch.make()
        const { connect, held, server } = yield* served(
          ({ body }) => Effect.as(wait(latch), Response.make(body)),
          Policy.fiber()
        )
        const peer = connect()
        for (let i = 0; i < 50; i++) peer.data(`${i}\n`)
        yield* turns
        assert.isAtLeast(held(), 50 * 4_096)
        peer.gone()
        yield* turns
        assert.strictEqual((yield* server.counts).Cancelled, 50)
        if (what === "are interrupted") assert.strictEqual(held(), 0)
        else assert.isAtLeast(held(), 50 * 4_096)
        yield* latch.open
        yield* turns
        assert.strictEqual(held(), 0)
      })
    )
  }
})
