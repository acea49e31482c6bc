/** Requests that a peer sends without waiting for answers: their order, their turns, their bounds, and what ends them. */
import { assert, describe, it } from "@effect/vitest"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as HttpBridge from "@socketserver/effect/HttpBridge"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AsyncLocalStorage } from "node:async_hooks"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import * as http from "node:http"
import { directory, listening, some, turn, until } from "./support.ts"
import { get, peerOf } from "./support/http.ts"

class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}

const { all, own } = listening(Web, directory())
const connect = peerOf(Web, own.cert)
const sockets = ["tcp", "tls", "unix"] as const

/** What the handlers have begun, in order, and what those of `/wait` wait for. */
interface Seen {
  readonly begun: Array<string>
  readonly goOn: Deferred.Deferred<void>
}

const seen = (): Seen => ({ begun: [], goOn: Deferred.makeUnsafe<void>() })

/** How many requests Node has made, begun or not. */
const counting = Effect.gen(function* () {
  let count = 0
  const onStart = () => void count++
  subscribe("http.server.request.start", onStart)
  yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("http.server.request.start", onStart)))
  return () => count
})

/** Longer than a turn. */
const compute = (): void => {
  const until = performance.now() + 6
  while (performance.now() < until);
}

const routes = ({ begun, goOn }: Seen) => {
  const begins = Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => {
    begun.push(url)
    return HttpServerResponse.text(`<${url}>`)
  })
  return HttpRouter.addAll([
    HttpRouter.route("GET", "/now/:id", begins),
    HttpRouter.route(
      "GET",
      "/compute/:id",
      Effect.tap(begins, () => Effect.sync(compute))
    ),
    HttpRouter.route(
      "GET",
      "/wait/:id",
      Effect.tap(begins, () => Deferred.await(goOn))
    ),
    HttpRouter.route(
      "POST",
      "/body/:id",
      Effect.gen(function* () {
        yield* begins
        const { text, url } = yield* HttpServerRequest.HttpServerRequest
        return HttpServerResponse.text(`<${url} ${yield* text}>`)
      }).pipe(Effect.orDie)
    ),
    HttpRouter.route(
      "POST",
      "/length/:id",
      Effect.gen(function* () {
        yield* begins
        const { stream, url } = yield* HttpServerRequest.HttpServerRequest
        const length = yield* Stream.runFold(
          stream,
          () => 0,
          (sum, chunk) => sum + chunk.length
        )
        return HttpServerResponse.text(`<${url} ${length}>`)
      }).pipe(Effect.orDie)
    ),
    HttpRouter.route(
      "GET",
      "/ws",
      Effect.gen(function* () {
        const socket = yield* Effect.orDie((yield* HttpServerRequest.HttpServerRequest).upgrade)
        const { pull } = yield* socket.reader
        const { writeAll } = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, writeAll))
      }).pipe(Effect.catchCause(() => Effect.succeed(HttpServerResponse.empty())))
    )
  ])
}

const served = (transport: Layer.Layer<Web, ServerError>, what: Seen, times: HttpBridge.Options) =>
  HttpRouter.serve(routes(what), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(HttpBridge.layer(Web, { keepAliveTimeout: "1 minute", ...times })),
    Layer.provideMerge(transport),
    Layer.provide(Logger.layer([]))
  )

const ids = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index)
const many = (path: string, count: number, from = 0) =>
  ids(count, from)
    .map((id) => get(`${path}/${id}`))
    .join("")
const answers = (text: string) => Array.from(text.matchAll(/<([^>]*)>/g), ([, what]) => what)

describe.each(sockets)("pipelined over %s", (transport) => {
  const test = (
    what: string,
    body: (seen: Seen) => Effect.Effect<void, unknown, Web | Scope.Scope>,
    options: Transport.ServerOptions = {},
    times: HttpBridge.Options = {}
  ) => {
    it.live(what, () => {
      const now = seen()
      const layer = served(all[transport]({ drainTimeout: "20 seconds", ...options }), now, times)
      return body(now).pipe(Effect.scoped, Effect.provide(layer))
    })
  }

  test("requests are answered in their order, however many come at once", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      yield* peer.write(many("/now", 2_000))
      yield* peer.says("</now/1999>")
      assert.deepStrictEqual(
        answers(peer.text),
        ids(2_000).map((id) => `/now/${id}`)
      )
    }))

  test("others are answered between those of who asks for much", ({ begun }) =>
    Effect.gen(function* () {
      const [greedy, other] = [yield* connect, yield* connect]
      for (const peer of [greedy, other]) {
        yield* peer.write(get("/now/first"))
        yield* peer.says("</now/first>")
      }
      yield* greedy.write(many("/compute", 200))
      yield* greedy.says("</compute/0>")
      // Each takes a turn of its own from now on.
      yield* other.write(get("/now/other"))
      yield* other.says("</now/other>")
      const before = begun.indexOf("/now/other")
      assert.isBelow(before, 150, `begun before: ${before}`)
      greedy.socket.destroy()
    }))

  test("those of several connections have turns in a circle", ({ begun }) =>
    Effect.gen(function* () {
      const peers = [yield* connect, yield* connect, yield* connect]
      for (const peer of peers) {
        yield* peer.write(get("/now/first"))
        yield* peer.says("</now/first>")
      }
      for (const [at, peer] of peers.entries()) yield* peer.write(many("/compute", 20, at * 100))
      for (const [at, peer] of peers.entries()) yield* peer.says(`</compute/${at * 100 + 19}>`)
      const whose = begun.slice(3).map((url) => Math.floor(Number(url.split("/").at(-1)) / 100))
      const counts = [0, 0, 0]
      // From the moment that all wait until the first has none left, they go round.
      const round: Array<number> = []
      for (const at of whose) {
        if (counts.every((count) => count > 0 && count < 20)) round.push(at)
        counts[at]!++
      }
      const odd = round.filter((at, index) => index >= 3 && at !== round[index - 3])
      assert.deepStrictEqual(odd, [], whose.join(" "))
      assert.isAbove(round.length, 30)
      assert.deepStrictEqual(counts, [20, 20, 20])
    }))

  test(
    "no more than maxPipelined are at work, and no more is read than has arrived with them",
    ({ begun, goOn }) =>
      Effect.gen(function* () {
        const parsed = yield* counting
        const peer = yield* connect
        yield* peer.write(many("/wait", 10_000))
        yield* until(Effect.sync(() => begun.length >= 3))
        yield* Effect.repeat(turn, { times: 100 })
        assert.strictEqual(begun.length, 3)
        // The first chunk is taken whole.
        assert.isAtMost(parsed(), 65_536 / get("/wait/0").length)
        const [connection] = yield* (yield* Web).connections
        assert.isAtMost(connection!.bytesRead, 4 * 65_536)
        yield* Deferred.succeed(goOn, undefined)
        yield* peer.says("</wait/99>")
        peer.socket.destroy()
      }),
    { maxPipelined: 3 }
  )

  test(
    "no more than a piece is taken of what others send, while many wait",
    ({ begun, goOn }) =>
      Effect.gen(function* () {
        const [greedy, other] = [yield* connect, yield* connect]
        yield* other.write(get("/now/first"))
        yield* other.says("</now/first>")
        const parsed = yield* counting
        yield* greedy.write(many("/wait", 1_000))
        yield* until(Effect.sync(() => parsed() >= 257))
        yield* Effect.repeat(turn, { times: 20 })
        const before = parsed()
        const late = yield* connect
        for (const peer of [other, late]) yield* peer.write(many("/wait", 1_000))
        yield* until(Effect.sync(() => begun.length >= 4))
        yield* Effect.repeat(turn, { times: 50 })
        assert.isAtMost(parsed() - before, (2 * 4_096) / get("/wait/0").length)
        yield* Deferred.succeed(goOn, undefined)
        for (const peer of [greedy, other, late]) yield* peer.says("</wait/999>")
      }),
    { maxPipelined: 1 }
  )

  test(
    "who leaves is not asked for",
    ({ begun, goOn }) =>
      Effect.gen(function* () {
        const server = yield* Web
        const peer = yield* connect
        yield* peer.write(many("/wait", 10))
        yield* until(Effect.sync(() => begun.length >= 1))
        peer.socket.destroy()
        yield* Deferred.succeed(goOn, undefined)
        yield* until(Effect.map(server.connections, ({ length }) => length === 0))
        yield* Effect.repeat(turn, { times: 20 })
        assert.isBelow(begun.length, 10)
        const other = yield* connect
        yield* other.write(get("/now/other"))
        yield* other.says("</now/other>")
      }),
    { maxPipelined: 1 }
  )

  test("bodies belong to their requests, in whatever pieces they come", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      const body = (id: number) => String.fromCharCode(97 + (id % 26)).repeat(id * 7)
      const text = ids(60)
        .map((id) => `POST /body/${id} HTTP/1.1\r\nHost: test\r\nContent-Length: ${id * 7}\r\n\r\n${body(id)}`)
        .join("")
      for (let at = 0; at < text.length; at += 1_000) {
        yield* peer.write(text.slice(at, at + 1_000))
        yield* turn
      }
      yield* peer.says("</body/59 ")
      assert.deepStrictEqual(
        answers(peer.text),
        ids(60).map((id) => `/body/${id} ${body(id)}`)
      )
    }))

  test("who half-closes behind them gets all answers", () =>
    Effect.gen(function* () {
      const peer = yield* connect
      peer.socket.end(many("/now", 300))
      assert.strictEqual(answers(yield* peer.ended).length, 300)
    }))

  test(
    "a stop answers all that was received, and says only with the last that it closes",
    ({ begun, goOn }) =>
      Effect.gen(function* () {
        const server = yield* Web
        const peer = yield* connect
        yield* peer.write(many("/wait", 10))
        yield* until(Effect.sync(() => begun.length >= 2))
        const stopped = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
        yield* until(Effect.map(server.connections, ([first]) => first?.endedBy === "stop"))
        yield* Effect.repeat(turn, { times: 5 })
        yield* Deferred.succeed(goOn, undefined)
        const text = yield* peer.ended
        assert.deepStrictEqual(
          answers(text),
          ids(10).map((id) => `/wait/${id}`)
        )
        assert.deepStrictEqual(
          Array.from(text.matchAll(/^connection: (.*)\r$/gim), ([, how]) => how!.toLowerCase()),
          [...ids(9).map(() => "keep-alive"), "close"]
        )
        peer.socket.end()
        const { counts, interrupted } = yield* Fiber.join(stopped)
        assert.deepStrictEqual([interrupted, some(counts)], [0, { Completed: 1 }])
      }),
    { maxPipelined: 2 }
  )

  // Node takes the socket from the server then, and what is not answered by then never is.
  test("a WebSocket behind them is opened at once, and what waits before it does not begin", ({ begun }) =>
    Effect.gen(function* () {
      const server = yield* Web
      const peer = yield* connect
      const key = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
      yield* peer.write(many("/now", 5) + get("/ws", `${key}dGhlIHNhbXBsZSBub25jZQ==\r\n`))
      yield* peer.says("HTTP/1.1 101 ")
      assert.strictEqual(begun.length, 1)
      peer.socket.destroy()
      yield* until(Effect.map(server.connections, ({ length }) => length === 0))
    }))

  test(
    "an upload behind them is not read before it begins, and is read then",
    ({ begun, goOn }) =>
      Effect.gen(function* () {
        const peer = yield* connect
        const length = 8 * 1_048_576
        yield* peer.write(`${get("/wait/0")}POST /length/1 HTTP/1.1\r\nHost: test\r\nContent-Length: ${length}\r\n\r\n`)
        yield* until(Effect.sync(() => begun.length === 1))
        yield* peer.write("x".repeat(length))
        yield* Effect.repeat(turn, { times: 300 })
        const [connection] = yield* (yield* Web).connections
        assert.isAtMost(connection!.bytesRead, 1_048_576)
        assert.strictEqual(begun.length, 1)
        yield* Deferred.succeed(goOn, undefined)
        yield* peer.says(`</length/1 ${length}>`)
      }),
    { maxPipelined: 1 }
  )

  test("a peer that reads late gets the answers to all that has begun before a stop, and nothing else begins", ({
    begun
  }) =>
    Effect.gen(function* () {
      const server = yield* Web
      const parsed = yield* counting
      const peer = yield* connect
      peer.socket.pause()
      yield* peer.write(many("/now", 60_000))
      yield* until(Effect.sync(() => begun.length >= 150))
      const stopped = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* until(Effect.map(server.connections, ([first]) => first?.endedBy === "stop"))
      yield* Effect.repeat(turn, { times: 300 })
      assert.isAtMost(parsed() - begun.length, 65_536 / get("/now/0").length)
      peer.socket.resume()
      const text = yield* peer.ended
      console.log(
        "DBG",
        answers(text).length,
        begun.length,
        begun.slice(-2),
        text.slice(-400),
        text.match(/onnection: close/g)?.length
      )
      assert.strictEqual(answers(text).length, begun.length)
      peer.socket.end()
      yield* Fiber.join(stopped)
    }))

  const late = {
    "a head": { first: "GET /now/la", rest: "st HTTP/1.1\r\nHost: test\r\n\r\n" },
    "a body": { first: "POST /body/last HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345", rest: "67890" }
  }
  const times = { headersTimeout: "100 millis", requestTimeout: "100 millis" } as const

  for (const [what, { first, rest }] of Object.entries(late)) {
    test(
      `${what} that is not read for longer than it may take is answered when it is`,
      ({ begun, goOn }) =>
        Effect.gen(function* () {
          const peer = yield* connect
          yield* peer.write(many("/wait", 3) + first)
          yield* until(Effect.sync(() => begun.length === 1))
          yield* peer.write(rest)
          yield* Effect.sleep("300 millis")
          yield* Deferred.succeed(goOn, undefined)
          yield* peer.says(what === "a head" ? "</now/last>" : "</body/last 1234567890>")
          assert.strictEqual(answers(peer.text).length, 4)
        }),
      { maxPipelined: 1 },
      times
    )

    test(
      `${what} whose rest does not come after that ends its connection`,
      ({ begun, goOn }) =>
        Effect.gen(function* () {
          const peer = yield* connect
          yield* peer.write(many("/wait", 3) + first)
          yield* until(Effect.sync(() => begun.length === 1))
          yield* Effect.sleep("300 millis")
          yield* Deferred.succeed(goOn, undefined)
          const text = yield* peer.ended
          assert.deepStrictEqual(answers(text), ["/wait/0", "/wait/1", "/wait/2"])
          if (what === "a head") assert.match(text, /HTTP\/1.1 408 [^]*$/)
        }),
      { maxPipelined: 1 },
      times
    )
  }
})

describe("what a tracer knows where a pipelined request begins", () => {
  it.live("is nothing of the one whose turn was before", () => {
    const known = new AsyncLocalStorage<string | undefined>()
    const odd: Array<string> = []
    // As tracers do.
    const { emit } = http.Server.prototype
    http.Server.prototype.emit = function (this: http.Server, event: string, ...args: Array<never>) {
      if (event !== "request") return emit.call(this, event, ...args)
      const { url } = args[0] as http.IncomingMessage
      if (known.getStore() !== undefined) odd.push(`${url} in ${known.getStore()}`)
      return known.run(url, () => emit.call(this, event, ...args))
    } as never
    const app = HttpRouter.add("GET", "/now/:id", HttpServerResponse.text("<now>"))
    const layer = HttpRouter.serve(app, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(HttpBridge.layer(Web)),
      // The end of one lets the next begin.
      Layer.provideMerge(all.tcp({ maxPipelined: 1 })),
      Layer.provide(Logger.layer([]))
    )
    return Effect.gen(function* () {
      const peers = [yield* connect, yield* connect]
      for (const [at, peer] of peers.entries()) yield* peer.write(many("/now", 100, at * 1_000))
      for (const peer of peers) yield* until(Effect.sync(() => answers(peer.text).length === 100))
      assert.deepStrictEqual(odd, [])
    }).pipe(
      Effect.scoped,
      Effect.provide(layer),
      Effect.ensuring(Effect.sync(() => void (http.Server.prototype.emit = emit)))
    )
  })
})
