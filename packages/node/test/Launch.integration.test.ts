/** How a program that is launched ends, whatever holds it, and what it says at its end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { startOf } from "./support/bundles.ts"
import { eventually, mark } from "./support/marked.ts"
import {
  type Environment,
  example,
  listening,
  missing,
  node,
  printed,
  python,
  script,
  serving
} from "./support/programs.ts"

const odd = (env: Environment) => listening(node("packages/node/test/support/odd.ts", env))

/** Asks for each of the lines on a connection of its own, and waits for the answers. */
const ask = (port: string, lines: ReadonlyArray<string>) =>
  printed(
    python(
      port,
      `
all = []
for l in ${JSON.stringify(lines)}:
    s = connect()
    s.sendall(l.encode() + b"\\n")
    try: print(line(s).decode().strip())
    except (EOFError, ConnectionError): print("closed")
    all.append(s)
`
    )
  )

/** Asks for a line, and waits for no answer. */
const start = (port: string, line: string) =>
  python(port, `s = connect(); s.sendall(b"${line}\\n"); print("sent"); sys.stdin.read()`)

/** Ends when nobody listens any more. */
const refused = (port: string) =>
  printed(
    python(
      port,
      `
while True:
    try: connect().close()
    except ConnectionRefusedError: break
`
    )
  )

describe.skipIf(missing("python3"))("a program that is asked to stop", () => {
  it.live("says what its server has done since its start", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ MAX_CONNECTIONS: "2", DRAIN_TIMEOUT: "100ms" })
      yield* ask(port, ["one", "two", "three"])
      const busy = yield* start(port, "never")
      yield* server.prints(/handling never/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(
        server.all,
        /INFO [^\n]*stopped Odd in \d+ ms: 2 completed, 1 interrupted, 1 refused, 3 connections\n/
      )
      yield* busy.signal("SIGKILL")
    })
  )

  it.live("says it of all copies in one line", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { PREFORK: "2" })
      yield* ask(
        port,
        Array.from({ length: 20 }, (_, i) => `${i}`)
      )
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(
        server.all,
        /^\[[^\n]* started Whoami on [^\n]*\nstopped Whoami in \d+ ms: 20 completed, 0 interrupted, 0 refused, 20 connections\n$/
      )
    })
  )

  it.live("stops its server before anything else of it ends", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "200ms" })
      yield* start(port, "never")
      yield* server.prints(/handling never/)
      yield* server.signal("SIGTERM")
      yield* server.prints(/releasing/)
      yield* server.complains(/cut off 1 request/)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live.each(["pool:1", "thread:1", "process:1"])(
    "releases what is its own although a worker does not let go of a request: %s",
    (POLICY) =>
      Effect.gen(function* () {
        const { port, server } = yield* odd({ DRAIN_TIMEOUT: "100ms", POLICY })
        yield* start(port, "loop")
        yield* server.prints(/handling loop/)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        assert.match(server.stdout, /releasing/)
        assert.notInclude(server.all, "had not ended")
      })
  )

  it.live("says in one line what is wrong with a server that is built where no error has a place", () =>
    Effect.gen(function* () {
      const server = yield* example("http", { POLICY: "keyed" })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, /^POLICY: Cannot run handlers of Web under the policy "keyed": [^\n]+\n$/)
    })
  )

  it.live("answers by the drain timeout that holds once it has left", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "0s", DRAIN_DELAY: "1s" })
      const client = yield* python(port, `s = connect(); s.sendall(b"drain later\\n"); print(line(s).decode())`)
      yield* server.prints(/handling drain later/)
      yield* server.signal("SIGTERM")
      yield* client.prints(/drain later/)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("ends, and says so, although something of it never does", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "100ms", OTHER: "never ends" })
      yield* ask(port, ["one"])
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.all, /stopped Odd in \d+ ms: 1 completed/)
      assert.match(server.all, /the program had not ended 1100 ms after its stop began: it is ended\n$/)
    })
  )

  it.live("is killed where a thread cannot be ended, and has said what it knows", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "100ms", POLICY: "thread:1" })
      yield* start(port, "exec")
      yield* server.prints(/handling exec/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: null, signal: "SIGKILL" })
      assert.match(server.all, /stopped Odd in \d+ ms: 0 completed, 1 interrupted, 0 refused, 1 connection\n/)
      assert.match(
        server.all,
        /the program had not ended 2100 ms after its stop began: it is ended\n1 thread could not be ended: the program is ended with SIGKILL\n$/
      )
    })
  )

  it.live("is killed soon after a second signal where a thread cannot be ended", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "1h", POLICY: "thread:1" })
      yield* start(port, "exec")
      yield* server.prints(/handling exec/)
      yield* server.signal("SIGTERM")
      // Two signals may come as one: the second is sent when the first has closed the listener.
      yield* refused(port)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: null, signal: "SIGKILL" })
    })
  )

  it.live("is killed where its loop is blocked after the signal", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "300ms" })
      yield* start(port, "loop later")
      yield* server.prints(/handling loop later\n/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: null, signal: "SIGKILL" })
    })
  )

  it.live("ends as its copies may take, where one of them hangs", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ DRAIN_TIMEOUT: "1s", PREFORK: "2" })
      yield* start(port, "loop")
      yield* server.prints(/handling loop/)
      const begin = performance.now()
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      // The default of a drain is ten.
      assert.isBelow(performance.now() - begin, 9_000)
      // What the copy has done that hung is not known; how long it has taken is.
      const [, millis] = /^stopped Odd in (\d+) ms: 0 completed/m.exec(server.all) ?? []
      assert.isAtLeast(Number(millis), 1_000)
    })
  )

  it.live("while its first copy starts ends with 0, and leaves none", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const server = yield* node("packages/node/test/support/odd.ts", { ...env, PREFORK: "2" })
      yield* eventually(() => pids().length >= 2)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
      yield* eventually(() => pids().length === 0)
    })
  )
})

describe.skipIf(missing("python3"))("a program under WATCHDOG", () => {
  it.live("is killed when its loop does not turn, and says why", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ WATCHDOG: "1s" })
      yield* start(port, "loop")
      assert.deepStrictEqual(yield* server.end, { code: null, signal: "SIGKILL" })
      assert.strictEqual(
        server.stderr,
        "WATCHDOG: the event loop has not turned for 1000 ms; the program is ended with SIGKILL\n"
      )
    })
  )

  it.live("goes on while it turns, also after it was stopped for longer", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ WATCHDOG: "1s" })
      yield* ask(port, ["one"])
      yield* server.signal("SIGSTOP")
      yield* Effect.sleep("1300 millis")
      yield* server.signal("SIGCONT")
      yield* Effect.sleep("500 millis")
      assert.strictEqual(yield* ask(port, ["two"]), "two\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("goes on under a debugger, which may hold it for as long as it likes", () =>
    Effect.gen(function* () {
      const debugged = node("--inspect=127.0.0.1:0", { WATCHDOG: "500ms" }, [
        startOf("packages/node/test/support/odd.ts")
      ])
      const { port, server } = yield* listening(debugged)
      assert.strictEqual(yield* ask(port, ["busy"]), "busy\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live.each([
    { value: "soon", says: /^WATCHDOG: it must be a positive time, not "soon"[^\n]*\n$/ },
    { value: "0s", says: /^WATCHDOG: it must be a positive time, not "0s"[^\n]*\n$/ }
  ])("does not start with $value", ({ says, value }) =>
    Effect.gen(function* () {
      const server = yield* node("packages/node/test/support/odd.ts", { WATCHDOG: value })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, says)
    })
  )
})

describe.skipIf(missing("python3"))("a program whose output nobody reads any more", () => {
  it.live.each([
    { placed: "in process", env: {} },
    { placed: "with threads", env: { POLICY: "thread:1" } },
    { placed: "with processes", env: { POLICY: "pool:1" } },
    { placed: "as copies", env: { PREFORK: "2" } }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment }>)("goes on ($placed)", ({ env }) =>
    Effect.gen(function* () {
      const { port, server } = yield* odd(env)
      yield* server.deafen
      const lines = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? "log" : "print"))
      assert.strictEqual(yield* ask(port, lines), `${lines.join("\n")}\n`)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )
})

/** Runs a program whose stderr is a full pipe, which stays open, and passes signals on to it. */
const full = `
import fcntl, os, signal, subprocess, sys
r, w = os.pipe()
os.set_blocking(w, False)
try:
    while True: os.write(w, b"." * 4096)
except BlockingIOError: pass
os.set_blocking(w, True)
p = subprocess.Popen(sys.argv[1:], stderr=w)
for n in (signal.SIGTERM, signal.SIGHUP): signal.signal(n, lambda n, frame: p.send_signal(n))
sys.exit(p.wait())
`

describe.skipIf(missing("python3"))("a program whose output is a full pipe that nobody reads", () => {
  it.live.each([
    { placed: "in process", env: {} },
    { placed: "with threads", env: { POLICY: "thread:1" } },
    { placed: "with processes", env: { POLICY: "pool:1,recycle=1" } },
    { placed: "with a process for each request", env: { POLICY: "process:1" } },
    { placed: "as copies", env: { PREFORK: "2" } },
    { placed: "as copies that are restarted", env: { PREFORK: "2" }, restarts: true }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment; readonly restarts?: boolean }>)(
    "serves and stops in time ($placed)",
    ({ env, restarts = false }) =>
      Effect.gen(function* () {
        const set = Object.entries({ ...env, LISTEN: "tcp://127.0.0.1:0", DRAIN_TIMEOUT: "1s" })
        const { env: marks, pids } = mark()
        const { port, server } = yield* listening(
          script(full, [
            "env",
            ...[...set, ...Object.entries(marks)].map(([name, value]) => `${name}=${value}`),
            process.execPath,
            startOf("packages/node/test/support/odd.ts")
          ])
        )
        if (restarts) {
          const before = pids()
          yield* server.signal("SIGHUP")
          // The supervisor alone is left of them, and the shell that guards it.
          yield* eventually(() => pids().filter((pid) => before.includes(pid)).length <= 2)
        }
        const lines = ["log", "print", "log"]
        assert.strictEqual(yield* ask(port, lines), `${lines.join("\n")}\n`)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      })
  )
})
