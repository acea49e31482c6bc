import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { BindFailed, ServerError } from "@socketserver/core/ServerError"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import dns from "node:dns"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Other extends Server.Service<Other>()("Other", { protocol: Protocol.lines() }) {}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))
const served = (options?: TcpServer.TcpServerOptions, handler = echo) =>
  Layer.provideMerge(Lines.serve(handler), TcpServer.layer(Lines, options)).pipe(Layer.provide(Logger.layer([])))
const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))
const port = Effect.map(Lines, ({ address }) => (address as Endpoint.Tcp).port)

/** A plain socket, as any program would open it. */
const socketTo = (options: net.NetConnectOpts): Effect.Effect<net.Socket, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Socket, Error>((resume) => {
      const socket = net.connect(options, () => resume(Effect.succeed(socket)))
      socket.on("error", (error) => resume(Effect.fail(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const bindFailure = (options: TcpServer.TcpServerOptions): Effect.Effect<BindFailed, unknown> =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(TcpServer.layer(Lines, options)))), (error: ServerError) => {
    assert.strictEqual(error.message, error.reason.message)
    return error.reason as BindFailed
  })

const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

const skipped = (reason: string): boolean => {
  console.log(`skipped: ${reason}`)
  return true
}

describe("binding", () => {
  it.live("reports the port that port 0 became, and any program can connect there", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      assert.match(String(server.address), /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
      const socket = yield* socketTo({ host: "127.0.0.1", port: yield* port })
      const answer = Effect.callback<string>((resume) => {
        socket.once("data", (chunk) => resume(Effect.succeed(String(chunk))))
      })
      const reading = yield* Effect.forkScoped(answer, { startImmediately: true })
      socket.write("hello\n")
      assert.strictEqual(yield* Fiber.join(reading), "hello\n")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("can be interrupted while a host is looked up, and binds nothing after that", () => {
    const { lookup } = dns
    return Effect.gen(function* () {
      const asked = yield* Deferred.make<() => void>()
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          dns.lookup = ((_: string, __: unknown, answer: (error: null, address: string, family: number) => void) =>
            Deferred.doneUnsafe(
              asked,
              Effect.succeed(() => answer(null, "127.0.0.1", 4))
            )) as never
        }),
        () => Effect.sync(() => void (dns.lookup = lookup))
      )
      const before = yield* descriptors
      const build = Effect.scoped(Layer.build(TcpServer.layer(Lines, { host: "slow.example" })))
      const building = yield* Effect.forkScoped(build)
      const answer = yield* Deferred.await(asked)
      yield* Fiber.interrupt(building)
      answer()
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      assert.strictEqual(yield* descriptors, before)
    }).pipe(Effect.scoped)
  })

  it.live("says which address is in use, and by whom", () =>
    Effect.gen(function* () {
      const taken = yield* port
      const { endpoint, kind, message } = yield* bindFailure({ port: taken })
      assert.deepStrictEqual([endpoint, kind], [`tcp://127.0.0.1:${taken}`, "AddressInUse"])
      assert.strictEqual(
        message,
        `Cannot bind tcp://127.0.0.1:${taken}: address in use by this very program, which provides Lines twice; make its layer once, and provide that one`
      )
    }).pipe(Effect.provide(served()))
  )

  it.live.each([
    { what: "a host that does not resolve", options: { host: "no-such-host.invalid" }, kind: "HostNotFound" },
    { what: "an address of another machine", options: { host: "192.0.2.1" }, kind: "AddressNotAvailable" },
    { what: "a port that does not exist", options: { port: 65_536 }, kind: "InvalidOption" },
    { what: "a port that is no number", options: { port: Number.NaN }, kind: "InvalidOption" }
  ] as const)("fails for $what", ({ kind, options }) =>
    Effect.map(bindFailure(options), (failure) => {
      assert.strictEqual(failure.kind, kind)
      assert.match(failure.message, /^Cannot bind tcp:\/\//)
    })
  )

  const privileged = process.getuid?.() === 0 && skipped("a privileged port can be bound, as this runs as root")
  it.live.skipIf(privileged)("fails for a privileged port", () =>
    Effect.map(bindFailure({ port: 1 }), ({ kind }) => assert.strictEqual(kind, "PermissionDenied"))
  )

  const noProc = !fs.existsSync("/proc/self/fd") && skipped("there is no /proc/self/fd to count descriptors in")
  it.live.skipIf(noProc)(
    "leaks no descriptor in 1,024 attempts that fail",
    () =>
      Effect.gen(function* () {
        const taken = yield* port
        yield* bindFailure({ port: taken })
        const before = yield* descriptors
        yield* Effect.repeat(bindFailure({ port: taken }), { times: 1_023 })
        assert.strictEqual(yield* descriptors, before)
      }).pipe(Effect.provide(served())),
    60_000
  )

  it.live("can take the port of a server that has just stopped, connections and all", () =>
    Effect.gen(function* () {
      const same = yield* Effect.provide(Effect.andThen(ask("hello"), port), served())
      assert.strictEqual(yield* Effect.provide(ask("hello again"), served({ port: same })), "hello again")
    })
  )

  it.live("shares a port between servers that both say so, and not otherwise", () =>
    Effect.gen(function* () {
      const shared = yield* port
      const second = TcpServer.layer(Other, { port: shared, reusePort: true })
      const other = yield* Effect.provide(Other, second)
      assert.strictEqual(String(other.address), String((yield* Lines).address))
      assert.strictEqual((yield* bindFailure({ port: shared })).kind, "AddressInUse")
    }).pipe(Effect.provide(TcpServer.layer(Lines, { reusePort: true })))
  )

  it.live("serves with the options that the kernel takes", () =>
    Effect.map(ask("hello"), (answer) => assert.strictEqual(answer, "hello")).pipe(
      Effect.provide(served({ backlog: 1, keepAlive: "30 seconds", noDelay: false }))
    )
  )
})

describe("IPv6", () => {
  const loopback = Object.values(os.networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))
  const none = !loopback && skipped("this machine has no IPv6 loopback")

  it.live.skipIf(none)("has its address in brackets, and its peers as well", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      assert.match(String(server.address), /^tcp:\/\/\[::1\]:[1-9]\d*$/)
      assert.match(yield* ask("who?"), /^\[::1\]:[1-9]\d*$/)
    }).pipe(Effect.provide(served({ host: "::1" }, ({ peer }) => Effect.succeed(Response.make(peer.name)))))
  )

  for (const { answered, ipv6Only } of [
    { ipv6Only: false, answered: true },
    { ipv6Only: true, answered: false }
  ]) {
    it.live.skipIf(none)(`${answered ? "has IPv4 too" : "is without IPv4"} everywhere if ipv6Only is ${ipv6Only}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* ask("six"), "six")
        const four = yield* Effect.exit(NodeClient.wire(Endpoint.tcp("127.0.0.1", yield* port)))
        assert.strictEqual(four._tag === "Success", answered)
      }).pipe(Effect.scoped, Effect.provide(served({ host: "::", ipv6Only })))
    )
  }
})

describe("peers", () => {
  it.live("knows the address that a peer has", () =>
    Effect.gen(function* () {
      const socket = yield* socketTo({ host: "127.0.0.1", port: yield* port })
      const server = yield* Lines
      let peers: ReadonlyArray<Connection.Info> = []
      while (peers.length === 0) {
        yield* Effect.yieldNow
        peers = yield* server.connections
      }
      assert.strictEqual(peers[0]!.peer.transport, "tcp")
      assert.strictEqual(peers[0]!.peer.name, `127.0.0.1:${socket.localPort}`)
      assert.include(String(peers[0]!.peer.address), String(socket.localPort))
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live.each([
    { what: "interrupts the handler", policy: Policy.fiber(), end: "Interrupt" },
    { what: "lets the handler finish", policy: Policy.finishing(Policy.fiber()), end: "Success" }
  ])("$what of a peer that resets its connection, and goes on serving", ({ end, policy }) => {
    const begun = Deferred.makeUnsafe<void>()
    const gate = Deferred.makeUnsafe<void>()
    const ended = Deferred.makeUnsafe<string>()
    const handler: Handler.Handler<string, string> = (request) =>
      request.body !== "slow"
        ? echo(request)
        : Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Deferred.await(gate)),
            Effect.andThen(echo(request)),
            Effect.onInterrupt(() => Deferred.succeed(ended, "Interrupt")),
            Effect.tap(() => Deferred.succeed(ended, "Success"))
          )
    const layer = Layer.provideMerge(Lines.serve(handler, { policy }), TcpServer.layer(Lines))
    return Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(
        Stream.runForEach(server.outcomes, ({ outcome }) =>
          Queue.offer(events, outcome._tag === "Cancelled" ? outcome.reason : outcome._tag)
        ),
        { startImmediately: true }
      )
      const socket = yield* socketTo({ host: "127.0.0.1", port: yield* port })
      socket.write("slow\nhalf a li")
      yield* Deferred.await(begun)
      socket.resetAndDestroy()
      if (end === "Success") {
        while ((yield* server.connections).some(({ inFlight }) => inFlight === 0)) yield* Effect.yieldNow
        assert.strictEqual(yield* ask("others are served meanwhile"), "others are served meanwhile")
        assert.strictEqual(yield* Queue.take(events), "Completed")
        yield* Deferred.succeed(gate, undefined)
      }
      assert.strictEqual(yield* Deferred.await(ended), end)
      assert.strictEqual(yield* Queue.take(events), "PeerGone")
      assert.strictEqual(yield* ask("still here"), "still here")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.live.each([
    { what: "gone", leave: (socket: net.Socket) => void socket.resetAndDestroy() },
    { what: "half-closed", leave: (socket: net.Socket) => void socket.resume().end() }
  ])("keeps nothing of a peer that has $what while it was being verified", ({ leave }) => {
    const asked = Deferred.makeUnsafe<void>()
    const answered = Deferred.makeUnsafe<boolean>()
    const verify = () => Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(answered))
    const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
    return Effect.gen(function* () {
      const server = yield* Lines
      const socket = yield* socketTo({ host: "127.0.0.1", port: yield* port })
      yield* Deferred.await(asked)
      leave(socket)
      // Long enough for the server to hear of it, which nothing says.
      yield* Effect.repeat(turn, { times: 100 })
      yield* Deferred.succeed(answered, true)
      assert.strictEqual(yield* ask("hello"), "hello")
      while ((yield* server.connections).length > 0) yield* turn
    }).pipe(Effect.scoped, Effect.provide(served({ verify })))
  })

  it.live("does not let peers that connect and say nothing hold up a stop", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const at = yield* port
      const sockets = yield* Effect.forEach(Array.from({ length: 20 }), () => socketTo({ host: "127.0.0.1", port: at }))
      const closed = sockets.map((socket) =>
        Effect.callback<void>((resume) => {
          socket.resume().once("close", () => resume(Effect.void))
        })
      )
      const waiting = yield* Effect.forkScoped(Effect.all(closed, { concurrency: "unbounded" }), {
        startImmediately: true
      })
      while ((yield* server.connections).length < 20) yield* Effect.yieldNow
      const report = yield* server.shutdown
      assert.deepStrictEqual([report.completed, report.interrupted], [0, 0])
      yield* Fiber.join(waiting)
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live.skipIf(!fs.existsSync("/proc/self/fd"))(
    "leaves no descriptor behind when it stops, whatever its peers did",
    () =>
      Effect.gen(function* () {
        const once = Effect.gen(function* () {
          const at = yield* port
          const sockets = yield* Effect.forEach(Array.from({ length: 30 }), () =>
            socketTo({ host: "127.0.0.1", port: at })
          )
          for (const [i, socket] of sockets.entries()) {
            if (i % 3 === 0) socket.end("bye\n")
            if (i % 3 === 1) socket.write("unfinished")
          }
          yield* ask("hello")
        }).pipe(Effect.scoped, Effect.provide(served()))
        yield* once
        const before = yield* descriptors
        yield* Effect.repeat(once, { times: 4 })
        while ((yield* descriptors) > before) yield* Effect.yieldNow
      })
  )
})
