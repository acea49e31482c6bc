/** What a program says of itself over HTTP: the sums of its ledgers, whichever of its processes is asked, until it ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parse, sumOf } from "../../core/test/support/exposition.ts"
import { commandOf, eventually, hasEnded, mark } from "./support/marked.ts"
import { type Environment, listening, missing, node, printed, type Program, python } from "./support/programs.ts"

const metered = (env: Environment = {}) =>
  Effect.gen(function* () {
    const { port, server } = yield* listening(node("packages/node/test/support/metered.ts", env))
    const [, at = ""] = yield* server.complains(/are told on tcp:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, port, at }
  })

/** A new connection each time, so that any copy may answer. */
const get = (at: string, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${at}${path}`, { headers: { connection: "close" } })
    return { status: response.status, body: await response.text() }
  })

const scrape = (at: string) => Effect.map(get(at, "/metrics"), ({ body }) => parse(body))

/** Some connections: each sends these lines, and reads until its end. */
const traffic = (port: string, connections: number, ...lines: ReadonlyArray<string>) =>
  printed(
    python(
      port,
      `
for _ in range(${connections}):
    s = connect()
    s.sendall(${JSON.stringify(lines.map((line) => `${line}\n`).join(""))}.encode())
    s.shutdown(socket.SHUT_WR)
    try: print(rest(s).decode(), end="")
    except ConnectionError: pass
`
    )
  )

/** The line that says what a program has done when it stops, as the metrics have it. */
const stopped = (server: Program) => {
  const [line = ""] = /stopped Metered in .*/.exec(server.all) ?? []
  const of = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(line)?.[1] ?? 0)
  return {
    Completed: of("completed"),
    Drained: of("interrupted"),
    Refused: of("refused"),
    Failed: of("failed"),
    FrameTooLarge: of("too large"),
    WorkerCrashed: of("lost with a worker"),
    connections: of("connection")
  }
}

const scraped = (at: string) =>
  Effect.map(scrape(at), (all) => {
    const of = (outcome: string) => sumOf(all, "socketserver_requests_total", { server: "Metered", outcome })
    return {
      Completed: of("Completed"),
      Drained: of("Drained"),
      Refused: of("Refused"),
      Failed: of("Failed"),
      FrameTooLarge: of("FrameTooLarge"),
      WorkerCrashed: of("WorkerCrashed"),
      connections: sumOf(all, "socketserver_connections_opened_total", { server: "Metered" })
    }
  })

describe.skipIf(missing("python3"))("the metrics of a program", () => {
  it.live.each<Environment>([
    { POLICY: "fiber" },
    { POLICY: "pool:2" },
    { PREFORK: "2" },
    { PREFORK: "2", POLICY: "pool:1" }
  ])("are what it says at its end, whoever is asked: %j", (env) =>
    Effect.gen(function* () {
      const { at, port, server } = yield* metered(env)
      yield* traffic(port, 6, ...Array.from({ length: 20 }, (_, i) => `x${i}`))
      yield* traffic(port, 2, "x", "die")
      yield* traffic(port, 1, "x", "x".repeat(2_000))
      if (env["POLICY"]?.startsWith("pool") === true) yield* traffic(port, 1, "exit")
      const first = yield* scraped(at)
      assert.deepInclude(first, { Completed: 123, Failed: 2, FrameTooLarge: 1 })
      for (let i = 0; i < 5; i++) assert.deepStrictEqual(yield* scraped(at), first)
      const all = yield* scrape(at)
      assert.strictEqual(sumOf(all, "socketserver_connections"), 0)
      assert.strictEqual(sumOf(all, "socketserver_in_flight"), 0)
      assert.isAbove(sumOf(all, "socketserver_bytes_total", { direction: "read" }), 6 * 20 * 3)
      if (env["PREFORK"] !== undefined) assert.strictEqual(sumOf(all, "socketserver_copies"), 2)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.deepStrictEqual(stopped(server), first)
    })
  )

  it.live.each<Environment>([{}, { PREFORK: "2" }])("say that it leaves, until it has: %j", (env) =>
    Effect.gen(function* () {
      const { at, port, server } = yield* metered({ ...env, DRAIN_DELAY: "10m" })
      assert.deepStrictEqual(yield* get(at, "/ready"), { status: 200, body: "ready\n" })
      assert.deepStrictEqual(yield* get(at, "/health"), { status: 200, body: "ok\n" })
      yield* traffic(port, 1, "x")
      yield* server.signal("SIGTERM")
      let ready = yield* get(at, "/ready")
      while (ready.status === 200) ready = yield* get(at, "/ready")
      assert.deepStrictEqual(ready, { status: 503, body: "not ready\n" })
      assert.deepStrictEqual(yield* get(at, "/health"), { status: 200, body: "ok\n" })
      assert.strictEqual((yield* scraped(at)).Completed, 1)
      // However long that has taken: it ends when it is told again.
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 143, signal: null })
    })
  )

  it.live("do not fall when copies are replaced, or are killed", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { at, port, server } = yield* metered({ ...env, PREFORK: "2" })
      yield* traffic(port, 10, "x")
      const before = yield* scraped(at)
      assert.strictEqual(before.Completed, 10)
      const copies = () => pids().filter((pid) => pid !== server.pid && commandOf(pid).includes("metered"))
      const old = copies()
      assert.lengthOf(old, 2)
      yield* server.signal("SIGHUP")
      yield* eventually(() => old.every(hasEnded))
      assert.deepStrictEqual(yield* scraped(at), before)
      yield* traffic(port, 10, "x")
      // What was scraped of one that is killed is not lost.
      assert.strictEqual((yield* scraped(at)).Completed, 20)
      const [victim = 0] = copies()
      process.kill(victim, "SIGKILL")
      yield* eventually(() => hasEnded(victim))
      const all = yield* scraped(at)
      assert.strictEqual(all.Completed, 20)
      yield* server.signal("SIGTERM")
      yield* server.end
    })
  )

  it.live("are told where the operator wants them, or nowhere", () =>
    Effect.gen(function* () {
      const off = yield* listening(node("packages/node/test/support/metered.ts", { METRICS_LISTEN: "off" }))
      yield* traffic(off.port, 1, "x")
      assert.notInclude(off.server.stderr, "are told on")
      yield* off.server.signal("SIGTERM")
      assert.deepStrictEqual(yield* off.server.end, { code: 0, signal: null })
      for (const [listen, problem] of [
        ["udp://127.0.0.1:0", "METRICS_LISTEN: udp://127.0.0.1:0 takes no connections"],
        ["nowhere", "METRICS_LISTEN: "]
      ] as const) {
        const wrong = yield* node("packages/node/test/support/metered.ts", { METRICS_LISTEN: listen })
        assert.deepStrictEqual(yield* wrong.end, { code: 1, signal: null })
        assert.include(wrong.stderr, problem)
      }
    })
  )

  it.live("that cannot be told anywhere end the start before it is said that the server listens", () =>
    Effect.gen(function* () {
      const first = yield* listening(node("packages/node/test/support/metered.ts", { METRICS_LISTEN: "off" }))
      const second = yield* node("packages/node/test/support/metered.ts", {
        METRICS_LISTEN: `tcp://127.0.0.1:${first.port}`
      })
      assert.deepStrictEqual(yield* second.end, { code: 1, signal: null })
      assert.strictEqual(second.stdout, "")
      assert.include(second.stderr, "address in use")
    })
  )
})
