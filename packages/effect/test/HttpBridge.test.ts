/** HTTP on our listeners: Effect's routers and APIs unmodified, and what a stop, a limit and a hostile peer do to them. */
import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as HttpBridge from "@socketserver/effect/HttpBridge"
import * as WorkerPolicy from "@socketserver/node/WorkerPolicy"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as UdpServer from "@socketserver/node/UdpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { directory, listening, some, turn, until } from "./support.ts"
import { get, peerOf } from "./support/http.ts"

class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}

const home = directory()
const { all, own } = listening(Web, home)

/** What handlers have begun, and what lets them go on. */
const gates = () => ({ begun: Deferred.makeUnsafe<void>(), goOn: Deferred.makeUnsafe<void>() })

const routes = ({ begun, goOn }: ReturnType<typeof gates>) =>
  HttpRouter.addAll([
    HttpRouter.route("GET", "/hello", HttpServerResponse.text("hello")),
    HttpRouter.route("GET", "/large", HttpServerResponse.uint8Array(new Uint8Array(16 * 1024 * 1024))),
    HttpRouter.route(
      "GET",
      "/slow",
      Effect.andThen(
        Deferred.succeed(begun, undefined),
        Effect.as(Deferred.await(goOn), HttpServerResponse.text("slow"))
      )
    ),
    HttpRouter.route(
      "GET",
      "/stream",
      Effect.succeed(
        HttpServerResponse.stream(
          Stream.concat(
            Stream.succeed(new TextEncoder().encode("first ")),
            Stream.fromEffect(
              Effect.andThen(
                Deferred.succeed(begun, undefined),
                Effect.as(Deferred.await(goOn), new TextEncoder().encode("last"))
              )
            )
          )
        )
      )
    ),
    HttpRouter.route(
      "POST",
      "/upload",
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        yield* Deferred.succeed(begun, undefined)
        const hash = createHash("sha256")
        let bytes = 0
        yield* Stream.runForEach(request.stream, (chunk) =>
          Effect.sync(() => {
            bytes += chunk.length
            hash.update(chunk)
          })
        )
        return HttpServerResponse.jsonUnsafe({ bytes, sha256: hash.digest("hex") })
      }).pipe(Effect.orDie)
    ),
    HttpRouter.route(
      "GET",
      "/who",
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const connection = yield* HttpBridge.connection
        const address = Option.getOrElse(request.remoteAddress, () => "unknown")
        const tls = connection?.peer.tls?.protocol ?? "in clear"
        return HttpServerResponse.text(
          `${address} ${connection?.listener._tag} ${tls} ${new URL(request.originalUrl).protocol}`
        )
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
      }).pipe(
        Effect.catchIf(
          () => true,
          () => Effect.succeed(HttpServerResponse.empty())
        )
      )
    )
  ])

const served = (
  transport: Layer.Layer<Web, ServerError>,
  gate: ReturnType<typeof gates> = gates(),
  options: HttpBridge.Options = {}
) =>
  HttpRouter.serve(routes(gate), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(HttpBridge.layer(Web, options)),
    Layer.provideMerge(transport),
    Layer.provide(Logger.layer([]))
  )

const connect = peerOf(Web, own.cert)

const stop = Effect.flatMap(Web, ({ shutdown }) => Effect.forkScoped(shutdown, { startImmediately: true }))

const idle = Effect.gen(function* () {
  const server = yield* Web
  yield* until(Effect.map(server.connections, ({ length }) => length === 0))
})

const sockets = ["tcp", "tls", "unix"] as const

describe.each(sockets)("HTTP over %s", (transport) => {
  // Nothing closes because it was kept long enough.
  const layer = (gate?: ReturnType<typeof gates>) =>
    served(all[transport]({ drainTimeout: "3 seconds" }), gate, { keepAliveTimeout: "1 minute" })

  it.live("answers several requests of a connection, and who half-closes", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/hello"))
      yield* peer.says("hello")
      yield* peer.write(get("/who"))
      const address = transport === "unix" ? "unknown" : "127.0.0.1"
      const rest = { tcp: "Tcp in clear http:", tls: "Tls TLSv1.3 https:", unix: "Unix in clear http:" }[transport]
      yield* peer.says(`${address} ${rest}`)
      const other = yield* connect
      other.socket.end(get("/hello"))
      assert.match(yield* other.ended, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nhello$/)
      peer.socket.end()
      yield* idle
      assert.deepStrictEqual(some(yield* (yield* Web).counts), { Completed: 2 })
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("answers who half-closes while the answer is waited for", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const peer = yield* connect
      peer.socket.end(get("/slow"))
      yield* Deferred.await(gate.begun)
      // The half-close is read before the answer.
      yield* Effect.repeat(turn, { times: 50 })
      yield* Deferred.succeed(gate.goOn, undefined)
      assert.match(yield* peer.ended, /slow$/)
      yield* idle
    }).pipe(Effect.scoped, Effect.provide(layer(gate)))
  })

  it.live("receives an upload to its end at a stop, answers it, and closes", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const [upload, still] = [yield* connect, yield* connect]
      yield* still.write(get("/hello"))
      yield* still.says("hello")
      yield* upload.write("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234")
      yield* Deferred.await(gate.begun)
      const stopped = yield* stop
      // The idle one closes at once, and the other is read on.
      yield* still.ended
      still.socket.end()
      yield* upload.write("56789")
      const text = yield* upload.ended
      assert.match(
        text,
        /^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n[^]*"bytes":10,"sha256":"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"\}$/i
      )
      upload.socket.end()
      const report = yield* Fiber.join(stopped)
      assert.deepStrictEqual([report.interrupted, some(report.counts)], [0, { Completed: 2 }])
    }).pipe(Effect.scoped, Effect.provide(layer(gate)))
  })

  it.live(
    "answers what is at work at a stop, the pipelined behind it too, and says that it closes after the last",
    () => {
      const gate = gates()
      return Effect.gen(function* () {
        const peer = yield* connect
        yield* peer.write(get("/slow") + get("/slow"))
        yield* Deferred.await(gate.begun)
        const stopped = yield* stop
        yield* until(Effect.map((yield* Web).connections, ([first]) => first?.endedBy === "stop"))
        yield* Deferred.succeed(gate.goOn, undefined)
        const text = yield* peer.ended
        assert.deepStrictEqual(text.match(/^connection: .*$/gim), ["Connection: keep-alive", "Connection: close"])
        assert.match(text, /slow[^]*slow$/)
        peer.socket.end()
        assert.strictEqual((yield* Fiber.join(stopped)).interrupted, 0)
      }).pipe(Effect.scoped, Effect.provide(layer(gate)))
    }
  )

  it.live("ends a stream that has begun at a stop, then the connection", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/stream"))
      yield* peer.says("first ")
      yield* Deferred.await(gate.begun)
      const stopped = yield* stop
      yield* until(Effect.map((yield* Web).connections, ([first]) => first?.endedBy === "stop"))
      // It has been looked at, and was at work.
      yield* Effect.repeat(turn, { times: 5 })
      yield* Deferred.succeed(gate.goOn, undefined)
      assert.match(yield* peer.ended, /first [^]*last\r\n0\r\n\r\n$/)
      peer.socket.end()
      assert.strictEqual((yield* Fiber.join(stopped)).interrupted, 0)
    }).pipe(Effect.scoped, Effect.provide(layer(gate)))
  })

  it.live("closes what has not sent a whole head at a stop, and what never sent anything", () =>
    Effect.gen(function* () {
      const [half, silent] = [yield* connect, yield* connect]
      yield* half.write("GET /hello HTT")
      yield* until(
        Effect.map((yield* Web).connections, (all) => all.length === 2 && all.some(({ bytesRead }) => bytesRead > 0))
      )
      const stopped = yield* stop
      yield* half.ended
      yield* silent.ended
      for (const { socket } of [half, silent]) socket.end()
      assert.strictEqual((yield* Fiber.join(stopped)).interrupted, 0)
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("cuts off at the deadline what does not end", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/slow"))
      yield* Deferred.await(gate.begun)
      const { interrupted } = yield* Effect.flatMap(Web, ({ shutdown }) => shutdown)
      assert.strictEqual(interrupted, 1)
      assert.strictEqual(yield* peer.ended, "")
    }).pipe(Effect.scoped, Effect.provide(served(all[transport]({ drainTimeout: "100 millis" }), gate)))
  })
})

describe("HTTP", () => {
  it.live("echoes on a WebSocket, and says goodbye at a stop", () =>
    Effect.gen(function* () {
      const { port } = (yield* Web).address as Endpoint.Tcp
      const events: Array<string> = []
      const opened = Deferred.makeUnsafe<void>()
      const closed = Deferred.makeUnsafe<void>()
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`)
      socket.addEventListener("open", () => socket.send("hello"))
      socket.addEventListener("message", ({ data }) => {
        events.push(String(data))
        Deferred.doneUnsafe(opened, Exit.void)
      })
      socket.addEventListener("close", ({ code }) => {
        events.push(String(code))
        Deferred.doneUnsafe(closed, Exit.void)
      })
      yield* Deferred.await(opened)
      const { counts, interrupted } = yield* Effect.flatMap(Web, ({ shutdown }) => shutdown)
      yield* Deferred.await(closed)
      assert.deepStrictEqual([events, interrupted, some(counts)], [["hello", "1001"], 0, { Completed: 1 }])
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp())))
  )

  it.live("knows the peer that a balancer names", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(`PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n${get("/who")}`)
      yield* peer.says("203.0.113.9 Tcp in clear http:")
    }).pipe(Effect.scoped, Effect.provide(served(TcpServer.layer(Web, { proxyProtocol: ["127.0.0.0/8"] }))))
  )

  it.live("turns away who is too many, and serves the others", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/hello"))
      yield* peer.says("hello")
      assert.strictEqual(yield* (yield* connect).ended, "")
      yield* peer.write(get("/hello"))
      yield* peer.says("hello")
      assert.deepStrictEqual(some(yield* (yield* Web).refusals), { MaxConnections: 1 })
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp({ maxConnections: 1 }))))
  )

  it.live("bounds how long a head and a body may take, and how long it is kept", () =>
    Effect.gen(function* () {
      const [head, body, kept, silent] = [yield* connect, yield* connect, yield* connect, yield* connect]
      yield* head.write("GET /hello HTTP/1.1\r\nHost:")
      yield* body.write("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n01234")
      yield* kept.write(get("/hello"))
      assert.match(yield* head.ended, /^HTTP\/1.1 408 /)
      assert.match(yield* body.ended, /^HTTP\/1.1 408 /)
      assert.match(yield* kept.ended, /hello$/)
      yield* silent.ended
      for (const { socket } of [head, body, kept, silent]) socket.destroy()
      yield* idle
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served(all.tcp(), gates(), {
          headersTimeout: "200 millis",
          requestTimeout: "300 millis",
          keepAliveTimeout: "100 millis"
        })
      )
    )
  )

  it.live("refuses heads that are too large, or none", () =>
    Effect.gen(function* () {
      const [large, garbage] = [yield* connect, yield* connect]
      yield* large.write(get("/hello", `X: ${"x".repeat(3_000)}\r\n`))
      yield* garbage.write("\u0000\u0001 what\r\n\r\n")
      assert.match(yield* large.ended, /^HTTP\/1.1 431 /)
      assert.match(yield* garbage.ended, /^HTTP\/1.1 400 /)
      yield* idle
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp(), gates(), { maxHeaderBytes: 2_000 })))
  )

  it.live("resets who does not read its answer", () =>
    Effect.gen(function* () {
      const server = yield* Web
      const peer = yield* connect
      peer.socket.pause()
      peer.socket.write(get("/large"))
      yield* until(Effect.map(server.timeouts, (timeouts) => timeouts.write > 0))
      yield* idle
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp({ writeTimeout: "500 millis" }))))
  )

  it.live("says with the first answer after its lifetime that it closes", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/hello"))
      yield* peer.says("hello")
      // The first may have been answered within that time.
      yield* Effect.sleep("5 millis")
      yield* peer.write(get("/hello"))
      assert.match(yield* peer.ended, /connection: close[^]*hello$/i)
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp({ maxLifetime: "1 milli" }))))
  )

  it.live("goes on when a peer is gone in the middle of a request", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(get("/slow"))
      yield* Deferred.await(gate.begun)
      peer.socket.resetAndDestroy()
      yield* idle
      assert.deepStrictEqual(some(yield* (yield* Web).counts), { Cancelled: 1 })
      const other = yield* connect
      yield* other.write(get("/hello"))
      yield* other.says("hello")
    }).pipe(Effect.scoped, Effect.provide(served(all.tcp(), gate)))
  })

  it.live("ends what it has begun where only the layers' scope is closed", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(served(all.tcp(), gate), scope)
      const peer = yield* Effect.provideContext(connect, context)
      yield* peer.write(get("/slow"))
      yield* Deferred.await(gate.begun)
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void), { startImmediately: true })
      const [connection] = yield* (yield* Effect.provideContext(Web, context)).connections
      yield* until(Effect.sync(() => connection!.endedBy === "stop"))
      yield* Deferred.succeed(gate.goOn, undefined)
      assert.match(yield* peer.ended, /connection: close[^]*slow$/i)
      peer.socket.end()
      yield* Fiber.join(closing)
    }).pipe(Effect.scoped)
  })
})

describe("static files", () => {
  it.live.each(["tcp"] as const)("are served as behind any server of Effect, in parts too, over %s", (transport) => {
    const root = join(home, "files")
    fs.mkdirSync(root, { recursive: true })
    fs.writeFileSync(join(root, "page.html"), `<p>${"x".repeat(200_000)}</p>`)
    const files = HttpRouter.serve(HttpStaticServer.layer({ root }), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provide(HttpBridge.layer(Web)),
      Layer.provideMerge(HttpBridge.layerClient(Web)),
      Layer.provide(all[transport]()),
      Layer.provide(Logger.layer([]))
    )
    return Effect.gen(function* () {
      const whole = yield* HttpClient.get("/page.html")
      assert.match(whole.headers["content-type"] ?? "", /^text\/html/)
      assert.strictEqual((yield* whole.text).length, 200_007)
      const part = yield* HttpClient.get("/page.html", { headers: { range: "bytes=0-4" } })
      assert.deepStrictEqual([part.status, yield* part.text], [206, "<p>xx"])
      const same = yield* HttpClient.get("/page.html", { headers: { "if-none-match": whole.headers["etag"] ?? "" } })
      assert.strictEqual(same.status, 304)
      assert.strictEqual((yield* HttpClient.get("/../secret")).status, 404)
    }).pipe(Effect.provide(files))
  })
})

describe("HTTP in memory", () => {
  const layer = (gate?: ReturnType<typeof gates>) =>
    Layer.provideMerge(HttpBridge.layerClient(Web), served(all.memory(), gate))

  it.live("answers a client without a port, with bodies both ways", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      assert.strictEqual(yield* (yield* client.get("/hello")).text, "hello")
      assert.match(yield* (yield* client.get("/who")).text, /Memory in clear http:$/)
      const body = Buffer.alloc(300_000, "x")
      const upload = HttpClientRequest.post("/upload").pipe(HttpClientRequest.bodyUint8Array(body))
      const sha256 = createHash("sha256").update(body).digest("hex")
      assert.deepStrictEqual(yield* (yield* client.execute(upload)).json, { bytes: 300_000, sha256 })
    }).pipe(Effect.scoped, Effect.provide(layer()))
  )

  it.live("answers what is at work at a stop", () => {
    const gate = gates()
    return Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const answer = yield* Effect.forkScoped(Effect.flatMap(client.get("/slow"), (response) => response.text))
      yield* Deferred.await(gate.begun)
      const stopped = yield* stop
      yield* until(Effect.map((yield* Web).connections, ([first]) => first?.endedBy === "stop"))
      yield* Deferred.succeed(gate.goOn, undefined)
      assert.strictEqual(yield* Fiber.join(answer), "slow")
      assert.strictEqual((yield* Fiber.join(stopped)).interrupted, 0)
    }).pipe(Effect.scoped, Effect.provide(layer(gate)))
  })
})

describe("a start", () => {
  const failing = <E>(layer: Layer.Layer<never, E, never>) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), (error) => String((error as Error).message))
  const app = HttpServer.serve(Effect.succeed(HttpServerResponse.empty()))

  it.live.each([
    {
      what: "a policy of workers",
      layer: app.pipe(
        Layer.provide(HttpBridge.layer(Web)),
        Layer.provide(all.memory()),
        Layer.provide(Policy.layer(WorkerPolicy.thread()))
      ),
      says: /Cannot run handlers of \w+ under the policy "thread[^"]*": HTTP runs where its layer is/
    },
    {
      what: "datagrams",
      layer: app.pipe(Layer.provide(HttpBridge.layer(Web)), Layer.provide(UdpServer.layer(Web))),
      says: /HTTP needs connections/
    },
    {
      what: "an option that cannot be",
      layer: app.pipe(Layer.provide(HttpBridge.layer(Web, { headersTimeout: 0 })), Layer.provide(all.memory())),
      says: /^Invalid option headersTimeout of Web: it must be/
    }
  ])("fails and says why: $what", ({ layer, says }) =>
    Effect.map(failing(Layer.provide(layer as Layer.Layer<never, unknown>, Logger.layer([]))), (message) =>
      assert.match(message, says)
    )
  )

  class Other extends Server.Service<Other>()("Other", { protocol: Protocol.connection() }) {}
  it.live("fails where the protocol is another", () =>
    Effect.map(
      failing(app.pipe(Layer.provide(HttpBridge.layer(Other)), Layer.provide(TcpServer.layer(Other)))),
      (message) => assert.match(message, /declare the server with HttpBridge.protocol/)
    )
  )
})
