/** Sockets that handlers have taken: who their peer is, what they get, and what the server still does with them. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as FdServer from "@socketserver/node/FdServer"
import * as RawSocket from "@socketserver/node/RawSocket"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import * as tls from "node:tls"
import { afterEach } from "vitest"
import { directory, selfSigned } from "./support/certificates.ts"
import { inet } from "./support/descriptors.ts"

class Raw extends Server.Service<Raw>()("Raw", { protocol: Protocol.connection() }) {}

const home = directory()
const own = selfSigned(home, "localhost")
const opened = new Set<net.Socket>()

afterEach(() => {
  for (const socket of opened) socket.destroy()
  opened.clear()
})

/** Says who the peer is, then sends back what it gets; ends when that ends, or the server stops. */
const echo = RawSocket.handler(({ socket, stopping }) =>
  Effect.raceFirst(
    Effect.callback<void>((resume) => {
      socket.write(`${socket.remoteAddress} ${"encrypted" in socket}\n`)
      socket.on("data", (chunk) => socket.write(chunk))
      socket.on("end", () => resume(Effect.void))
      socket.resume()
    }),
    Effect.andThen(
      stopping,
      Effect.sync(() => void socket.write("stopping\n"))
    )
  )
)

const path = join(home, "socket")

const over: Record<
  string,
  {
    readonly layer: (options: Transport.ServerOptions) => Layer.Layer<Raw, ServerError>
    readonly connect: (address: Endpoint.Endpoint) => net.Socket
    readonly greeting: string
  }
> = {
  tcp: {
    layer: (options) => TcpServer.layer(Raw, options),
    connect: (address) => net.connect({ port: (address as Endpoint.Tcp).port, allowHalfOpen: true }),
    greeting: "127.0.0.1 false\n"
  },
  unix: {
    layer: (options) => UnixServer.layer(Raw, { ...options, path }),
    connect: () => net.connect({ path, allowHalfOpen: true }),
    greeting: "undefined false\n"
  },
  tls: {
    layer: (options) => TlsServer.layer(Raw, { ...options, ...own }),
    connect: (address) =>
      tls.connect({
        port: (address as Endpoint.Tls).port,
        servername: "localhost",
        ca: fs.readFileSync(own.cert),
        // Node takes it, and its types do not know.
        allowHalfOpen: true
      } as tls.ConnectionOptions),
    greeting: "127.0.0.1 true\n"
  }
}

const served = (transport: Layer.Layer<Raw, ServerError>, policy: Policy.Policy = Policy.fiber()) =>
  Layer.provideMerge(Raw.serve(echo, { policy }), transport).pipe(Layer.provide(Logger.layer([])))

/** A peer's socket, and what it has received. */
const peer = (socket: net.Socket) => {
  opened.add(socket)
  let text = ""
  let ended = false
  const waiting = new Set<() => void>()
  const changed = () => waiting.forEach((look) => look())
  socket.setEncoding("utf8").on("data", (more: string) => ((text += more), changed()))
  socket.on("end", () => ((ended = true), changed()))
  socket.on("error", () => {})
  socket.on("close", () => ((ended = true), changed()))
  const until = (holds: () => boolean) =>
    Effect.callback<string>((resume) => {
      const look = () => {
        if (holds()) resume(Effect.sync(() => text))
      }
      waiting.add(look)
      look()
      return Effect.sync(() => waiting.delete(look))
    })
  return {
    socket,
    says: (what: string) => until(() => text.includes(what)),
    end: until(() => ended)
  }
}

const some = (all: object) => Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))

describe.each(Object.entries(over))("a socket taken over %s", (transport, { connect, greeting, layer }) => {
  it.live("is the peer's own, both ways, and closes without loss when its handler ends", () =>
    Effect.gen(function* () {
      const server = yield* Raw
      const client = peer(connect(server.address))
      // Before its handler begins, and after.
      client.socket.write("early\n")
      assert.strictEqual(yield* client.says("early\n"), `${greeting}early\n`)
      client.socket.end("late\n")
      assert.strictEqual(yield* client.end, `${greeting}early\nlate\n`)
      const { counts } = yield* server.shutdown
      assert.deepStrictEqual(some(counts), { Completed: 1 })
    }).pipe(Effect.scoped, Effect.provide(served(layer({}))))
  )

  it.live("has all that its peer has sent before its turn, and the end of it", () => {
    const policy = Policy.sequential
    return Effect.gen(function* () {
      const server = yield* Raw
      const first = peer(connect(server.address))
      yield* first.says(greeting)
      const [second, third] = [peer(connect(server.address)), peer(connect(server.address))]
      second.socket.end("early\n")
      // Who ends before its handshake is refused.
      third.socket.once(transport === "tls" ? "secureConnect" : "connect", () => third.socket.end())
      const heard = ({ bytesRead, endedBy }: Connection.Info) => bytesRead > 0 || endedBy === "peer"
      while ((yield* server.connections).filter(heard).length < 2) yield* Effect.sleep("5 millis")
      first.socket.end()
      assert.deepStrictEqual([yield* second.end, yield* third.end], [`${greeting}early\n`, greeting])
      const { counts } = yield* server.shutdown
      assert.deepStrictEqual(some(counts), { Completed: 3 })
    }).pipe(Effect.scoped, Effect.provide(served(layer({}), policy)))
  })

  it.live("is told of a stop, and answered", () =>
    Effect.gen(function* () {
      const server = yield* Raw
      const client = peer(connect(server.address))
      yield* client.says(greeting)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      assert.strictEqual(yield* client.end, `${greeting}stopping\n`)
      client.socket.end()
      assert.deepStrictEqual((yield* Fiber.join(stop)).interrupted, 0)
    }).pipe(Effect.scoped, Effect.provide(served(layer({}))))
  )

  it.live("is reset when its peer does not read for as long as it may", () =>
    Effect.gen(function* () {
      const server = yield* Raw
      const client = peer(connect(server.address))
      yield* client.says(greeting)
      client.socket.pause()
      const chunk = Buffer.alloc(1024 * 1024)
      for (let i = 0; i < 64; i++) client.socket.write(chunk)
      yield* Effect.sync(() => server)
      while (Object.keys(some(yield* server.timeouts)).length === 0) yield* Effect.sleep("50 millis")
      assert.deepStrictEqual(some(yield* server.timeouts), { write: 1 })
      assert.deepStrictEqual(yield* server.connections, [])
    }).pipe(Effect.scoped, Effect.provide(served(layer({ writeTimeout: "500 millis" }))))
  )

  it.live("has its place, and is gone with its peer", () =>
    Effect.gen(function* () {
      const server = yield* Raw
      const client = peer(connect(server.address))
      yield* client.says(greeting)
      const other = peer(connect(server.address))
      yield* other.end
      assert.deepStrictEqual(some(yield* server.refusals), { MaxConnections: 1 })
      client.socket.destroy()
      while ((yield* server.connections).length > 0) yield* Effect.sleep("5 millis")
    }).pipe(Effect.scoped, Effect.provide(served(layer({ maxConnections: 1 }))))
  )
})

describe("a socket taken", () => {
  const proxied = TcpServer.layer(Raw, { proxyProtocol: ["127.0.0.0/8"] })
  it.live("behind a balancer names the peer that the balancer has named", () =>
    Effect.gen(function* () {
      const server = yield* Raw
      const client = peer(net.connect({ port: (server.address as Endpoint.Tcp).port }))
      client.socket.write("PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\nearly\n")
      assert.strictEqual(yield* client.says("early\n"), "203.0.113.9 false\nearly\n")
    }).pipe(Effect.scoped, Effect.provide(served(proxied)))
  )

  it.live("may come by an inherited listener", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(served(FdServer.layer(Raw, { fd: inet("stream") })))
      const server = yield* Effect.provideContext(Raw, context)
      const client = peer(net.connect({ port: (server.address as Endpoint.Tcp).port }))
      assert.strictEqual(yield* client.says("\n"), "127.0.0.1 false\n")
    }).pipe(Effect.scoped)
  )

  it.live("does not exist in memory: the request ends as Failed", () =>
    Effect.gen(function* () {
      const client = yield* Raw.rawClient
      yield* Effect.exit(client.take)
      assert.strictEqual((yield* (yield* Raw).counts).Failed, 1)
    }).pipe(Effect.scoped, Effect.provide(served(MemoryServer.layer(Raw))))
  )
})
