/** How connections of Effect's own servers end, and how a program ends whose server cannot be run: they hear of neither. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as SocketBridge from "@socketserver/effect/SocketBridge"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { logs } from "../../core/test/support/serving.ts"
import { directory, listening, some, until } from "./support.ts"

class Sockets extends Server.Service<Sockets>()("Sockets", { protocol: Protocol.connection() }) {}

const { all } = listening(Sockets, directory())

class Calls extends RpcGroup.make(
  Rpc.make("Now", { success: Schema.String }),
  Rpc.make("Never", { success: Schema.String }),
  Rpc.make("Large", { success: Schema.String })
) {}

const handlers = Calls.toLayer({
  Now: () => Effect.succeed("now"),
  Never: () => Effect.never,
  Large: () => Effect.succeed("x".repeat(3_000_000))
})

const rpc = RpcServer.layer(Calls).pipe(
  Layer.provide(handlers),
  Layer.provide(RpcServer.layerProtocolSocketServer),
  Layer.provide(RpcSerialization.layerNdjson),
  Layer.provide(SocketBridge.layer(Sockets))
)

const call = (id: number, tag: string) =>
  new TextEncoder().encode(`{"_tag":"Request","id":"${id}","tag":"${tag}","payload":null,"headers":[]}\n`)

describe("peers of Effect's RPC that break off", () => {
  const policies = { fiber: Policy.fiber(), sequential: Policy.sequential, connection: Policy.connection() }
  const asked = { nothing: [], "what never ends": ["Never"], "more than they read": ["Large", "Large", "Large"] }

  for (const [place, transport] of Object.entries({ tcp: all.tcp, tls: all.tls, unix: all.unix, memory: all.memory })) {
    for (const [name, policy] of Object.entries(policies)) {
      it.live(`are cancelled, and no defects, whatever they have asked for: over ${place} under ${name}`, () => {
        const [entries, logging] = logs()
        return Effect.gen(function* () {
          const server = yield* Sockets
          for (const tags of Object.values(asked)) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const peer = yield* Sockets.rawClient
                yield* peer.write(call(1, "Now"))
                yield* peer.pull
                for (const [i, tag] of tags.entries()) yield* peer.write(call(i + 2, tag))
                if (tags.length > 1) yield* peer.pull
                yield* peer.reset
              })
            )
            yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
          }
          yield* until(
            Effect.map(server.counts, (counts) => Object.values(some(counts)).reduce((sum, n) => sum + n, 0) >= 3)
          )
          // A Unix socket's peer that says nothing more is one that has half-closed.
          const { Cancelled = 0, Completed = 0, ...others } = some(yield* server.counts)
          assert.deepStrictEqual([Cancelled + Completed, others], [3, {}])
          assert.isTrue(place === "unix" || Completed === 0)
          assert.deepStrictEqual(
            entries.filter(({ level }) => level === "Error" || level === "Fatal"),
            []
          )
        }).pipe(
          Effect.provide(
            rpc.pipe(
              Layer.provideMerge(transport()),
              Layer.provide(Layer.succeed(Sockets.policy, policy)),
              Layer.provideMerge(logging)
            )
          )
        )
      })
    }
  }
})

/** Serves with a handler of Effect's, in a fiber whose errors nobody hears. */
const served = (handler: (socket: Socket.Socket) => Effect.Effect<unknown, unknown>) =>
  Layer.effectDiscard(
    Effect.flatMap(SocketServer.SocketServer, (server) => Effect.forkScoped(Effect.exit(server.run(handler))))
  ).pipe(Layer.provide(SocketBridge.layer(Sockets)))

describe("a handler of sockets", () => {
  const large = (socket: Socket.Socket) =>
    Effect.scoped(Effect.flatMap(socket.writer, ({ write }) => write(new Uint8Array(2_000))))

  it.effect.each([
    { what: "fails for a reason of its own", handler: () => Effect.fail("its own") },
    { what: "writes what is too large", handler: large },
    { what: "interrupts itself", handler: () => Effect.interrupt }
  ])("that $what is a defect", ({ handler }) => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const server = yield* Sockets
      yield* Sockets.rawClient
      yield* until(Effect.map(server.counts, (counts) => Object.keys(some(counts)).length > 0))
      assert.deepStrictEqual(some(yield* server.counts), { Failed: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(served(handler), MemoryServer.layer(Sockets, { maxReply: 1_024 }))),
      Effect.provide(logging)
    )
  })
})

describe("a program of Effect's sockets", () => {
  /** What is told to whoever runs the program. */
  const toldBy = <E>(program: Layer.Layer<Sockets, E>) =>
    Effect.gen(function* () {
      const told = Deferred.makeUnsafe<string>()
      const listener = Layer.succeed(Server.OnListenerDied, (error) =>
        Effect.asVoid(Deferred.succeed(told, error.message))
      )
      const [, logging] = logs()
      yield* Layer.build(program.pipe(Layer.provide(listener), Layer.provide(logging)))
      return told
    })

  it.live("ends where its policy cannot be used", () =>
    Effect.gen(function* () {
      const told = yield* toldBy(
        rpc.pipe(
          Layer.provideMerge(MemoryServer.layer(Sockets)),
          Layer.provide(Layer.succeed(Sockets.policy, Policy.keyed()))
        )
      )
      assert.match(yield* Deferred.await(told), /Sockets declares no key/)
    }).pipe(Effect.scoped)
  )

  it.live("ends where its listener dies", () =>
    Effect.gen(function* () {
      let die: (cause: unknown) => void = () => {}
      const listen: Transport.Listen = (sink) => {
        die = sink.fail
        return Effect.succeed({ address: Endpoint.memory("dying"), close: () => {}, connect: Effect.never })
      }
      const told = yield* toldBy(Layer.provideMerge(rpc, Transport.layer(Sockets, {}, listen)))
      const server = yield* Effect.forkChild(Deferred.await(told), { startImmediately: true })
      die(new Error("it is gone"))
      assert.match(yield* Fiber.join(server), /it is gone/)
    }).pipe(Effect.scoped)
  )

  it.live("does not where it stops as it should, or is run twice", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const twice = Layer.merge(
        rpc,
        served(() => Effect.never)
      )
      const told = yield* Scope.provide(toldBy(Layer.provideMerge(twice, MemoryServer.layer(Sockets))), scope)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(Deferred.isDoneUnsafe(told))
    })
  )
})
