/** What RPC is, over each transport, and under policies that run handlers elsewhere. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Server from "@socketserver/core/Server"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as WorkerPolicy from "@socketserver/node/WorkerPolicy"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { directory, selfSigned } from "../../node/test/support/certificates.ts"
import { Each, EachLive, Whole, WholeLive, worldOf } from "./support/calls.ts"
import { clientOver, type Playable, served, socketOf } from "./support/clients.ts"

const files = directory()
const made = selfSigned(files, "server")
const entry = new URL("./support/calls.ts", import.meta.url)

const transports = {
  memory: undefined,
  tcp: "tcp://127.0.0.1:0",
  tls: `tls://127.0.0.1:0?cert=${made.cert}&key=${made.key}`,
  unix: `unix://${join(files, "rpc.sock")}`
} as const

type Transport = keyof typeof transports

const ca = { ca: readFileSync(made.cert) }

/** A server over a transport, and clients of it. */
const over = (tag: Playable, serve: () => Layer.Layer<never, unknown, never>, transport: Transport) =>
  Effect.gen(function* () {
    const url = transports[transport]
    const live = Layer.provide(serve(), worldOf())
    const { raw, server } = yield* served(tag, live, (tag) =>
      url === undefined ? MemoryServer.layer(tag) : NodeServer.layer(tag, url)
    )
    const options = transport === "tls" ? { tls: ca } : {}
    const connect =
      url === undefined ? raw : NodeClient.connect({ protocol: Protocol.bytes() }, server.address, options)
    const pings = { pingInterval: "50 millis", pingTimeout: "5 seconds" } as const
    return { server, client: clientOver(socketOf(connect), RpcSerialization.layerNdjson, pings) }
  })

const counts = (server: Server.Server<never, never>) => server.counts

interface Row {
  readonly name: string
  readonly transport: Transport
  readonly tag: Playable
  readonly serve: () => Layer.Layer<never, unknown, never>
  /** What its handlers run in. */
  readonly workers: string
}

const whole = (["memory", "tcp", "tls", "unix"] as const).map((transport): Row => ({
  name: `connections over ${transport}`,
  transport,
  tag: Whole,
  serve: () => WholeLive() as never,
  workers: "fiber"
}))

const each = (["memory", "tcp"] as const).flatMap((transport) =>
  [
    { policy: Policy.fiber(), workers: "fiber" },
    { policy: WorkerPolicy.thread({ size: 2, entry, bundle: true }), workers: "thread" },
    { policy: WorkerPolicy.pool({ size: 2, entry, bundle: true }), workers: "process" }
  ].map(({ policy, workers }): Row => ({
    name: `calls over ${transport}, ${policy.name}`,
    transport,
    tag: Each,
    serve: () => EachLive({ policy }) as never,
    workers
  }))
)

describe.each([...whole, ...each])("RPC: $name", ({ serve, tag, transport, workers }) => {
  it.live("answers, fails, dies, streams, refuses, interrupts, and keeps clients apart", () =>
    Effect.gen(function* () {
      const { client, server } = yield* over(tag, serve, transport)
      const rpc = yield* client
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
      assert.strictEqual(yield* Effect.flip(rpc.Fail({ why: "so" })), "so")
      const died = yield* Effect.exit(rpc.Die({ of: "boredom" }))
      assert.include(Cause.pretty((died as Exit.Failure<never, unknown>).cause), "boredom")
      assert.deepStrictEqual(
        yield* Stream.runCollect(rpc.Count({ to: 100 })),
        Array.from({ length: 100 }, (_, i) => i + 1)
      )
      assert.strictEqual(yield* rpc.UserName(undefined, { headers: { user: "ann" } }), "ann")
      assert.strictEqual(yield* Effect.flip(rpc.UserName()), "who are you?")
      yield* rpc.Note({ text: "discarded" }, { discard: true })
      // Each waits for the client, who takes one and leaves.
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 3, 4], () => Stream.runCollect(Stream.take(rpc.Forever(), 1)), {
          concurrency: "unbounded"
        }),
        [[1], [1], [1], [1]]
      )
      // A worker does one at a time: it is free again only if an interrupt has reached it.
      for (let i = 0; i < 4; i++) {
        const fiber = yield* Effect.forkChild(rpc.Never(), { startImmediately: true })
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      const { peer, worker } = yield* rpc.WhoAmI()
      assert.strictEqual(worker, workers)
      assert.notStrictEqual(peer, "nobody")
      const others = yield* Effect.all([client, client, client])
      const sums = yield* Effect.forEach(
        others.flatMap((rpc, i) => [1, 2, 3].map((n) => rpc.Add({ a: i * 10, b: n }))),
        (call) => call,
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(sums, [1, 2, 3, 11, 12, 13, 21, 22, 23])
      assert.strictEqual((yield* counts(server)).Failed, 0)
    })
  )

  it.live("takes back the calls of a client that is gone", () =>
    Effect.gen(function* () {
      const { client } = yield* over(tag, serve, transport)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const rpc = yield* client
          yield* Effect.forkChild(Effect.all([rpc.Never(), rpc.Never()], { concurrency: 2 }), {
            startImmediately: true
          })
          // Both are at work by then, or one and this.
          if (workers === "fiber") yield* Stream.runDrain(Stream.take(rpc.Forever(), 1))
        })
      )
      const rpc = yield* client
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
    })
  )
})

describe.each(each.filter(({ workers }) => workers === "process"))("RPC: $name", ({ serve, tag, transport }) => {
  it.live("loses one call to a worker that ends, and no other", () =>
    Effect.gen(function* () {
      const { client, server } = yield* over(tag, serve, transport)
      const rpc = yield* client
      const other = yield* client
      const exit = yield* Effect.exit(rpc.Crash())
      assert.match(Cause.pretty((exit as Exit.Failure<never, unknown>).cause), /crashed|exited|ended/)
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
      assert.strictEqual(yield* other.Add({ a: 1, b: 2 }), 3)
      const { Completed, WorkerCrashed } = yield* counts(server)
      assert.deepStrictEqual([Completed, WorkerCrashed], [2, 1])
    })
  )
})
