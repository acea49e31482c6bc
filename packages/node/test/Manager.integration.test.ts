/** What a service manager hears of a program: the manager is a socket of Python's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { commandOf, eventually, mark } from "./support/marked.ts"
import { type Environment, example, missing, node, printed, pythonUnixgram, script } from "./support/programs.ts"

const directory = mkdtempSync(join(tmpdir(), "manager-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let sockets = 0
const path = () => join(directory, `${++sockets}`)
const abstract = () => `@manager-${randomBytes(8).toString("hex")}`

/** A manager that prints each message in a line, and asks the server at `asks` when that is ready. */
const manager = (socket: string, asks = "") =>
  Effect.gen(function* () {
    const heard = yield* pythonUnixgram(
      socket,
      `
s = unixgram(sys.argv[1])
s.settimeout(None)
print("bound")
while True:
    message = s.recv(4096).decode().replace("\\n", " ")
    if message == "READY=1" and ${JSON.stringify(asks)}:
        c = socket.socket(socket.AF_UNIX)
        c.connect(${JSON.stringify(asks)})
        c.sendall(b"are you?\\n")
        print("answered", c.recv(100).decode().strip())
    print(message)
`
    )
    yield* heard.prints(/^bound\n/)
    return heard
  })

const withoutKoffi: Environment = { NODE_OPTIONS: `--import=${import.meta.dirname}/support/koffi.ts`, KOFFI: "missing" }

/** What asks a server on a Unix socket, once. */
const ask = (path: string) =>
  printed(
    script(
      `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect(sys.argv[1])
s.sendall(b"hello\\n")
print(s.recv(100).decode().strip())
`,
      [path]
    )
  )

describe.skipIf(missing("python3"))("a program that has a service manager", () => {
  it.live.each([
    { placed: "in process, over a path", env: {}, socket: path },
    { placed: "in process, over an abstract name", env: {}, socket: abstract },
    { placed: "with processes", env: { POLICY: "pool:1" }, socket: abstract },
    { placed: "as copies", env: { PREFORK: "2" }, socket: abstract }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment; readonly socket: () => string }>)(
    "says that it is ready when it can answer, that it lives, and that it stops ($placed)",
    ({ env, socket }) =>
      Effect.gen(function* () {
        const [name, listen] = [socket(), path()]
        const heard = yield* manager(name, listen)
        const { env: marked, pids } = mark()
        const server = yield* example("echo", {
          ...env,
          ...marked,
          LISTEN: `unix://${listen}`,
          NOTIFY_SOCKET: name,
          WATCHDOG_USEC: "100000"
        })
        yield* heard.prints(/^bound\nanswered are you\?\nREADY=1\n/)
        yield* heard.prints(/WATCHDOG=1\nWATCHDOG=1\n/)
        // What it has started has no part in this.
        for (const pid of pids().filter((pid) => pid !== server.pid)) {
          assert.notMatch(readFileSync(`/proc/${pid}/environ`, "latin1"), /NOTIFY_SOCKET|WATCHDOG_/)
        }
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        yield* heard.prints(/\nSTOPPING=1\n(WATCHDOG=1\n)*$/)
        assert.lengthOf(heard.stdout.match(/READY|STOPPING/g) ?? [], 2)
        assert.strictEqual(server.stderr, "")
      })
  )

  it.live.each([{ PREFORK: "2" }, {}] as ReadonlyArray<Environment>)(
    "says that it begins anew, and when it has: %j",
    (env) =>
      Effect.gen(function* () {
        const name = abstract()
        const heard = yield* manager(name)
        const server = yield* example("echo", { ...env, LISTEN: "tcp://127.0.0.1:0", NOTIFY_SOCKET: name })
        yield* heard.prints(/READY=1\n/)
        yield* server.signal("SIGHUP")
        const [, micros] = yield* heard.prints(/\nREADY=1\nRELOADING=1 MONOTONIC_USEC=(\d+)\nREADY=1\n/)
        assert.isBelow(Math.abs(Number(micros) / 1e6 - Number(process.hrtime.bigint()) / 1e9), 60)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        yield* heard.prints(/READY=1\nSTOPPING=1\n$/)
      })
  )

  it.live("says nothing more when its loop does not turn", () =>
    Effect.gen(function* () {
      const [name, listen] = [abstract(), path()]
      const heard = yield* manager(name)
      const server = yield* node("packages/node/test/support/odd.ts", {
        LISTEN: `unix://${listen}`,
        NOTIFY_SOCKET: name,
        WATCHDOG_USEC: "100000"
      })
      yield* heard.prints(/WATCHDOG=1\n/)
      yield* script(
        `import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"loop\\n"); s.recv(1)`,
        [listen]
      )
      yield* server.prints(/handling loop/)
      const before = heard.stdout.length
      yield* Effect.sleep("500 millis")
      // One that was sent before may have been read late.
      assert.isAtMost(heard.stdout.length - before, "WATCHDOG=1\n".length)
    })
  )

  it.live("gives no sign of life to a manager that watches another process", () =>
    Effect.gen(function* () {
      const name = abstract()
      const heard = yield* manager(name)
      const server = yield* example("echo", { NOTIFY_SOCKET: name, WATCHDOG_USEC: "10000", WATCHDOG_PID: "1" })
      yield* heard.prints(/READY=1\n/)
      yield* Effect.sleep("100 millis")
      yield* server.signal("SIGTERM")
      yield* heard.prints(/^bound\nREADY=1\nSTOPPING=1\n$/)
    })
  )

  it.live.skipIf(missing("systemd-notify"))("tells it by systemd-notify where there is no koffi", () =>
    Effect.gen(function* () {
      const name = path()
      const heard = yield* manager(name)
      const server = yield* example("echo", { ...withoutKoffi, NOTIFY_SOCKET: name, WATCHDOG_USEC: "2000000" })
      yield* heard.prints(/READY=1\n/)
      yield* heard.prints(/WATCHDOG=1\n/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* heard.prints(/STOPPING=1\n/)
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live("tells that it stops although systemd-notify has not done with a sign of life", () =>
    Effect.gen(function* () {
      const bin = mkdtempSync(join(directory, "bin-"))
      const [gate, told] = [join(bin, "gate"), join(bin, "told")]
      const slow = `#!/bin/sh
echo "$1" >> ${told}
[ "$1" != WATCHDOG=1 ] || while [ -d ${bin} ] && [ ! -e ${gate} ]; do sleep 0.1; done
`
      writeFileSync(join(bin, "systemd-notify"), slow, { mode: 0o755 })
      yield* Effect.addFinalizer(() => Effect.sync(() => writeFileSync(gate, "")))
      const lines = () => (existsSync(told) ? readFileSync(told, "utf8").split("\n") : [])
      const server = yield* example("echo", {
        ...withoutKoffi,
        PATH: `${bin}:${process.env["PATH"]}`,
        NOTIFY_SOCKET: path(),
        WATCHDOG_USEC: "10000"
      })
      yield* eventually(() => lines().includes("WATCHDOG=1"))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* eventually(() => lines().includes("STOPPING=1"))
      assert.deepStrictEqual(lines(), ["READY=1", "WATCHDOG=1", "STOPPING=1", ""])
    })
  )

  it.live("says once that it cannot be told, and goes on", () =>
    Effect.gen(function* () {
      const listen = path()
      const server = yield* example("echo", {
        ...withoutKoffi,
        LISTEN: `unix://${listen}`,
        PATH: directory,
        NOTIFY_SOCKET: path(),
        WATCHDOG_USEC: "10000"
      })
      yield* server.complains(/\n/)
      assert.strictEqual(yield* ask(listen), "hello\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(
        server.stderr,
        /^NOTIFY_SOCKET names [^\n]*READY=1: npm install koffi@3.3, install systemd-notify[^\n]*\n$/
      )
    })
  )

  it.live("says once that nobody listens there, and goes on", () =>
    Effect.gen(function* () {
      const listen = path()
      const server = yield* example("echo", {
        LISTEN: `unix://${listen}`,
        NOTIFY_SOCKET: path(),
        WATCHDOG_USEC: "10000"
      })
      yield* server.complains(/told READY=1: sendto ENOENT/)
      assert.strictEqual(yield* ask(listen), "hello\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )
})

describe.skipIf(missing("python3"))("DRAIN_DELAY", () => {
  it.live.each([
    { placed: "in process", env: {} },
    { placed: "as copies", env: { PREFORK: "2" } }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment }>)(
    "keeps a program accepting that was told to stop, until it is told again ($placed)",
    ({ env }) =>
      Effect.gen(function* () {
        const [name, listen] = [abstract(), path()]
        const heard = yield* manager(name)
        const server = yield* example("echo", {
          ...env,
          LISTEN: `unix://${listen}`,
          NOTIFY_SOCKET: name,
          DRAIN_DELAY: "10m"
        })
        yield* heard.prints(/READY=1\n/)
        yield* server.signal("SIGTERM")
        yield* heard.prints(/STOPPING=1\n/)
        assert.strictEqual(yield* ask(listen), "hello\n")
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 143, signal: null })
      })
  )

  it.live.each([
    { placed: "in process", env: {} },
    { placed: "as copies", env: { PREFORK: "2" } }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment }>)(
    "is not added to the drain, and ends ($placed)",
    ({ env }) =>
      Effect.gen(function* () {
        const listen = path()
        const server = yield* example("echo", {
          ...env,
          LISTEN: `unix://${listen}`,
          DRAIN_DELAY: "800ms",
          DRAIN_TIMEOUT: "0s"
        })
        yield* server.prints(/listening/)
        assert.strictEqual(yield* ask(listen), "hello\n")
        const start = performance.now()
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        assert.isAtLeast(performance.now() - start, 790)
        assert.match(server.all, /stopped Echo in \d+ ms: 1 completed/)
      })
  )

  it.live("is not for a copy that another one has replaced", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const server = yield* example("echo", { ...env, PREFORK: "1", DRAIN_DELAY: "10m" })
      yield* server.prints(/listening/)
      const [old] = pids().filter((pid) => pid !== server.pid && commandOf(pid).includes("main.ts"))
      yield* server.signal("SIGHUP")
      yield* eventually(() => !pids().includes(old!))
      assert.isTrue(yield* server.running)
    })
  )
})
