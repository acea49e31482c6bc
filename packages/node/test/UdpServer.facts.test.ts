import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { BindFailed } from "@socketserver/core/ServerError"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as UdpServer from "@socketserver/node/UdpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as dgram from "node:dgram"
import * as diagnostics from "node:diagnostics_channel"
import * as fs from "node:fs"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Bytes extends Server.Service<Bytes>()("Bytes", { protocol: Protocol.bytes() }) {}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))
const served = (options?: UdpServer.UdpServerOptions, handler = echo) =>
  Layer.provideMerge(Lines.serve(handler), UdpServer.layer(Lines, options)).pipe(Layer.provide(Logger.layer([])))
const port = Effect.map(Lines, ({ address }) => (address as Endpoint.Udp).port)

/** A plain socket, as any program would open it. */
const socket = (type: dgram.SocketType): Effect.Effect<dgram.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<dgram.Socket>((resume) => {
      const socket = dgram.createSocket(type)
      socket.bind(0, () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.close())
  )

const exchange = (socket: dgram.Socket, text: string, port: number, host: string) =>
  Effect.callback<string>((resume) => {
    socket.once("message", (data) => resume(Effect.succeed(String(data))))
    socket.send(text, port, host)
  })

const bindFailure = (options: UdpServer.UdpServerOptions) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(UdpServer.layer(Lines, options)))), (error) => {
    assert.strictEqual(error.message, error.reason.message)
    return error.reason as BindFailed
  })

const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

const skipped = (reason: string): boolean => {
  console.log(`skipped: ${reason}`)
  return true
}

describe("binding", () => {
  it.live("reports the port that port 0 became, and any program can ask there", () =>
    Effect.gen(function* () {
      const { address } = yield* Lines
      assert.match(String(address), /^udp:\/\/127\.0\.0\.1:[1-9]\d*$/)
      assert.strictEqual(yield* exchange(yield* socket("udp4"), "hello\n", yield* port, "127.0.0.1"), "hello")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("to :: serves both families, and with ipv6Only one", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* exchange(yield* socket("udp4"), "four", yield* port, "127.0.0.1"), "four")
        assert.strictEqual(yield* exchange(yield* socket("udp6"), "six", yield* port, "::1"), "six")
      }).pipe(Effect.scoped, Effect.provide(served({ host: "::" })))
      yield* Effect.gen(function* () {
        // The port is free for IPv4.
        const other = yield* Layer.build(UdpServer.layer(Bytes, { host: "0.0.0.0", port: yield* port }))
        assert.match(String(Context.get(other, Bytes).address), /^udp:\/\/0\.0\.0\.0:/)
      }).pipe(Effect.scoped, Effect.provide(served({ host: "::", ipv6Only: true })))
    })
  )

  it.live("lets two servers share a port with reusePort, and not without", () =>
    Effect.gen(function* () {
      const shared = yield* port
      yield* Layer.build(UdpServer.layer(Bytes, { port: shared, reusePort: true }))
      assert.strictEqual((yield* bindFailure({ port: shared })).kind, "AddressInUse")
    }).pipe(Effect.scoped, Effect.provide(served({ reusePort: true })))
  )

  it.live.each([
    { what: "a host that does not resolve", options: { host: "no-such-host.invalid" }, kind: "HostNotFound" },
    { what: "an address of another machine", options: { host: "192.0.2.1" }, kind: "AddressNotAvailable" },
    { what: "a port that does not exist", options: { port: 65_536 }, kind: "InvalidOption" }
  ] as const)("fails for $what", ({ kind, options }) =>
    Effect.map(bindFailure(options), (failure) => {
      assert.strictEqual(failure.kind, kind)
      assert.match(failure.message, /^Cannot bind udp:\/\//)
    })
  )

  it.live.each([
    { options: { multicast: ["192.0.2.1"] }, problem: 'the group "192.0.2.1"; it must be a multicast address' },
    {
      options: { multicastInterface: "192.0.2.255" },
      problem: '"192.0.2.255"; it must be the address of an interface'
    },
    { options: { multicastTtl: 256 }, problem: "256; it must be 0 to 255" }
  ])("fails for $options, and says what it must be", ({ options, problem }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(UdpServer.layer(Lines, options))))
      assert(error.reason._tag === "InvalidOption")
      const [option] = Object.keys(options)
      assert.include(error.message, `Invalid option ${option} of Lines: the system refuses ${problem}`)
    })
  )

  it.live.each(["::%nosuch0", "::1", "::%lo/..", "::%"])(
    "refuses the interface %s over IPv6, and joins on no other",
    (on) =>
      Effect.gen(function* () {
        const options = { host: "::", multicast: ["ff02::1:3"], multicastInterface: on }
        const error = yield* Effect.flip(Effect.scoped(Layer.build(UdpServer.layer(Lines, options))))
        assert(error.reason._tag === "InvalidOption")
        assert.include(
          error.message,
          `Invalid option multicastInterface of Lines: there is no interface "${on}"; it must be`
        )
      })
  )

  /** As one of so many copies. */
  const amongCopies = (count: number) =>
    Effect.acquireRelease(
      Effect.sync(() => Remote.setCopies(count)),
      () => Effect.sync(() => Remote.setCopies(1))
    )

  it.live.each<UdpServer.UdpServerOptions>([
    { host: "0.0.0.0", multicast: ["239.255.77.78"] },
    { host: "::", multicast: ["ff02::1:3"] },
    { host: "localhost", multicast: ["239.255.77.78"] },
    { host: "0.0.0.0", broadcast: true }
  ])("is refused to one of two copies, where each would handle the same datagrams: %j", (options) =>
    Effect.gen(function* () {
      yield* amongCopies(2)
      const error = yield* Effect.flip(Layer.build(UdpServer.layer(Lines, options)))
      assert(error.reason._tag === "InvalidOption")
      const [option, what] =
        options.multicast === undefined ? ["broadcast", "what is broadcast"] : ["multicast", "what is sent to a group"]
      assert.strictEqual(
        error.message,
        `Invalid option ${option} of Lines: each of 2 copies (PREFORK) would handle ${what}; take POLICY=pool or thread to use all cores`
      )
    }).pipe(Effect.scoped)
  )

  it.live.each<readonly [copies: number, options: UdpServer.UdpServerOptions]>([
    [1, { host: "0.0.0.0", multicast: ["239.255.77.78"], multicastInterface: "127.0.0.1" }],
    [1, { host: "0.0.0.0", broadcast: true }],
    [2, { multicast: [], broadcast: false }],
    [2, {}]
  ])("is allowed to one of %i copies: %j", ([copies, options]) =>
    Effect.gen(function* () {
      yield* amongCopies(copies)
      yield* Layer.build(UdpServer.layer(Lines, options))
    }).pipe(Effect.scoped)
  )

  const noProc = !fs.existsSync("/proc/self/fd") && skipped("there is no /proc/self/fd to count descriptors in")
  it.live.skipIf(noProc)(
    "leaks no descriptor in 256 attempts that fail",
    () =>
      Effect.gen(function* () {
        const taken = yield* port
        yield* bindFailure({ port: taken })
        const before = yield* descriptors
        yield* Effect.repeat(bindFailure({ port: taken }), { times: 255 })
        yield* Effect.repeat(
          Effect.flip(Effect.scoped(Layer.build(UdpServer.layer(Lines, { multicast: ["192.0.2.1"] })))),
          { times: 31 }
        )
        assert.strictEqual(yield* descriptors, before)
      }).pipe(Effect.provide(served())),
    60_000
  )
})

describe("a UDP server", () => {
  it.live("hears a multicast group that it has joined", () =>
    Effect.gen(function* () {
      const sender = yield* socket("udp4")
      sender.setMulticastInterface("127.0.0.1")
      sender.setMulticastLoopback(true)
      assert.strictEqual(yield* exchange(sender, "to the group", yield* port, "239.255.77.77"), "to the group")
    }).pipe(
      Effect.scoped,
      Effect.provide(served({ host: "0.0.0.0", multicast: ["239.255.77.77"], multicastInterface: "127.0.0.1" }))
    )
  )

  it.live("drops and counts what comes over its limit, and answers the others", () => {
    const gate = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = (request) => Effect.andThen(gate.await, echo(request))
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      for (let i = 0; i < 50; i++) yield* client.write(`line ${i}`)
      while ((yield* server.counts).Refused < 40) yield* Effect.yieldNow
      assert.strictEqual((yield* server.connections).length, 10)
      yield* gate.open
      // On a full machine not all of them have begun by now; those that begin later find the gate open, and overtake.
      const answers = yield* Stream.runCollect(Stream.take(client.stream, 10))
      assert.deepStrictEqual(
        answers.toSorted(),
        Array.from({ length: 10 }, (_, i) => `line ${i}`)
      )
      assert.deepStrictEqual((yield* server.counts).Refused, 40)
    }).pipe(Effect.scoped, Effect.provide(served({ maxConnections: 10 }, handler)))
  })

  it.live("goes on when a sender has left before its answer", () => {
    const gate = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = (request) =>
      request.body === "leaves" ? Effect.andThen(gate.await, echo(request)) : echo(request)
    return Effect.gen(function* () {
      const server = yield* Lines
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* Lines.client
          yield* client.write("leaves")
          while ((yield* server.connections).length < 1) yield* Effect.yieldNow
        })
      )
      yield* gate.open
      for (let i = 0; i < 3; i++) {
        const answer = yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("stays")))
        assert.strictEqual(answer, "stays")
      }
      assert.strictEqual((yield* server.counts).Completed, 4)
    }).pipe(Effect.provide(served({}, handler)))
  })

  it.live("cannot answer a sender whose port is 0, as anybody may forge it, and goes on", () => {
    const sockets: Array<dgram.Socket> = []
    const seen = (message: unknown) => sockets.push((message as { readonly socket: dgram.Socket }).socket)
    const watched = Effect.acquireRelease(
      Effect.sync(() => diagnostics.subscribe("udp.socket", seen)),
      () => Effect.sync(() => diagnostics.unsubscribe("udp.socket", seen))
    )
    return Effect.gen(function* () {
      yield* watched
      const server = Context.get(yield* Layer.build(served()), Lines)
      const events = yield* Queue.unbounded<Outcome.Event>()
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
        { startImmediately: true }
      )
      // Only a raw socket can send it, which takes privileges.
      sockets[0]!.emit("message", Buffer.from("forged"), { address: "127.0.0.1", family: "IPv4", port: 0, size: 6 })
      const { outcome } = yield* Queue.take(events)
      assert(outcome._tag === "Undelivered")
      assert.strictEqual(outcome.reason, "NoReturnAddress")
      const { port } = server.address as Endpoint.Udp
      assert.strictEqual(yield* exchange(yield* socket("udp4"), "hello", port, "127.0.0.1"), "hello")
    }).pipe(Effect.scoped)
  })

  it.live("says that a reply of 65,508 bytes is too large, and sends one of 65,507", () => {
    const handler: Handler.Handler<Uint8Array, Uint8Array> = ({ body }) =>
      Effect.succeed(Response.make(new Uint8Array(65_506 + body.length)))
    return Effect.gen(function* () {
      const server = yield* Bytes
      const events = yield* Queue.unbounded<Outcome.Event>()
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
        { startImmediately: true }
      )
      const client = yield* Bytes.client
      assert.strictEqual((yield* client.send(new Uint8Array(1))).length, 65_507)
      yield* Queue.take(events)
      yield* client.write(new Uint8Array(2))
      const { outcome } = yield* Queue.take(events)
      assert(outcome._tag === "Undelivered")
      assert.strictEqual(outcome.reason, "TooLarge")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(Bytes.serve(handler), UdpServer.layer(Bytes)).pipe(Layer.provide(Logger.layer([])))
      )
    )
  })
})

describe("a UDP client", () => {
  it.live("learns that nobody listens when it asks", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.provide(
        Effect.map(Lines, ({ address }) => address),
        served()
      )
      const client = yield* NodeClient.connect(Lines, gone)
      assert.strictEqual((yield* Effect.flip(client.send("hello"))).reason._tag, "Reset")
    }).pipe(Effect.scoped)
  )

  it.live("fails to connect where the system knows no way", () =>
    Effect.gen(function* () {
      // A broadcast address, which a socket has to ask for.
      const failure = yield* Effect.flip(NodeClient.connect(Lines, "udp://255.255.255.255:9"))
      assert(failure._tag === "ConnectFailed")
      assert.strictEqual(failure.endpoint, "udp://255.255.255.255:9")
      assert.match(failure.message, /EACCES/)
    }).pipe(Effect.scoped)
  )

  it.live("cannot send what is too large for a datagram, and goes on", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const failure = yield* Effect.flip(client.write("x".repeat(65_508)))
      assert.strictEqual(
        failure.message,
        `Connection with ${(yield* Lines).address.toString().slice(6)}: the message cannot be encoded: it has 65508 bytes, a datagram at most 65507`
      )
      assert.strictEqual(yield* client.send("small"), "small")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )
})
