/** What a connection of HTTP makes its server hold, and for how long; and limits that are changed while it runs. */
import { assert, describe, it } from "@effect/vitest"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as HttpBridge from "@socketserver/effect/HttpBridge"
import * as Xmlrpc from "@socketserver/effect/Xmlrpc"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { directory, heldBy, listening, some, until } from "./support.ts"
import { get, peerOf } from "./support/http.ts"

class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}

const { all, own } = listening(Web, directory())
const connect = peerOf(Web, own.cert)
const sockets = ["tcp", "tls", "unix"] as const

/** What lets each of the handlers of `/slow` go on, and how many have begun. */
const gates = () => ({ goOn: Array.from({ length: 100 }, () => Deferred.makeUnsafe<void>()), begun: 0 })

const routes = (gate: ReturnType<typeof gates>) =>
  HttpRouter.addAll([
    HttpRouter.route("GET", "/hello", HttpServerResponse.text("<hello>")),
    HttpRouter.route(
      "GET",
      "/slow",
      Effect.suspend(() => {
        const goOn = gate.goOn[gate.begun++]!
        return Effect.as(Deferred.await(goOn), HttpServerResponse.text("<slow>"))
      })
    ),
    HttpRouter.route(
      "GET",
      "/ws",
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const socket = yield* Effect.orDie(request.upgrade)
        const { pull } = yield* socket.reader
        const { writeAll } = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, writeAll))
      }).pipe(Effect.catchCause(() => Effect.succeed(HttpServerResponse.empty())))
    )
  ])

const served = (transport: Layer.Layer<Web, ServerError>, options: HttpBridge.Options = {}, gate = gates()) =>
  HttpRouter.serve(routes(gate), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(HttpBridge.layer(Web, options)),
    Layer.provideMerge(transport),
    Layer.provide(Logger.layer([]))
  )

const held = heldBy(Web)

const open = Effect.flatMap(Web, ({ connections }) => Effect.map(connections, ({ length }) => length))

/** A peer whose connection is a WebSocket. */
const webSocket = Effect.gen(function* () {
  const peer = yield* connect
  const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
  yield* peer.write(get("/ws", `Upgrade: websocket\r\nConnection: Upgrade\r\n${key}`))
  yield* peer.says("101 Switching Protocols")
  yield* peer.says("\r\n\r\n")
  return peer
})

/** A frame of a peer, masked with nothing. https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
const frame = (opcode: number, data: string, isLast: boolean): Buffer => {
  const head = Buffer.alloc(14)
  head[0] = (isLast ? 0x80 : 0) | opcode
  head[1] = 0xff
  head.writeBigUInt64BE(BigInt(data.length), 2)
  return Buffer.concat([head, Buffer.from(data)])
}

const text = 1
const more = 0

describe("a message of a WebSocket that has not ended", () => {
  /** The ways to begin one of 100,000 bytes. */
  const ways: Record<string, ReadonlyArray<Buffer>> = {
    "a fragment": [frame(text, "x".repeat(100_000), false)],
    "many fragments": [
      frame(text, "x", false),
      ...Array.from({ length: 99 }, () => frame(more, "x".repeat(1_000), false))
    ],
    "half a frame": [frame(text, "x".repeat(200_000), true).subarray(0, 100_014)]
  }

  for (const kind of sockets) {
    for (const [what, pieces] of Object.entries(ways)) {
      it.live(`counts in maxMemory until it has: ${what}, ${kind}`, () =>
        Effect.gen(function* () {
          const peer = yield* webSocket
          yield* until(Effect.map(held, (bytes) => bytes < 10_000))
          for (const piece of pieces) peer.socket.write(piece)
          yield* until(Effect.map(held, (bytes) => bytes >= 100_000))
          if (what === "half a frame") peer.socket.write("x".repeat(100_000))
          else peer.socket.write(frame(more, "end", true))
          yield* peer.says(what === "half a frame" ? "x".repeat(200_000) : "xend")
          yield* until(Effect.map(held, (bytes) => bytes < 10_000))
          assert.strictEqual(yield* open, 1)
        }).pipe(Effect.scoped, Effect.provide(served(all[kind]())))
      )
    }

    it.live(`keeps nobody out: those that hold most of them give way (${kind})`, () =>
      Effect.gen(function* () {
        const large = frame(text, "x".repeat(1_000_000), false)
        for (let i = 0; i < 12; i++) (yield* webSocket).socket.write(large)
        // Sent is not received.
        yield* until(Effect.map(held, (bytes) => bytes >= 3_000_000))
        const newcomer = yield* connect
        yield* newcomer.write(get("/hello"))
        yield* newcomer.says("<hello>")
        assert.isAtMost(yield* held, 5 * 1_048_576)
        assert.strictEqual((yield* (yield* Web).counts).Refused, 0)
      }).pipe(Effect.scoped, Effect.provide(served(all[kind]({ maxMemory: 4 * 1_048_576 }))))
    )

    // The time is the same for all of them.
    if (kind !== "tcp") continue
    it.live("has a time for it", () =>
      Effect.gen(function* () {
        const [quiet, slow] = [yield* webSocket, yield* webSocket]
        slow.socket.write(frame(text, "x", false))
        yield* slow.ended
        yield* until(Effect.map(open, (count) => count === 1))
        assert.deepStrictEqual(some(yield* (yield* Web).timeouts), { frame: 1 })
        quiet.socket.write(frame(text, "still there", true))
        yield* quiet.says("still there")
      }).pipe(
        Effect.scoped,
        Effect.provide(served(all[kind]({ frameTimeout: 20 }), { websocket: { maxPayload: 200 } }))
      )
    )
  }
})

describe("requests that wait for the one before them", () => {
  it.live.each(sockets)("count in maxMemory: %s", (kind) => {
    const gate = gates()
    return Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/slow").repeat(100))
      yield* until(Effect.map(held, (bytes) => bytes >= 8_192))
      for (const goOn of gate.goOn) yield* Deferred.succeed(goOn, undefined)
      yield* until(Effect.sync(() => peer.text.split("<slow>").length === 101))
      yield* until(Effect.map(held, (bytes) => bytes < 8_192))
    }).pipe(Effect.scoped, Effect.provide(served(all[kind](), {}, gate)))
  })
})

describe("a call of XML-RPC", () => {
  const add = Xmlrpc.method({
    params: [Xmlrpc.string],
    returns: Xmlrpc.string,
    handle: (text) => Effect.succeed(String(text.length))
  })
  const calls = (transport: Layer.Layer<Web, ServerError>) =>
    HttpRouter.serve(Xmlrpc.layer({ add }), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(HttpBridge.layer(Web)),
      Layer.provideMerge(transport),
      Layer.provide(Logger.layer([]))
    )
  const text = "x".repeat(200_000)
  const document = `<methodCall><methodName>add</methodName><params><param><value><string>${text}</string></value></param></params></methodCall>`
  const head = `POST / HTTP/1.1\r\nHost: test\r\nContent-Type: text/xml\r\nContent-Length: ${document.length}\r\n\r\n`

  it.live.each(sockets)("counts in maxMemory as it comes, until it is answered: %s", (kind) =>
    Effect.gen(function* () {
      const peer = yield* connect
      const before = yield* held
      yield* peer.write(head + document.slice(0, 150_000))
      yield* until(Effect.map(held, (bytes) => bytes - before >= 150_000))
      yield* peer.write(document.slice(150_000))
      yield* peer.says("<string>200000</string>")
      yield* until(Effect.map(held, (bytes) => bytes - before < 10_000))
    }).pipe(Effect.scoped, Effect.provide(calls(all[kind]())))
  )

  it.live("that is given up counts no more", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(head + document.slice(0, 150_000))
      yield* until(Effect.map(held, (bytes) => bytes >= 150_000))
      peer.socket.destroy()
      yield* until(Effect.map(held, (bytes) => bytes === 0))
    }).pipe(Effect.scoped, Effect.provide(calls(all.tcp())))
  )
})

describe("limits that are changed while HTTP is served", () => {
  it.live.each(sockets)("hold for connections that are open: maxLifetime, %s", (kind) =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/hello"))
      yield* peer.says("<hello>")
      assert.notInclude(peer.text, "Connection: close")
      yield* (yield* Web).control.change({ maxLifetime: "1 millis" })
      const [connection] = yield* (yield* Web).connections
      yield* until(Effect.map(Clock.currentTimeMillis, (now) => now > connection!.openedAt + 1))
      yield* peer.write(get("/hello"))
      yield* peer.ended
      assert.include(peer.text, "Connection: close")
    }).pipe(Effect.scoped, Effect.provide(served(all[kind]())))
  )

  it.live.each(sockets)("hold for what waits: maxPipelined, %s", (kind) => {
    const gate = gates()
    return Effect.gen(function* () {
      const { control } = yield* Web
      yield* control.change({ maxPipelined: 1 })
      const peer = yield* connect
      yield* peer.write(get("/slow").repeat(5))
      yield* until(Effect.map(held, (bytes) => bytes >= 8_192))
      assert.strictEqual(gate.begun, 1)
      yield* control.change({ maxPipelined: 3 })
      yield* Deferred.succeed(gate.goOn[0]!, undefined)
      yield* until(Effect.sync(() => gate.begun === 4))
      for (const goOn of gate.goOn) yield* Deferred.succeed(goOn, undefined)
      yield* until(Effect.sync(() => peer.text.split("<slow>").length === 6))
    }).pipe(Effect.scoped, Effect.provide(served(all[kind](), {}, gate)))
  })
})

describe("a server that leaves", () => {
  it.live.each(sockets)("keeps no connection of HTTP any longer, and serves newcomers: %s", (kind) => {
    let running: Server.Running | undefined
    return Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/hello"))
      yield* peer.says("<hello>")
      assert.notInclude(peer.text, "Connection: close")
      yield* Effect.forkScoped(running!.leave, { startImmediately: true })
      yield* peer.write(get("/hello"))
      yield* peer.ended
      assert.strictEqual(peer.text.split("<hello>").length, 3)
      assert.include(peer.text, "Connection: close")
      const newcomer = yield* connect
      yield* newcomer.write(get("/hello"))
      yield* newcomer.ended
      assert.include(newcomer.text, "<hello>")
    }).pipe(
      Effect.scoped,
      Effect.provide(served(all[kind]({ drainDelay: "1 hour" }))),
      Effect.provideService(Server.OnListening, (server) => Effect.sync(() => (running = server)))
    )
  })
})
