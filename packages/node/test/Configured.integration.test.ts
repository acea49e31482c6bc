/** Programs whose settings do not come from the environment. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually, hasEnded, mark } from "./support/marked.ts"
import { type Environment, listening, missing, node, printed, python } from "./support/programs.ts"

const provided = (settings: Environment, env: Environment = {}) =>
  node("packages/node/test/support/provided.ts", { ...env, PROVIDED: JSON.stringify(settings) })

/** Who answers so many connections. */
const answering = (port: string, count: number) =>
  Effect.map(
    printed(
      python(
        port,
        `for _ in range(${count}):\n    s = connect(); s.sendall(b"x\\n"); print(line(s).decode().split(":")[0])`
      )
    ),
    (text) => new Set(text.trimEnd().split("\n"))
  )

describe.skipIf(missing("python3"))("a program with a provider of its own", () => {
  it.live("runs as many copies as PREFORK there says, announces them once, and leaves none", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* listening(provided({ PREFORK: "2" }, env))
      const copies = yield* Effect.repeat(answering(port, 40), { until: (all) => all.size === 2, times: 20 })
      assert.strictEqual(copies.size, 2)
      assert.notInclude([...copies], String(server.pid))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stdout, `listening on tcp://127.0.0.1:${port}\n`)
      assert.strictEqual(server.stderr, "")
      assert.match(server.all, /^stopped Echo in \d+ ms: \d+ completed/m)
      yield* eventually(() => pids().every(hasEnded))
    }).pipe(Effect.scoped)
  )

  it.live.each([
    { PREFORK: "many", said: 'PREFORK: "many" is not a positive integer' },
    { WATCHDOG: "10", said: 'WATCHDOG: it must be a positive time, not "10"; write "30s", or "off"' }
  ] as ReadonlyArray<Environment>)("does not start with %j there", ({ said, ...settings }) =>
    Effect.gen(function* () {
      const server = yield* provided(settings)
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(server.all, `${said}\n`)
      assert.strictEqual(server.stdout, "")
    }).pipe(Effect.scoped)
  )

  it.live("is ended by the WATCHDOG that stands there when its loop does not turn", () =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(provided({ WATCHDOG: "500ms" }))
      yield* python(port, `s = connect(); s.sendall(b"loop\\n"); sys.stdin.read()`)
      assert.deepStrictEqual(yield* server.end, { code: null, signal: "SIGKILL" })
      assert.match(server.all, /^WATCHDOG: /m)
    }).pipe(Effect.scoped)
  )

  it.live("ends with status 0 when it is stopped on its way to its copies", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const server = yield* provided({ PREFORK: "2" }, env)
      // Both the program and the first of its copies are there.
      yield* eventually(() => pids().length > 1)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
      yield* eventually(() => pids().every(hasEnded))
    }).pipe(Effect.scoped)
  )
})
