/** The small HTTP server that tells metrics: what it answers, and what it does not. */
import { assert, describe, it } from "@effect/vitest"
import { Client, type Connection, MemoryServer, Metrics, Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import { parse, sumOf } from "../../core/test/support/exposition.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

let names = 0

/** Runs a test beside a server and its metrics, which are at `memory:NAME`. */
const beside = <A, E>(
  test: (at: string) => Effect.Effect<A, E, Echo>,
  handler: Server.HandlerOf<typeof Echo> = (request) => Effect.succeed(Response.make(request.body))
) =>
  Effect.suspend(() => {
    const at = `metrics-${++names}`
    const layer = Layer.merge(Echo.serve(handler), NodeServer.metrics({ listen: `memory:${at}` })).pipe(
      Layer.provideMerge(MemoryServer.layer(Echo)),
      Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map()))
    )
    return Effect.provide(test(at), layer)
  })

const connect = (at: string) => Effect.flatMap(MemoryServer.wire(at), (wire) => Client.make(wire, Protocol.bytes()))

/** What is answered to bytes that come in these pieces, until the connection closes. */
const raw = (at: string, pieces: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* connect(at)
      for (const piece of pieces) {
        yield* Effect.ignore(client.write(new TextEncoder().encode(piece)))
        yield* Effect.yieldNow
      }
      yield* Effect.ignore(client.end)
      let text = ""
      yield* Effect.ignore(
        Effect.forever(
          Effect.map(client.pull, (chunks) => {
            for (const chunk of chunks) text += new TextDecoder().decode(chunk)
          })
        )
      )
      return text
    })
  )

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Takes answers apart, as their lengths say. `bodiless` are those to HEAD. */
const answers = (text: string, bodiless = false): ReadonlyArray<Answered> => {
  const all: Array<Answered> = []
  for (let rest = text; rest !== "";) {
    const end = rest.indexOf("\r\n\r\n")
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n")
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)])
    )
    const size = bodiless ? 0 : Number(headers["content-length"])
    all.push({ status: Number(first.split(" ")[1]), headers, body: rest.slice(end + 4, end + 4 + size) })
    rest = rest.slice(end + 4 + size)
  }
  return all
}

const close = "Connection: close\r\n\r\n"

describe("NodeServer.metrics", () => {
  it.effect("tells metrics, readiness and health", () =>
    beside((at) =>
      Effect.gen(function* () {
        yield* Effect.scoped(Effect.flatMap(Echo.client, (client) => client.send("hello")))
        const [metrics] = answers(yield* raw(at, [`GET /metrics HTTP/1.1\r\nHost: x\r\n${close}`]))
        assert.deepInclude(metrics?.headers, { "content-type": Metrics.contentType, connection: "close" })
        const all = parse(metrics?.body ?? "")
        assert.strictEqual(sumOf(all, "socketserver_requests_total", { server: "Echo", outcome: "Completed" }), 1)
        // It does not tell of itself.
        const servers = [...all.values()].flatMap(({ samples }) => samples.map(({ labels }) => labels["server"]))
        assert.deepStrictEqual([...new Set(servers)], ["Echo"])
        assert.deepInclude(answers(yield* raw(at, [`GET /health HTTP/1.1\r\n${close}`]))[0], {
          status: 200,
          body: "ok\n"
        })
        const ready = `GET /ready?verbose HTTP/1.1\r\n${close}`
        assert.deepInclude(answers(yield* raw(at, [ready]))[0], { status: 200, body: "ready\n" })
        const { control } = yield* Echo
        yield* control.suspend
        assert.deepInclude(answers(yield* raw(at, [ready]))[0], { status: 503, body: "not ready\n" })
      })
    )
  )

  it.effect("answers several on one connection, in order, however their bytes come", () =>
    beside((at) =>
      Effect.gen(function* () {
        const asked = `GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\nGET /ready HTTP/1.1\r\n${close}`
        const whole = yield* raw(at, [asked])
        assert.deepStrictEqual(
          answers(whole).map(({ headers, status }) => [status, headers["connection"]]),
          [
            [200, "keep-alive"],
            [404, "keep-alive"],
            [200, "close"]
          ]
        )
        assert.strictEqual(yield* raw(at, [...asked]), whole)
        for (const size of [2, 3, 7, 19, 61]) {
          assert.strictEqual(yield* raw(at, asked.match(new RegExp(`[^]{1,${size}}`, "g")) ?? []), whole)
        }
      })
    )
  )

  it.effect.each([
    ["GET /health HTTP/1.0\r\n\r\n", 200, "close"],
    ["GET /health HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200, "keep-alive"],
    ["GET http://host:9464/health HTTP/1.1\r\n\r\n", 200, "keep-alive"],
    ["GET /health HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200, "keep-alive"],
    ["POST /metrics HTTP/1.1\r\n\r\n", 405, "keep-alive"],
    ["DELETE /health HTTP/1.1\r\n\r\n", 405, "keep-alive"],
    ["GET /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400, "close"],
    ["GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "close"],
    ["GET /health HTTP/2.0\r\n\r\n", 400, "close"],
    ["GET /health\r\n\r\n", 400, "close"],
    ["GET /health HTTP/1.1\r\nno header\r\n\r\n", 400, "close"],
    ["GET /health HTTP/1.1\r\n folded: x\r\n\r\n", 400, "close"],
    ["\u0016\u0003\u0001\r\n\r\n", 400, "close"],
    [`GET /${"x".repeat(9_000)} HTTP/1.1\r\n\r\n`, 400, "close"]
  ] as const)("answers %j with %i", ([asked, status, connection]) =>
    beside((at) =>
      Effect.gen(function* () {
        const [answer, ...others] = answers(yield* raw(at, [asked]))
        assert.deepStrictEqual([answer?.status, answer?.headers["connection"], others], [status, connection, []])
        if (status === 405) assert.strictEqual(answer?.headers["allow"], "GET, HEAD")
      })
    )
  )

  it.effect("answers HEAD as GET, without a body", () =>
    beside((at) =>
      Effect.gen(function* () {
        const [answer] = answers(yield* raw(at, [`HEAD /health HTTP/1.1\r\n${close}`]), true)
        assert.deepInclude(answer, { status: 200, body: "" })
        assert.strictEqual(answer?.headers["content-length"], "3")
      })
    )
  )

  it.effect("does not wait for ever for who does not ask", () =>
    beside((at) =>
      Effect.gen(function* () {
        const silent = yield* connect(at)
        const begun = yield* connect(at)
        yield* begun.write(new TextEncoder().encode("GET /"))
        const idle = yield* connect(at)
        yield* idle.write(new TextEncoder().encode("GET /health HTTP/1.1\r\n\r\n"))
        yield* idle.pull
        const gone = (client: typeof silent) => Effect.map(Effect.exit(Effect.forever(client.pull)), () => undefined)
        yield* TestClock.adjust("5 seconds")
        yield* gone(begun)
        yield* TestClock.adjust("5 seconds")
        yield* gone(silent)
        yield* TestClock.adjust("2 minutes")
        yield* gone(idle)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("answers 64 who hold it up, and one more", () =>
    beside((at) =>
      Effect.gen(function* () {
        const holding: Array<Connection.Connection<Uint8Array, Uint8Array>> = []
        for (let i = 0; i < 64; i++) {
          const client = yield* connect(at)
          yield* client.write(new TextEncoder().encode("GET /health HTTP/1.1\r\n\r\n"))
          yield* client.pull
          holding.push(client)
        }
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(answers(yield* raw(at, [`GET /health HTTP/1.1\r\n${close}`]))[0]?.status, 200)
        assert.lengthOf(holding, 64)
      }).pipe(Effect.scoped)
    )
  )
})
