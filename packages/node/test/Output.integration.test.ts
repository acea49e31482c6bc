/** What a program prints: once, in lines, with whose it is and what it is about. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Environment, listening, missing, node, printed, python } from "./support/programs.ts"

const outputs = (env: Environment) => listening(node("packages/node/test/support/outputs.ts", env))

/** Sends each text on a connection of its own, and waits until that has closed or was answered. */
const ask = (port: string, ...texts: ReadonlyArray<string>) =>
  printed(
    python(
      port,
      `
for text in ${JSON.stringify(texts)}:
    s = connect()
    s.sendall(text.encode())
    s.shutdown(socket.SHUT_WR)
    while s.recv(1000): pass
print("done")
`
    )
  )

const linesOf = (text: string, about: string) => text.split("\n").filter((line) => line.includes(about))

describe.skipIf(missing("python3"))("a program's log", () => {
  it.live.each([{ POLICY: "fiber" }, { POLICY: "pool:1" }, { POLICY: "thread:1" }])(
    "has one line for each request, whoever runs it: %o",
    (env) =>
      Effect.gen(function* () {
        const { port, server } = yield* outputs(env)
        yield* ask(port, "hello\n", "die\n", "late\n")
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        for (const about of ["was answered", "a bug", "not answered within 200 ms"]) {
          assert.lengthOf(linesOf(server.all, about), 1, server.all)
        }
        assert.lengthOf(linesOf(server.all, " from 127.0.0.1:"), 3, server.all)
        assert.notInclude(server.all, "\u001b")
      })
  )

  it.live("says once where it listens, under what and with which limits, in whatever form it logs", () =>
    Effect.gen(function* () {
      const line =
        /started Outputs on tcp:\/\/127\.0\.0\.1:\d+ under fiber:7, pid (\d+): (?=[^\n"]*maxConnections 9, )(?=[^\n"]*maxMemory \d+)[^\n"]*frameTimeout 5s, writeTimeout 1m, /
      for (const env of [{}, { JSON: "yes" }]) {
        const { port, server } = yield* outputs({
          POLICY: "fiber:7",
          MAX_CONNECTIONS: "9",
          FRAME_TIMEOUT: "5s",
          ...env
        })
        yield* ask(port, "hello\n")
        yield* server.signal("SIGTERM")
        yield* server.end
        const [, pid] = line.exec(server.all) ?? assert.fail(server.all)
        assert.strictEqual(Number(pid), server.pid)
        assert.lengthOf(linesOf(server.all, "started Outputs"), 1)
        assert.match(server.stdout, /^listening on \S+\n$/)
      }
    })
  )

  it.live("says it once under PREFORK", () =>
    Effect.gen(function* () {
      const { port, server } = yield* outputs({ PREFORK: "2" })
      yield* ask(port, "hello\n")
      yield* server.signal("SIGTERM")
      yield* server.end
      assert.lengthOf(linesOf(server.all, "started Outputs"), 1, server.all)
      assert.include(server.all, `pid ${server.pid} and its copies`)
    })
  )

  it.live("is annotated for searches, each line", () =>
    Effect.gen(function* () {
      const { port, server } = yield* outputs({ JSON: "yes" })
      yield* ask(port, "die\n", "x".repeat(1_000))
      yield* server.signal("SIGTERM")
      yield* server.end
      const about = server.all
        .split("\n")
        .filter((line) => line.startsWith("{") && line.includes(" from "))
        .map((line) => (JSON.parse(line) as { readonly annotations: Record<string, unknown> }).annotations)
      assert.deepStrictEqual(
        about.map(({ connection, outcome, request, server }) => ({ connection, outcome, request, server })),
        [
          { connection: 1, outcome: "Failed", request: 1, server: "Outputs" },
          { connection: 2, outcome: "FrameTooLarge", request: undefined, server: "Outputs" }
        ]
      )
      for (const { listener, peer } of about) {
        assert.match(String(listener), /^tcp:\/\/127\.0\.0\.1:\d+$/)
        assert.match(String(peer), /^127\.0\.0\.1:\d+$/)
      }
    })
  )

  it.live("is bounded, however much a client makes it log, and tells of the rest", () =>
    Effect.gen(function* () {
      const { port, server } = yield* outputs({})
      yield* printed(
        python(
          port,
          `
all = [connect() for i in range(200)]
for s in all: s.sendall(b"die\\n")
for s in all:
    while s.recv(1000): pass
`
        )
      )
      yield* server.signal("SIGTERM")
      yield* server.end
      const failed = linesOf(server.all, " failed server=").length
      const left = [...server.all.matchAll(/ (\d+) more lines? about requests that failed w\w+ left out/g)]
      assert.strictEqual(failed + left.reduce((sum, [, count]) => sum + Number(count), 0), 200)
      assert.isAtLeast(left.length, 1)
    })
  )

  it.live("tells a limit twice", () =>
    Effect.gen(function* () {
      const { port, server } = yield* outputs({})
      yield* ask(port, ...Array.from({ length: 20 }, () => "x".repeat(1_000)))
      yield* server.signal("SIGTERM")
      yield* server.end
      const [reached, was, ...others] = linesOf(server.all, "maxFrameBytes (100)")
      assert.match(reached ?? "", /WARN [^\n]*Outputs: maxFrameBytes \(100\) is reached: closed 127\.0\.0\.1:\d+ /)
      assert.match(was ?? "", /INFO [^\n]*Outputs: maxFrameBytes \(100\) was reached for \d+ ms: 20 closed /)
      assert.deepStrictEqual(others, [])
    })
  )

  it.live.each([{ POLICY: "fiber" }, { POLICY: "pool:1" }, { POLICY: "thread:1" }])(
    "has what a handler knows of who has ended its connection: %o",
    (env) =>
      Effect.gen(function* () {
        const { port, server } = yield* outputs({ ...env, WAITS: "yes", DRAIN_TIMEOUT: "200ms" })
        const leaving = yield* python(
          port,
          `s = connect(); s.sendall(b"wait\\n"); sys.stdin.readline(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0"); s.close()`
        )
        yield* server.complains(/waiting/)
        yield* leaving.write("\n")
        yield* server.complains(/interrupted by peer/)
        const staying = yield* python(port, `s = connect(); s.sendall(b"wait\\n"); sys.stdin.read()`)
        yield* server.complains(/waiting[^]*waiting/)
        yield* server.signal("SIGTERM")
        yield* server.complains(/interrupted by stop/)
        yield* server.end
        yield* staying.signal("SIGKILL")
      })
  )
})
