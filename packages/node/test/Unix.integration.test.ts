import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { example, missing, printed, python, socatTo } from "./support/programs.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unix-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

/** What socat prints that sends `text`, half-closes and reads to the end. */
const ask = (path: string, text: string) =>
  printed(
    Effect.gen(function* () {
      const client = yield* socatTo(`unix:${path}`)
      yield* client.write(text)
      yield* client.closeInput
      return client
    })
  )

describe.skipIf(missing("socat"))("examples on a Unix socket", () => {
  it.live("answer socat, and remove the path on SIGTERM", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* example("echo", { LISTEN: `unix://${path}` })
      yield* server.prints(/^listening on unix:\/\/.*\/s\n/)
      assert.strictEqual(yield* ask(path, "Hello, world"), "Hello, world")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.isFalse(fs.existsSync(path))
    })
  )

  it.live("start again on the path of one that was killed, and refuse a second that is alive", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const env = { LISTEN: `unix://${path}` }
      const killed = yield* example("echo", env)
      yield* killed.prints(/^listening/)
      yield* killed.signal("SIGKILL")
      yield* killed.end
      assert.isTrue(fs.lstatSync(path).isSocket())
      const server = yield* example("echo", env)
      yield* server.prints(/^listening/)
      const second = yield* example("echo", env)
      assert.deepStrictEqual(yield* second.end, { code: 1, signal: null })
      assert.match(second.stderr, /^Cannot bind unix:\/\/.*\/s: address in use; [^\n]*\n$/)
      assert.strictEqual(yield* ask(path, "Hello, world"), "Hello, world")
    })
  )

  it.live("are started four at a time on a stale path, and one of them has it", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const env = { LISTEN: `unix://${path}` }
      const killed = yield* example("echo", env)
      yield* killed.prints(/^listening/)
      yield* killed.signal("SIGKILL")
      yield* killed.end
      const servers = yield* Effect.forEach([1, 2, 3, 4], () => example("echo", env), { concurrency: 4 })
      const started = yield* Effect.forEach(
        servers,
        (server) => Effect.map(Effect.exit(server.prints(/^listening/)), ({ _tag }) => _tag === "Success"),
        { concurrency: 4 }
      )
      assert.deepStrictEqual(started.filter(Boolean), [true])
      for (const [i, server] of servers.entries()) {
        if (!started[i]) assert.match(server.stderr, /^Cannot bind unix:\/\/.*\/s: address in use; [^\n]*\n$/)
      }
      assert.strictEqual(yield* ask(path, "Hello, world"), "Hello, world")
    })
  )
})

describe.skipIf(missing("python3"))("a program of two copies whose socket's directory is gone wrong", () => {
  it.live("ends with 0, answers what it was asked, and tells it in one line", () =>
    Effect.gen(function* () {
      const run = join(yield* directory, "run")
      const path = join(run, "s")
      fs.mkdirSync(run)
      const server = yield* example("whoami", { LISTEN: `unix://${path}`, PREFORK: "2", DELAY: "500 millis" })
      yield* server.prints(/^listening on unix:/)
      const client = yield* python(
        path,
        `
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"warm\\n")
line(s)
s.sendall(b"asked\\n")
print("sent")
print(rest(s).decode())
`
      )
      yield* client.prints(/sent/)
      fs.rmSync(run, { recursive: true })
      fs.symlinkSync(run, run)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* client.prints(/: asked/)
      assert.match(server.stderr, /^when unix:\/\/\S+ was closed: its path stays: ELOOP[^\n]*\n$/)
    })
  )
})
