/** Peers that are gone without a word that the platform passes on, and peers that are cut off, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as net from "node:net"
import * as tls from "node:tls"
import { afterEach } from "vitest"
import { directory, selfSigned } from "./support/certificates.ts"
import { TlsPeer } from "./support/tlsPeer.ts"

const home = directory()
const own = selfSigned(home, "localhost")
const versions = ["TLSv1.3", "TLSv1.2"] as const

const opened = new Set<net.Socket>()

/** A peer's socket, which goes with its test. */
const connect = (options: net.NetConnectOpts): net.Socket => {
  const socket = net.connect(options)
  opened.add(socket)
  return socket
}

afterEach(() => {
  for (const socket of opened) socket.destroy()
  opened.clear()
})

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const handler: Handler.Handler<string, string> = ({ body }) => {
  switch (body) {
    case "stream":
      return Effect.succeed(Response.stream(Stream.forever(Stream.succeed("y".repeat(2_000)))))
    case "large":
      return Effect.succeed(Response.make("z".repeat(8 * 1024 * 1024)))
    case "last":
      return Effect.succeed(Response.andClose(Response.make("z".repeat(32 * 1024 * 1024))))
    case "wait":
      return Effect.never
    default:
      return Effect.succeed(Response.make(body))
  }
}

let paths = 0
const freshPath = () => `${home}/${++paths}`

const over = {
  tls: (options: Transport.ServerOptions) => TlsServer.layer(Lines, { maxReply: "64MiB", ...options, ...own }),
  tcp: (options: Transport.ServerOptions) => TcpServer.layer(Lines, { maxReply: "64MiB", ...options }),
  unix: (options: Transport.ServerOptions) => UnixServer.layer(Lines, { ...options, path: freshPath() })
}

const served = (transport: Layer.Layer<Lines, ServerError>) =>
  Layer.provideMerge(Lines.serve(handler), transport).pipe(Layer.provide(Logger.layer([])))

const portOf = Effect.map(Lines, (server) => (server.address as Endpoint.Tcp).port)

/** The event loop has turned. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Turns the event loop until something holds; the test's own time bounds it. */
const until = <R>(holds: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  Effect.flatMap(holds, (now) => (now ? Effect.void : Effect.andThen(turn, until(holds))))

const connections = Effect.flatMap(Lines, (server) => server.connections)
const nobodyLeft = until(Effect.map(connections, (all) => all.length === 0))
const inFlight = (count: number) =>
  until(Effect.map(connections, (all) => all.length === 1 && all[0]?.inFlight === count))

const sockets = Effect.sync(
  () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap" || name === "PipeWrap").length
)

const step = (promise: () => Promise<void>) => Effect.promise(promise)

const requests = "hello\nstream\nhello\nstream\n"

/** The moments at which a peer may reset, each after what it says has happened. */
const moments = {
  "with the last of its handshake and its first requests": (peer: TlsPeer) =>
    Effect.gen(function* () {
      // Of 1.3 this is the whole second flight; what the server writes of its own accord then fails.
      peer.secure.once("secureConnect", () => peer.hold())
      yield* step(() => peer.secured)
      yield* step(() => peer.write(requests))
      peer.release()
      peer.reset()
    }),
  "with its first requests": (peer: TlsPeer) =>
    Effect.gen(function* () {
      yield* step(() => peer.secured)
      yield* until(Effect.map(connections, (all) => all.length > 0))
      peer.hold()
      yield* step(() => peer.write(requests))
      peer.release()
      peer.reset()
    }),
  "a turn after its first requests": (peer: TlsPeer) =>
    Effect.gen(function* () {
      yield* step(() => peer.secured)
      yield* step(() => peer.write(requests))
      yield* turn
      peer.reset()
    }),
  "when the first reply arrives": (peer: TlsPeer) =>
    Effect.gen(function* () {
      yield* step(() => peer.secured)
      const heard = peer.heard
      yield* step(() => peer.write(requests))
      yield* step(() => heard)
      peer.reset()
    })
}

describe("sixty TLS peers that reset", () => {
  // No time passes here: nothing looks again later.
  it.effect.each(
    versions.flatMap((version) => Object.entries(moments).map(([when, leave]) => ({ version, when, leave })))
  )("$when leave no connection and no socket ($version)", ({ leave, version }) =>
    Effect.gen(function* () {
      const server = yield* Lines
      const port = yield* portOf
      const before = yield* sockets
      for (let i = 0; i < 60; i++) {
        const peer = new TlsPeer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), version)
        yield* leave(peer)
        yield* step(() => peer.closed)
      }
      yield* nobodyLeft
      yield* until(Effect.map(sockets, (now) => now <= before))
      // Every request that was received has its outcome.
      const counts = yield* server.counts
      assert.strictEqual(counts.Failed, 0)
      // A new client is served.
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("hello"), "hello")
    }).pipe(Effect.scoped, Effect.provide(served(over.tls({}))))
  )
})

describe("a TLS peer that half-closes", () => {
  it.live.each(versions)("is not taken for one that is gone, and gets the whole of its reply (%s)", (version) =>
    Effect.gen(function* () {
      const port = yield* portOf
      for (let i = 0; i < 8; i++) {
        const peer = new TlsPeer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), version)
        yield* step(() => peer.secured)
        let got = 0
        peer.secure.on("data", (chunk: Buffer) => (got += chunk.length))
        yield* step(() => peer.write("hello\nlarge\n"))
        // Without and with a word of TLS before it.
        if (i % 2 === 0) peer.secure.end()
        peer.raw.end()
        yield* step(() => new Promise((resolve) => peer.secure.once("end", () => resolve())))
        assert.strictEqual(got, 6 + 8 * 1024 * 1024 + 1)
        peer.raw.destroy()
      }
      yield* nobodyLeft
    }).pipe(Effect.scoped, Effect.provide(served(over.tls({}))))
  )
})

describe("a peer that resets while nothing is read from it", () => {
  // More than the limit of pipelining, and more than fits into any buffer on the way.
  const unread = `wait\nwait\n${"hello\n".repeat(200_000)}`

  it.effect.each(["tcp", ...versions] as const)("is noticed within a second, over %s", (kind) =>
    Effect.gen(function* () {
      const port = yield* portOf
      const peer =
        kind === "tcp"
          ? connect({ port, host: "127.0.0.1" })
          : new TlsPeer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), kind)
      const raw = peer instanceof TlsPeer ? peer.raw : peer
      const socket = peer instanceof TlsPeer ? peer.secure : peer
      raw.on("error", () => {})
      socket.write(unread)
      yield* inFlight(2)
      // The server has stopped to read: what is written does not leave any more.
      yield* until(
        Effect.sync(() => raw.writableLength > 0).pipe(
          Effect.andThen(settled(() => raw.bytesWritten - raw.writableLength))
        )
      )
      raw.resetAndDestroy()
      yield* Effect.promise(() => new Promise((resolve) => raw.once("close", resolve)))
      for (let i = 0; i < 10; i++) yield* turn
      yield* inFlight(2)
      yield* TestClock.adjust("1 second")
      yield* nobodyLeft
      const { counts } = yield* Lines
      assert.strictEqual((yield* counts).Cancelled, 2)
    }).pipe(
      Effect.scoped,
      Effect.provide(served(kind === "tcp" ? over.tcp({ maxPipelined: 2 }) : over.tls({ maxPipelined: 2 })))
    )
  )

  it.effect("is noticed after a half-close, too, while its request is handled", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      const peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      peer.on("error", () => {})
      peer.end("wait\n")
      yield* inFlight(1)
      const bytes = Effect.map(connections, (all) => all[0]?.bytesRead === 5)
      yield* until(bytes)
      for (let i = 0; i < 10; i++) yield* turn
      yield* TestClock.adjust("1 second")
      // It is still there.
      yield* inFlight(1)
      peer.resetAndDestroy()
      yield* Effect.promise(() => new Promise((resolve) => peer.once("close", resolve)))
      yield* TestClock.adjust("1 second")
      yield* nobodyLeft
    }).pipe(Effect.scoped, Effect.provide(served(over.tcp({}))))
  )
})

/** Whether a number has stayed the same for some turns of the event loop. */
const settled = (look: () => number): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const before = look()
    for (let i = 0; i < 20; i++) yield* turn
    return look() === before
  })

describe("a peer that does not read what waits for it", () => {
  it.effect.each(["tcp", "tls"] as const)(
    "is reset when its time is over, over %s, and its kernel's bytes with it",
    (kind) =>
      Effect.gen(function* () {
        const port = yield* portOf
        const before = yield* sockets
        const tlsPeer =
          kind === "tls" ? new TlsPeer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), "TLSv1.3") : undefined
        const raw = tlsPeer?.raw ?? connect({ port, host: "127.0.0.1" })
        const errors: Array<string> = []
        raw.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""))
        if (tlsPeer === undefined) raw.write("last\n")
        else {
          yield* step(() => tlsPeer.secured)
          yield* step(() => tlsPeer.write("last\n"))
        }
        raw.pause()
        yield* until(Effect.map(connections, (all) => (all[0]?.bytesWritten ?? 0) > 0))
        for (let i = 0; i < 50; i++) yield* turn
        // Long enough for the time it has, with and without progress.
        yield* TestClock.adjust("30 seconds")
        yield* nobodyLeft
        raw.resume()
        yield* Effect.promise(() =>
          raw.closed ? Promise.resolve() : new Promise((resolve) => raw.once("close", resolve))
        )
        assert.deepStrictEqual(errors, ["ECONNRESET"])
        yield* until(Effect.map(sockets, (now) => now <= before))
      }).pipe(Effect.scoped, Effect.provide(served(over[kind]({ drainTimeout: "2 seconds" }))))
  )
})

describe("a peer of a Unix socket", () => {
  it.live("that closes without having read is noticed while its replies wait, though nothing is read from it", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const path = (server.address as Endpoint.Unix).path
      const peer = connect({ path })
      peer.on("error", () => {})
      peer.pause()
      peer.write("stream\n")
      const written = Effect.map(connections, (all) => all[0]?.bytesWritten ?? 0)
      yield* until(Effect.map(written, (bytes) => bytes > 0))
      for (let i = 0; i < 20; i++) yield* turn
      peer.destroy()
      yield* nobodyLeft
    }).pipe(Effect.scoped, Effect.provide(served(over.unix({}))))
  )

  it.effect("that has closed after its last request has it handled, as if it had half-closed", () => {
    const handled: Array<string> = []
    const layer = Layer.provideMerge(
      Lines.serve(({ body }) =>
        Effect.as(
          Effect.delay(
            Effect.sync(() => handled.push(body)),
            "3 seconds"
          ),
          Response.empty
        )
      ),
      over.unix({ maxPipelined: 1 })
    )
    return Effect.gen(function* () {
      const server = yield* Lines
      const peer = connect({ path: (server.address as Endpoint.Unix).path })
      peer.end("a\nb\nc\n")
      peer.once("finish", () => peer.destroy())
      yield* inFlight(1)
      for (const count of [1, 2, 3]) {
        yield* TestClock.adjust("3 seconds")
        yield* until(Effect.sync(() => handled.length === count))
      }
      yield* nobodyLeft
      assert.deepStrictEqual(handled, ["a", "b", "c"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

describe("a connection that is reset right after it was half-closed", () => {
  it.effect.each(["tcp", "tls"] as const)("is gone, with its socket, over %s", (kind) => {
    const talk = Talk.serve(({ body }) =>
      Effect.andThen(body.take, Effect.andThen(body.end, body.reset)).pipe(Effect.orDie, Effect.as(Response.empty))
    )
    const layer = Layer.provideMerge(
      talk,
      kind === "tcp" ? TcpServer.layer(Talk, { drainTimeout: 0 }) : TlsServer.layer(Talk, { ...own, drainTimeout: 0 })
    )
    return Effect.gen(function* () {
      const server = yield* Talk
      const before = yield* sockets
      for (let i = 0; i < 10; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* Talk.client
            yield* client.write("now")
            yield* Effect.exit(client.take)
          })
        )
      }
      yield* until(Effect.map(server.connections, (all) => all.length === 0))
      yield* until(Effect.map(sockets, (now) => now <= before))
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provide(Logger.layer([])))
  })
})

describe("a peer that half-closes after its server has", () => {
  it.effect.each(["tcp", "tls"] as const)("is not taken for one that has reset, over %s", (kind) => {
    const talk = Talk.serve(({ body }) =>
      Effect.andThen(Effect.orDie(body.take), Effect.andThen(body.end, Effect.never))
    )
    const layer = Layer.provideMerge(
      talk,
      kind === "tcp" ? TcpServer.layer(Talk, { drainTimeout: 0 }) : TlsServer.layer(Talk, { ...own, drainTimeout: 0 })
    )
    return Effect.gen(function* () {
      const server = yield* Talk
      const { port } = server.address as Endpoint.Tcp
      const tlsPeer =
        kind === "tls" ? new TlsPeer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }), "TLSv1.3") : undefined
      const raw = tlsPeer?.raw ?? connect({ port, host: "127.0.0.1", allowHalfOpen: true })
      const socket = tlsPeer?.secure ?? raw
      const ended = Effect.callback<void>((resume) => void socket.once("end", () => resume(Effect.void)))
      socket.resume()
      socket.write("first\n")
      yield* ended
      // More than the server reads while its handler does not, and the end of it.
      socket.end("more\n".repeat(20_000))
      if (tlsPeer !== undefined) yield* until(Effect.sync(() => tlsPeer.secure.writableFinished))
      raw.end()
      yield* until(Effect.sync(() => raw.writableFinished))
      for (let i = 0; i < 50; i++) yield* turn
      yield* TestClock.adjust("5 seconds")
      for (let i = 0; i < 50; i++) yield* turn
      // For the system it is over; what has been sent can still be read.
      assert.lengthOf(yield* server.connections, 1)
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provide(Logger.layer([])))
  })
})

describe("TLS over a Unix socket", () => {
  it.effect.each(versions)("ends, too, where its peer has gone with the handshake's last (%s)", (version) => {
    const path = freshPath()
    const layer = Layer.provideMerge(
      Layer.unwrap(
        Effect.map(TlsServer.credentials(own), (credentials) =>
          Talk.serve(({ body }) =>
            Effect.gen(function* () {
              yield* body.take
              yield* TlsServer.upgrade(body, credentials, { last: "go" })
              yield* body.take
              // It never waits for its peer to say something again.
              for (;;) yield* body.write("y".repeat(2_000))
            }).pipe(Effect.ignore, Effect.as(Response.empty))
          )
        )
      ),
      UnixServer.layer(Talk, { path })
    )
    return Effect.gen(function* () {
      const server = yield* Talk
      for (let i = 0; i < 5; i++) {
        const raw = connect({ path })
        raw.on("error", () => {})
        raw.write("STARTTLS\n")
        yield* Effect.promise(() => new Promise((resolve) => raw.once("data", resolve)))
        const peer = new TlsPeer(raw, version)
        if (version === "TLSv1.3") peer.secure.once("secureConnect", () => peer.hold())
        yield* step(() => peer.secured)
        yield* step(() => peer.write("go on\n"))
        peer.release()
        raw.destroy()
        yield* step(() => peer.closed)
      }
      for (let i = 0; i < 50; i++) yield* turn
      yield* TestClock.adjust("3 seconds")
      yield* until(Effect.map(server.connections, (all) => all.length === 0))
    }).pipe(Effect.scoped, Effect.provide(layer.pipe(Layer.provide(Logger.layer([])))))
  })
})

describe("a client whose server does not read", () => {
  it.live.each(["tcp", "tls"] as const)("is gone a second after it was let go of, over %s", (kind) =>
    Effect.gen(function* () {
      const accepted: Array<net.Socket> = []
      const accept = (socket: net.Socket) => {
        socket.on("error", () => {})
        socket.pause()
        accepted.push(socket)
      }
      const server =
        kind === "tcp"
          ? net.createServer(accept)
          : tls.createServer({ cert: fs.readFileSync(own.cert), key: fs.readFileSync(own.key) }, accept)
      const listening = Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.acquireRelease(listening, () => Effect.sync(() => server.close()))
      const { port } = server.address() as net.AddressInfo
      let closed = false
      yield* Effect.scoped(
        Effect.gen(function* () {
          const wire = yield* NodeClient.wire(`${kind}://127.0.0.1:${port}`, {
            tls: { ca: own.cert, serverName: "localhost" }
          })
          wire.start({
            onData: () => {},
            onEnd: () => {},
            onDrain: () => {},
            onFinish: () => {},
            onClose: () => (closed = true)
          })
          wire.write(new Uint8Array(32 * 1024 * 1024))
        })
      )
      yield* until(Effect.sync(() => accepted.length === 1))
      const [socket] = accepted as [net.Socket]
      yield* until(Effect.sync(() => closed))
      const error = yield* Effect.callback<string>((resume) => {
        socket.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "")))
        socket.on("end", () => resume(Effect.succeed("end")))
        socket.resume()
      })
      assert.strictEqual(error, "ECONNRESET")
    }).pipe(Effect.scoped)
  )
})
