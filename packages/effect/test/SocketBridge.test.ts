/** Servers as Effect's `SocketServer`: what runs on that, over each kind of listener, and what each end of a socket means. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as CurrentConnection from "@socketserver/effect/CurrentConnection"
import * as SocketBridge from "@socketserver/effect/SocketBridge"
import * as FdServer from "@socketserver/node/FdServer"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Deferred from "effect/Deferred"
import * as DevToolsClient from "effect/devtools/DevToolsClient"
import * as DevToolsServer from "effect/devtools/DevToolsServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { inet, unix } from "../../node/test/support/descriptors.ts"
import { addressOf } from "../src/internal/address.ts"
import { directory, listening, some, until } from "./support.ts"

class Sockets extends Server.Service<Sockets>()("Sockets", { protocol: Protocol.connection() }) {}

const home = directory()
const { all, own, path } = listening(Sockets, home)

const overFd = (make: () => number, more?: Omit<FdServer.FdListenOptions, "fd">) => () =>
  Layer.unwrap(Effect.sync(() => FdServer.layer(Sockets, { ...more, fd: make() })))

const places = {
  ...all,
  "fd of TCP": overFd(() => inet("stream")),
  "fd of TLS": overFd(() => inet("stream"), { tls: own }),
  "fd of a path": overFd(() => unix("stream", join(home, "inherited")))
}

const quiet = Logger.layer([])

type Handler = (socket: Socket.Socket) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Serves with a handler, whose scope is each connection's. */
const served = (handler: Handler, transport: Layer.Layer<Sockets, ServerError>) =>
  Layer.effectDiscard(
    Effect.flatMap(SocketServer.SocketServer, (server) =>
      Effect.forkScoped(Effect.exit(server.run((socket) => Effect.scoped(handler(socket)))))
    )
  ).pipe(Layer.provide(SocketBridge.layer(Sockets)), Layer.provideMerge(transport), Layer.provide(quiet))

const echo: Handler = (socket) =>
  Effect.gen(function* () {
    const { pull } = yield* socket.reader
    const { writeAll } = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writeAll))
  })

const textOf = (chunks: ReadonlyArray<Uint8Array | string>): string =>
  chunks.map((chunk) => (typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk))).join("")

/** A socket to the server itself. */
const client = Effect.flatMap(Sockets, (server) =>
  SocketBridge.clientOf(Effect.provideService(Sockets.rawClient, Sockets, server))
)

/** How a reading ended. */
const endOf = (pull: Effect.Effect<unknown, Socket.SocketError>) =>
  Effect.map(Effect.flip(Effect.forever(pull)), ({ reason }) =>
    reason._tag === "SocketCloseError" ? `${reason._tag} ${reason.code}` : reason._tag
  )

class Calls extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number }),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("WhoAmI", { success: Schema.String })
) {}

const calls = Calls.toLayer({
  Add: ({ a, b }) => Effect.succeed(a + b),
  Count: ({ to }) => Stream.range(1, to),
  WhoAmI: () =>
    Effect.map(CurrentConnection.CurrentConnection, (connection) =>
      connection === undefined
        ? "nobody"
        : `${connection.peer.transport} ${connection.listener._tag} ${connection.peer.tls?.protocol ?? "in clear"}`
    )
})

const rpc = (transport: Layer.Layer<Sockets, ServerError>) =>
  RpcServer.layer(Calls).pipe(
    Layer.provide(calls),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.provide(SocketBridge.layer(Sockets)),
    Layer.provideMerge(transport),
    Layer.provide(quiet)
  )

const protocolOver = (socket: Effect.Effect<Socket.Socket, never, Sockets>) =>
  RpcClient.layerProtocolSocket().pipe(
    Layer.provide(Layer.effect(Socket.Socket)(socket)),
    Layer.provide(RpcSerialization.layerNdjson)
  )

describe.each([
  { transport: "tcp", who: "tcp Tcp in clear" },
  { transport: "tls", who: "tls Tls TLSv1.3" },
  { transport: "unix", who: "unix Unix in clear" },
  { transport: "memory", who: "memory Memory in clear" },
  // A listening socket that was inherited, of each kind.
  ...(process.platform === "linux"
    ? ([
        { transport: "fd of TCP", who: "tcp Tcp in clear" },
        { transport: "fd of TLS", who: "tls Tls TLSv1.3" },
        { transport: "fd of a path", who: "unix Unix in clear" }
      ] as const)
    : [])
] as const)("Effect's RPC over $transport", ({ transport, who }) => {
  it.live("answers calls and streams, and its handlers know their peer", () =>
    Effect.gen(function* () {
      const calls = yield* RpcClient.make(Calls)
      const several = Effect.all([calls.Add({ a: 1, b: 2 }), calls.Add({ a: 3, b: 4 })], { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* several, [3, 7])
      assert.deepStrictEqual(
        yield* Stream.runCollect(calls.Count({ to: 300 })),
        Array.from({ length: 300 }, (_, i) => i + 1)
      )
      assert.strictEqual(yield* calls.WhoAmI(), who)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(protocolOver(client), rpc(places[transport]()))))
  )
})

describe("a server as a SocketServer", () => {
  it.live("has several listeners under one budget, and says so to who is too many", () => {
    const transport = NodeServer.layer(Sockets, `tcp://127.0.0.1:0,unix://${path}2,memory:several`, {
      maxConnections: 2
    })
    return Effect.gen(function* () {
      const server = yield* Sockets
      const [tcp] = server.addresses
      const sockets = [yield* SocketBridge.client(String(tcp)), yield* SocketBridge.client(`unix://${path}2`)]
      for (const socket of sockets) {
        const { pull } = yield* socket.reader
        const { write } = yield* socket.writer
        yield* write("hello")
        assert.strictEqual(textOf(yield* pull), "hello")
      }
      const { pull } = yield* (yield* SocketBridge.client(String(tcp))).reader
      assert.match(yield* endOf(pull), /^Socket(CloseError 1000|ReadError)$/)
      assert.deepStrictEqual(some(yield* server.refusals), { MaxConnections: 1 })
    }).pipe(Effect.scoped, Effect.provide(served(echo, transport)))
  })

  it.effect("completes what ends or closes, and fails what fails otherwise", () => {
    const handlers: Array<Handler> = [
      () => Effect.void,
      (socket) =>
        Effect.andThen(
          Effect.andThen(socket.reader, ({ pull }) => pull),
          Effect.never
        ),
      () => Effect.fail("no"),
      () => Effect.die(new Error("dies"))
    ]
    return Effect.gen(function* () {
      const server = yield* Sockets
      for (let i = 0; i < 4; i++) {
        const peer = yield* Sockets.rawClient
        yield* peer.end
        yield* Effect.exit(peer.take)
      }
      yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
      assert.deepStrictEqual(some(yield* server.counts), { Completed: 2, Failed: 2 })
    }).pipe(Effect.scoped, Effect.provide(served((socket) => handlers.shift()!(socket), all.memory())))
  })

  it.effect("ends a pull that waits when the reader is let go of, and closes", () => {
    const seen = Deferred.makeUnsafe<string>()
    const handler: Handler = (socket) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { pull } = yield* Scope.provide(socket.reader, scope)
        const waiting = yield* Effect.forkChild(endOf(pull), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        yield* Deferred.succeed(seen, yield* Fiber.join(waiting))
        assert.strictEqual(
          yield* endOf(Effect.flatMap(socket.reader, ({ pull }) => pull) as never),
          "SocketCloseError 1000"
        )
      })
    return Effect.gen(function* () {
      const peer = yield* Sockets.rawClient
      assert.strictEqual(yield* Deferred.await(seen), "SocketCloseError 1006")
      assert.deepStrictEqual(yield* Stream.runCollect(peer.stream), [])
    }).pipe(Effect.scoped, Effect.provide(served(handler, all.memory())))
  })

  describe("what is written together", () => {
    /** A frame: how many bytes it has, and of what. */
    const frame = (tag: number, size: number): [Uint8Array, Uint8Array] => {
      const head = Buffer.alloc(5)
      head.writeUInt32BE(size)
      head[4] = tag
      return [head, Buffer.alloc(size, tag)]
    }
    /** The tags of the frames that were received, which have to be whole. */
    const tagsOf = (chunks: ReadonlyArray<Uint8Array | string>): ReadonlyArray<number> => {
      const all = Buffer.concat(chunks as ReadonlyArray<Uint8Array>)
      const tags: Array<number> = []
      for (let at = 0; at < all.length;) {
        const [size, tag] = [all.readUInt32BE(at), all[at + 4] as number]
        assert.isTrue(all.subarray(at + 5, at + 5 + size).equals(Buffer.alloc(size, tag)), `frame ${tags.length}`)
        tags.push(tag)
        at += 5 + size
      }
      return tags
    }
    const sizes = { 65: 30_000, 66: 7_000, 67: 3_000 }
    const several: Handler = (socket) =>
      Effect.gen(function* () {
        const { writeAll } = yield* socket.writer
        yield* Effect.forEach(
          Object.entries(sizes),
          ([tag, size]) => Effect.repeat(writeAll(frame(Number(tag), size)), { times: 49 }),
          { concurrency: "unbounded" }
        )
      })
    const interrupted: Handler = (socket) =>
      Effect.gen(function* () {
        const { writeAll } = yield* socket.writer
        for (let i = 0; i < 50; i++) {
          const writing = yield* Effect.forkChild(writeAll(frame(65, 30_000)), { startImmediately: true })
          yield* Fiber.interrupt(writing)
        }
        yield* writeAll(frame(66, 10))
      })

    for (const [place, transport] of Object.entries({ memory: all.memory, tcp: all.tcp, tls: all.tls })) {
      it.live(`is whole, whoever else writes and however late the peer reads: a server over ${place}`, () =>
        Effect.gen(function* () {
          const peer = yield* Sockets.rawClient
          const server = yield* Sockets
          yield* until(Effect.map(server.connections, (connections) => connections.some((c) => c.bytesWritten > 0)))
          const tags = tagsOf(yield* Stream.runCollect(peer.stream))
          assert.lengthOf(tags, 150)
        }).pipe(Effect.scoped, Effect.provide(served(several, transport())))
      )

      it.live(`is whole or not there where whoever waits for the peer is interrupted: a server over ${place}`, () =>
        Effect.gen(function* () {
          const peer = yield* Sockets.rawClient
          const tags = tagsOf(yield* Stream.runCollect(peer.stream))
          assert.strictEqual(tags.at(-1), 66)
          assert.deepStrictEqual(new Set(tags.slice(0, -1)), new Set([65]))
        }).pipe(Effect.scoped, Effect.provide(served(interrupted, transport())))
      )
    }

    it.live("is whole of a client as well", () => {
      const received = Deferred.makeUnsafe<ReadonlyArray<number>>()
      const handler: Handler = (socket) =>
        Effect.gen(function* () {
          const { pull } = yield* socket.reader
          const chunks: Array<Uint8Array | string> = []
          yield* Effect.exit(Effect.forever(Effect.map(pull, (some) => void chunks.push(...some))))
          yield* Deferred.succeed(received, tagsOf(chunks))
        })
      return Effect.gen(function* () {
        const socket = yield* client
        yield* socket.reader
        yield* Effect.scoped(several(socket))
        assert.lengthOf(yield* Deferred.await(received), 150)
      }).pipe(Effect.scoped, Effect.provide(served(handler, all.tcp())))
    })

    it.effect("is all of it, or nothing", () => {
      const seen = Deferred.makeUnsafe<string>()
      const handler: Handler = (socket) =>
        Effect.gen(function* () {
          const { writeAll } = yield* socket.writer
          const problem = yield* Effect.flip(writeAll([new Uint8Array(10), new Uint8Array(2_000)]))
          yield* Deferred.succeed(seen, problem.reason._tag)
        })
      return Effect.gen(function* () {
        const peer = yield* Sockets.rawClient
        assert.strictEqual(yield* Deferred.await(seen), "SocketWriteError")
        assert.deepStrictEqual(yield* Stream.runCollect(peer.stream), [])
      }).pipe(Effect.scoped, Effect.provide(served(handler, all.memory({ maxReply: 1_024 }))))
    })
  })

  it.effect("half-closes when the writer is let go of, and reads on", () => {
    const heard: Array<string> = []
    const handler: Handler = (socket) =>
      Effect.gen(function* () {
        const { pull } = yield* socket.reader
        yield* Effect.scoped(Effect.flatMap(socket.writer, ({ writeAll }) => writeAll(["one ", "two"])))
        yield* Effect.forever(Effect.map(pull, (chunks) => heard.push(textOf(chunks))))
      })
    return Effect.gen(function* () {
      const peer = yield* Sockets.rawClient
      const received = yield* Stream.runCollect(peer.stream)
      assert.deepStrictEqual([textOf(received), received.length], ["one two", 1])
      yield* peer.write(new TextEncoder().encode("late"))
      yield* peer.end
      yield* until(Effect.sync(() => heard.length > 0))
      assert.deepStrictEqual(heard, ["late"])
    }).pipe(Effect.scoped, Effect.provide(served(handler, all.memory())))
  })

  it.effect.each([
    { code: 1_000, outcome: { Completed: 1 }, end: "SocketCloseError 1000" },
    { code: 1_011, outcome: { Cancelled: 1 }, end: "SocketReadError" }
  ])("closes or breaks off by a close event ($code)", ({ code, end, outcome }) => {
    const handler: Handler = (socket) =>
      Effect.gen(function* () {
        const { pull } = yield* socket.reader
        yield* pull
        const { write } = yield* socket.writer
        yield* write(new Socket.CloseEvent(code))
        yield* code > 1_000 ? Effect.never : endOf(pull)
      })
    return Effect.gen(function* () {
      const peer = yield* client
      const reader = yield* peer.reader
      const writer = yield* peer.writer
      yield* writer.write("go")
      assert.strictEqual(yield* endOf(reader.pull), end)
      const server = yield* Sockets
      yield* until(Effect.map(server.counts, (counts) => Object.keys(some(counts)).length > 0))
      assert.deepStrictEqual(some(yield* server.counts), outcome)
    }).pipe(Effect.scoped, Effect.provide(served(handler, all.memory())))
  })

  it.live("goes on encrypted where it is upgraded, by both sides", () => {
    const identity = {
      cert: fs.readFileSync(own.cert, "utf8"),
      key: Redacted.make(fs.readFileSync(own.key, "utf8"))
    }
    const handler: Handler = (socket) =>
      Effect.gen(function* () {
        const { pull, upgrade } = yield* socket.reader
        const { write, writeAll } = yield* socket.writer
        yield* pull
        yield* write("go ahead")
        yield* upgrade(identity)
        yield* Effect.forever(Effect.flatMap(pull, writeAll))
      })
    return Effect.gen(function* () {
      const socket = yield* client
      const { pull, upgrade } = yield* socket.reader
      const { write } = yield* socket.writer
      yield* write("STARTTLS")
      assert.strictEqual(textOf(yield* pull), "go ahead")
      assert.strictEqual((yield* Effect.flip(upgrade({ rejectUnauthorized: false }))).reason._tag, "SocketUpgradeError")
      yield* upgrade({ ca: identity.cert, servername: "localhost" })
      yield* write("secret")
      assert.strictEqual(textOf(yield* pull), "secret")
    }).pipe(Effect.scoped, Effect.provide(served(handler, all.tcp())))
  })

  it.effect("says that it cannot be upgraded in memory, or without a certificate", () => {
    const seen = Deferred.makeUnsafe<ReadonlyArray<string>>()
    const handler: Handler = (socket) =>
      Effect.gen(function* () {
        const { upgrade } = yield* socket.reader
        const fails = (options: Socket.TlsUpgradeOptions) =>
          Effect.map(Effect.flip(upgrade(options)), ({ reason }) => String("cause" in reason ? reason.cause : reason))
        const none = yield* fails({})
        yield* Deferred.succeed(seen, [
          none,
          yield* fails({
            cert: fs.readFileSync(own.cert, "utf8"),
            key: Redacted.make(fs.readFileSync(own.key, "utf8"))
          })
        ])
      })
    return Effect.gen(function* () {
      yield* Sockets.rawClient
      const [none, memory] = yield* Deferred.await(seen)
      assert.match(none!, /give cert and key/)
      assert.match(memory!, /only a connection over TCP or a Unix socket/)
    }).pipe(Effect.scoped, Effect.provide(served(handler, all.memory())))
  })

  it.effect("is served once: a second run says why it cannot", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.SocketServer
      const first = yield* Effect.forkScoped(
        server.run(() => Effect.void),
        { startImmediately: true }
      )
      const again = yield* Effect.flip(server.run(() => Effect.void))
      assert.match(String(again.reason.cause), /AlreadyServed|is served already|served/)
      yield* Fiber.interrupt(first)
      const later = yield* Effect.flip(server.run(() => Effect.void))
      assert.strictEqual(later._tag, "SocketServerError")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(SocketBridge.layer(Sockets), all.memory())),
      Effect.provide(quiet)
    )
  )

  it.live("runs the server of the dev tools", () => {
    const spans: Array<string> = []
    const tools = Layer.effectDiscard(
      Effect.forkScoped(
        DevToolsServer.run(({ queue }) =>
          Effect.forever(
            Effect.map(Queue.take(queue), (request) => {
              if (request._tag === "Span") spans.push(request.name)
            })
          )
        )
      )
    ).pipe(Layer.provide(SocketBridge.layer(Sockets)), Layer.provideMerge(all.memory()), Layer.provide(quiet))
    return Effect.gen(function* () {
      const socket = yield* client
      const tracer = DevToolsClient.layerTracer.pipe(Layer.provide(Layer.succeed(Socket.Socket)(socket)))
      const seen = until(Effect.sync(() => spans.includes("a span")))
      yield* Effect.provide(Effect.andThen(Effect.withSpan(Effect.void, "a span"), seen), tracer)
    }).pipe(Effect.scoped, Effect.provide(tools))
  })
})

describe("a client's socket", () => {
  it.live("connects anew with each reader, and what was written meanwhile follows", () =>
    Effect.gen(function* () {
      const socket = yield* SocketBridge.client(String((yield* Sockets).address))
      const { write } = yield* socket.writer
      for (const word of ["one", "two"]) {
        const waiting = yield* Effect.forkChild(write(word), { startImmediately: true })
        assert.isUndefined(waiting.pollUnsafe())
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { pull } = yield* socket.reader
            assert.strictEqual(textOf(yield* pull), word)
          })
        )
      }
      assert.strictEqual((yield* Sockets).addresses.length, 1)
    }).pipe(Effect.scoped, Effect.provide(served(echo, all.tcp())))
  )

  it.live("says why it cannot open", () =>
    Effect.gen(function* () {
      const port = yield* Effect.callback<number>((resume) => {
        const server = net.createServer().listen(0, "127.0.0.1", () => {
          const { port } = server.address() as net.AddressInfo
          server.close(() => resume(Effect.succeed(port)))
        })
      })
      const socket = yield* SocketBridge.client(`tcp://127.0.0.1:${port}`)
      const { reason } = yield* Effect.flip(socket.reader)
      assert.strictEqual(reason._tag, "SocketOpenError")
      assert.match(String("cause" in reason && reason.cause), /nothing listens there/)
    }).pipe(Effect.scoped)
  )
})

it("has an address of Effect's for each endpoint, or its URL as a path", () => {
  const endpoints = [
    Endpoint.tcp("127.0.0.1", 80),
    Endpoint.tls("::1", 443),
    Endpoint.tcp("localhost", 80),
    Endpoint.unix("/run/socket"),
    Endpoint.unix("@abstract"),
    Endpoint.fd(3),
    Endpoint.memory("here")
  ]
  assert.deepStrictEqual(endpoints.map(addressOf).map(NetAddress.formatSocketAddress), [
    "127.0.0.1:80",
    "[::1]:443",
    "tcp://localhost:80",
    "/run/socket",
    "unix:@abstract",
    "fd://3",
    "memory:here"
  ])
})
