import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as Networks from "@socketserver/core/Networks"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import type * as Transport from "@socketserver/core/Transport"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as UdpServer from "@socketserver/node/UdpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as diagnostics from "node:diagnostics_channel"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Answers with who asks, as the server sees it. */
const whoAmI: Handler.Handler<string, string> = (request) =>
  Effect.succeed(Response.make(`${request.body} from ${request.peer.name}`))

const served = <E>(transport: Layer.Layer<Lines, E>) =>
  Layer.provideMerge(Lines.serve(whoAmI), transport).pipe(Layer.provide(Logger.layer([])))

const port = Effect.map(Lines, ({ address }) => (address as Endpoint.Tcp).port)

const ledger = Effect.gen(function* () {
  const server = yield* Lines
  const events = yield* Queue.unbounded<Outcome.Event>()
  yield* Effect.forkScoped(
    Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
    { startImmediately: true }
  )
  return events
})

/** Sends pieces one by one, and reads to the end, which is a reset where it is one. */
const talk = (to: net.NetConnectOpts, pieces: ReadonlyArray<string | Uint8Array>, end = true) =>
  Effect.callback<string>((resume) => {
    let received = ""
    const socket = net.connect({ ...to, allowHalfOpen: true } as net.NetConnectOpts)
    socket.setNoDelay(true)
    socket.on("data", (chunk) => (received += String(chunk)))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    socket.on("end", () => socket.end())
    const next = (i: number): void => {
      if (i < pieces.length) socket.write(pieces[i]!, () => setImmediate(next, i + 1))
      else if (end) socket.end()
    }
    socket.on("connect", () => next(0))
    return Effect.sync(() => socket.destroy())
  })

const talkTcp = (pieces: ReadonlyArray<string | Uint8Array>, end?: boolean) =>
  Effect.flatMap(port, (port) => talk({ host: "127.0.0.1", port }, pieces, end))

const header = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

describe("a PROXY header", () => {
  const behind = served(TcpServer.layer(Lines, { proxyProtocol: ["127.0.0.0/8"] }))

  it.live.each([
    ["at once with the first request", [`${header}hello\n`]],
    ["byte by byte", [...`${header}hello\n`]],
    ["and then the request", [header, "hello\n"]],
    ["in the middle of the request", [`${header}hel`, "lo\n"]]
  ] as const)("that comes %s says who the peer is", ([, pieces]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* talkTcp(pieces), "hello from 192.0.2.1:56324\n")
    }).pipe(Effect.provide(behind))
  )

  it.live("gives the peer its address, for those who verify it by network", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* talkTcp([`${header}hello\n`]), "hello from 192.0.2.1:56324\n")
      const events = yield* ledger
      assert.strictEqual(yield* talkTcp([`${header.replace("192.0.2.1", "203.0.113.9")}hello\n`]), "")
      const { connection, outcome } = yield* Queue.take(events)
      assert.deepStrictEqual(outcome, { _tag: "Refused", kind: "Verify", reason: "verify" })
      assert.strictEqual(connection.peer.name, "203.0.113.9:56324")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served(
          TcpServer.layer(Lines, {
            proxyProtocol: ["127.0.0.1"],
            verify: Result.getOrThrow(Networks.within("192.0.2.0/24"))
          })
        )
      )
    )
  )

  it.live("that is none, or ends early, refuses the connection and nothing more", () =>
    Effect.gen(function* () {
      const events = yield* ledger
      for (const [pieces, reason] of [
        [["GET / HTTP/1.1\r\n"], "the connection does not start with a PROXY header"],
        [["PROXY TCP4 192.0.2.1 "], "the connection ended inside its PROXY header"],
        [[], "the connection ended inside its PROXY header"]
      ] as const) {
        assert.strictEqual(yield* talkTcp(pieces), "")
        assert.deepStrictEqual((yield* Queue.take(events)).outcome, { _tag: "Refused", kind: "Opening", reason })
      }
      assert.strictEqual(yield* talkTcp([`${header}hello\n`]), "hello from 192.0.2.1:56324\n")
    }).pipe(Effect.scoped, Effect.provide(behind))
  )

  it.live("that never comes costs its connection, once its time is up, and nobody else", () =>
    Effect.gen(function* () {
      const events = yield* ledger
      const silent = yield* Effect.forkScoped(talkTcp([], false))
      assert.strictEqual(yield* talkTcp([`${header}hello\n`]), "hello from 192.0.2.1:56324\n")
      const refused = yield* Effect.repeat(Queue.take(events), { until: ({ outcome }) => outcome._tag === "Refused" })
      assert.deepStrictEqual(refused.outcome, {
        _tag: "Refused",
        kind: "Opening",
        reason: "no PROXY header within 40 ms"
      })
      assert.strictEqual(yield* Fiber.join(silent), "")
    }).pipe(
      Effect.scoped,
      Effect.provide(served(TcpServer.layer(Lines, { proxyProtocol: ["127.0.0.1"], proxyTimeout: "40 millis" })))
    )
  )

  it.live("that has not come yet does not hold up a stop, and counts as a connection", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger
      yield* Effect.forkScoped(talkTcp([], false))
      // The second finds the place taken.
      yield* Effect.repeat(talkTcp(["PROXY "]), { until: () => Effect.map(Queue.size(events), (size) => size > 0) })
      const { outcome } = yield* Queue.take(events)
      assert.deepStrictEqual(outcome, { _tag: "Refused", kind: "MaxConnections", reason: "more than 1 connections" })
      const report = yield* server.shutdown
      assert.isBelow(report.millis, 5_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(served(TcpServer.layer(Lines, { proxyProtocol: ["127.0.0.1"], maxConnections: 1 })))
    )
  )

  it.live("of which a part has come when a stop begins is read to its end, and the request after it is answered", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const to = yield* port
      const socket = yield* Effect.acquireRelease(
        Effect.callback<net.Socket>((resume) => {
          const socket = net.connect({ host: "127.0.0.1", port: to, allowHalfOpen: true }, () =>
            // It is read in a turn of this very loop.
            socket.write(header.slice(0, 20), () => setImmediate(() => resume(Effect.succeed(socket))))
          )
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* server.stopping
      const answer = Effect.callback<string>((resume) => {
        socket.once("data", (chunk) => resume(Effect.succeed(String(chunk))))
        socket.write(header.slice(20))
        setImmediate(() => socket.end("hello\n"))
      })
      assert.strictEqual(yield* answer, "hello from 192.0.2.1:56324\n")
      assert.strictEqual((yield* Fiber.join(stop)).completed, 1)
    }).pipe(Effect.scoped, Effect.provide(behind))
  )

  it.live("is not read from peers that are not trusted: it is what they say", () =>
    Effect.gen(function* () {
      const answer = yield* talkTcp([`${header}hello\n`])
      assert.match(answer, /^PROXY TCP4 192\.0\.2\.1 198\.51\.100\.1 56324 443 from 127\.0\.0\.1:\d+\nhello from 127/)
    }).pipe(Effect.provide(served(TcpServer.layer(Lines, { proxyProtocol: ["10.0.0.0/8"] }))))
  )

  it.live("of the balancer itself leaves the peer as it is", () =>
    Effect.gen(function* () {
      const local = Uint8Array.from([...Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), 0x20, 0, 0, 0])
      assert.match(yield* talkTcp([local, "check\n"]), /^check from 127\.0\.0\.1:\d+\n$/)
    }).pipe(Effect.provide(behind))
  )

  it.live("introduces peers over a Unix socket, where every peer is a balancer", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unix-"))),
        (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
      )
      const path = join(directory, "s")
      const layer = served(NodeServer.layer(Lines, `unix://${path}?proxyProtocol=true`))
      const answer = yield* Effect.provide(talk({ path }, [`${header}hello\n`]), layer)
      assert.strictEqual(answer, "hello from 192.0.2.1:56324\n")
    })
  )
})

describe("allow", () => {
  it.live("closes connections from elsewhere before anything is read", () =>
    Effect.gen(function* () {
      const events = yield* ledger
      assert.strictEqual(yield* talkTcp(["hello\n"]), "")
      const { connection, outcome, request } = yield* Queue.take(events)
      assert.deepStrictEqual([outcome, request], [{ _tag: "Refused", kind: "Allow", reason: "allow" }, undefined])
      assert.strictEqual(connection.bytesRead, 0)
    }).pipe(Effect.scoped, Effect.provide(served(TcpServer.layer(Lines, { allow: ["10.0.0.0/8", "2001:db8::/32"] }))))
  )

  it.live("lets those in that come from one of its networks, IPv4 over a dual-stack listener, too", () =>
    Effect.gen(function* () {
      assert.match(yield* talkTcp(["hello\n"]), /^hello from \[::ffff:127\.0\.0\.1\]:\d+\n$/)
    }).pipe(Effect.provide(served(TcpServer.layer(Lines, { host: "::", allow: ["127.0.0.1"] }))))
  )

  it.live("is one of the options of a URL", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* talkTcp(["hello\n"]), "")
    }).pipe(Effect.provide(served(NodeServer.layer(Lines, "tcp://127.0.0.1:0?allow=10.0.0.0/8,::1"))))
  )

  it.live("drops datagrams from elsewhere", () =>
    Effect.gen(function* () {
      const events = yield* ledger
      const client = yield* Lines.client
      yield* client.write("hello")
      assert.deepStrictEqual((yield* Queue.take(events)).outcome, { _tag: "Refused", kind: "Allow", reason: "allow" })
    }).pipe(Effect.scoped, Effect.provide(served(UdpServer.layer(Lines, { allow: ["10.0.0.0/8"] }))))
  )

  it.live.each([
    [{ allow: ["10.0.0.0/33"] }, "allow", /^"10\.0\.0\.0\/33" is no network; /],
    [{ proxyProtocol: ["balancer.example"] }, "proxyProtocol", /^"balancer\.example" is no network; /],
    [{ proxyProtocol: ["10.0.0.0/8"], proxyTimeout: -1 }, "proxyTimeout", /^it must be a positive time that ends/]
  ] as const)("fails to build with %j", ([options, option, problem]) =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(Effect.scoped(Layer.build(TcpServer.layer(Lines, options as never))))
      assert(reason._tag === "InvalidOption")
      assert.strictEqual(reason.option, option)
      assert.match(reason.problem, problem)
    })
  )
})

describe("verify", () => {
  const refusals: ReadonlyArray<readonly [string, () => boolean | Effect.Effect<boolean>]> = [
    ["says no", () => false],
    ["says no later", () => Effect.as(Effect.yieldNow, false)],
    [
      "throws",
      () => {
        throw new Error("broken")
      }
    ],
    ["dies", () => Effect.die("broken")],
    ["is interrupted", () => Effect.interrupt]
  ]
  it.live.each(refusals)("that %s closes the connection before anything is read, and nothing more", ([, refuses]) => {
    const first = Deferred.makeUnsafe<void>()
    const verify: Transport.Verify = () => {
      if (Deferred.isDoneUnsafe(first)) return true
      Deferred.doneUnsafe(first, Effect.void)
      return refuses()
    }
    return Effect.gen(function* () {
      const events = yield* ledger
      assert.strictEqual(yield* talkTcp(["hello\n"]), "")
      const { connection, outcome } = yield* Queue.take(events)
      assert.strictEqual(outcome._tag, "Refused")
      assert.strictEqual(connection.bytesRead, 0)
      assert.match(yield* talkTcp(["hello\n"]), /^hello from /)
    }).pipe(Effect.scoped, Effect.provide(served(TcpServer.layer(Lines, { verify }))))
  })

  it.live("that never answers counts as a connection, and does not hold up a stop", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger
      for (let i = 0; i < 2; i++) yield* Effect.forkScoped(talkTcp(["hello\n"]))
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Refused")
      assert.strictEqual((yield* server.shutdown).interrupted, 0)
    }).pipe(
      Effect.scoped,
      Effect.provide(served(TcpServer.layer(Lines, { verify: () => Effect.never, maxConnections: 1 })))
    )
  )

  it.live.each([
    ["ended", "end", [], (socket) => socket.end()],
    ["ended after its PROXY header", "end", [header], (socket) => socket.end()],
    ["was reset", "close", [], (socket) => socket.resetAndDestroy()]
  ] as ReadonlyArray<readonly [string, string, ReadonlyArray<string>, (socket: net.Socket) => void]>)(
    "lets go of a connection that %s meanwhile",
    ([, event, pieces, leave]) => {
      const asked = Deferred.makeUnsafe<void>()
      const gone = Deferred.makeUnsafe<void>()
      const released = Deferred.makeUnsafe<void>()
      const accepted = ({ socket }: { readonly socket: net.Socket }) =>
        // In the turn after all others have seen it.
        void socket.once(event, () => setImmediate(() => Deferred.doneUnsafe(gone, Effect.void)))
      const watched = Effect.acquireRelease(
        Effect.sync(() => diagnostics.subscribe("net.server.socket", accepted as never)),
        () => Effect.sync(() => diagnostics.unsubscribe("net.server.socket", accepted as never))
      )
      const verify = () => Effect.as(Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(gone)), true)
      const handler = Session.make(() =>
        Effect.as(
          Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
          whoAmI
        )
      )
      const options = { verify, ...(pieces.length > 0 && { proxyProtocol: ["127.0.0.1"] }) }
      return Effect.gen(function* () {
        yield* watched
        const socket = net.connect(yield* port, "127.0.0.1").on("error", () => {})
        for (const piece of pieces) socket.write(piece)
        yield* Deferred.await(asked)
        leave(socket)
        yield* Deferred.await(released)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.provideMerge(Lines.serve(handler), TcpServer.layer(Lines, options)).pipe(
            Layer.provide(Logger.layer([]))
          )
        )
      )
    }
  )
})
