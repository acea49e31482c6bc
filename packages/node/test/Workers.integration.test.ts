import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { descriptors, mark, ticks, within } from "./support/marked.ts"
import { example, missing, printed, python, script, serving } from "./support/programs.ts"

const noPython = missing("python3")

/** The workers and the lines of `<worker>: <line>`. */
const split = (answers: string) => {
  const pairs = answers
    .trimEnd()
    .split("\n")
    .map((answer) => answer.split(": ") as [string, string])
  return { workers: pairs.map(([worker]) => worker), lines: pairs.map(([, line]) => line) }
}

const lines = (count: number) => Array.from({ length: count }, (_, i) => String(i))

const askAll = (port: string, count: number) =>
  printed(
    python(
      port,
      `
s = connect()
s.sendall(b"".join(f"{i}\\n".encode() for i in range(${count})))
s.shutdown(socket.SHUT_WR)
print(rest(s).decode(), end="")
`
    )
  )

describe.skipIf(noPython)("whoami", () => {
  it.live("under process answers each request from another process, and leaves none", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, POLICY: "process" })
      const { lines: answered, workers } = split(yield* askAll(port, 8))
      assert.deepStrictEqual(answered, lines(8))
      assert.strictEqual(new Set(workers).size, 8)
      assert.notInclude(workers, String(server.pid))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* within(1_000, () => pids().length === 0)
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live.each([
    { policy: "pool:2", names: /^\d+$/ },
    { policy: "thread:2", names: /^thread-\d+$/ }
  ])("under $policy answers from exactly two workers, and leaves none", ({ names, policy }) =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, POLICY: policy, DELAY: "5 millis" })
      const { lines: answered, workers } = split(yield* askAll(port, 50))
      assert.deepStrictEqual(answered, lines(50))
      assert.strictEqual(new Set(workers).size, 2)
      for (const worker of workers) assert.match(worker, names)
      yield* server.signal("SIGINT")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* within(1_000, () => pids().length === 0)
    })
  )

  it.live.each(["process", "pool:2", "thread:2"])("under %s answers what it has received before it stops", (policy) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { POLICY: policy, DELAY: "300 millis" })
      const client = yield* python(
        port,
        `
s = connect()
s.sendall(b"first\\n")
line(s)
s.sendall(b"".join(f"{i}\\n".encode() for i in range(4)))
print("sent")
print([l.split(": ")[1] for l in rest(s).decode().split("\\n")[:-1]])
`
      )
      yield* client.prints(/sent/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* client.prints(/\['0', '1', '2', '3'\]/)
    })
  )

  // Their handlers never yield, so that no event of theirs can end them.
  it.live.each(["process", "pool:2", "thread:2"])(
    "under %s leaves nobody behind a second after it was killed, though its workers are busy",
    (policy) =>
      Effect.gen(function* () {
        const { env, pids } = mark()
        const { port, server } = yield* serving("whoami", { ...env, POLICY: policy, WORK: "1 hour" })
        const client = yield* python(
          port,
          `
all = [connect() for _ in range(3)]
for s in all: s.sendall(b"forever\\n")
print("sent")
sys.stdin.read()
`
        )
        yield* client.prints(/sent/)
        // A start takes less than half a second of CPU: who has used more is busy with a request.
        yield* within(20_000, () => pids().filter((pid) => ticks(pid) > 100).length >= (policy === "thread:2" ? 1 : 2))
        yield* server.signal("SIGKILL")
        yield* server.end
        yield* within(1_000, () => pids().length === 0)
      })
  )

  it.live.each([
    { policy: "process", workers: 8 },
    { policy: "pool:2", workers: 2 },
    { policy: "thread:2", workers: 2 }
  ])("under $policy answers Unix datagrams from $workers workers", ({ policy, workers }) =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const directory = mkdtempSync(join(tmpdir(), "workers-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const path = join(directory, "s")
      const server = yield* example("whoami", {
        ...env,
        POLICY: policy,
        LISTEN: `unixgram://${path}`,
        DELAY: "20 millis"
      })
      yield* server.prints(/listening on unixgram:/)
      const answers = split(
        yield* printed(
          script(`
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(${JSON.stringify(join(directory, "c"))})
s.settimeout(30)
for i in range(8): s.sendto(str(i).encode(), ${JSON.stringify(path)})
for answer in sorted((s.recv(100).decode() for _ in range(8)), key=lambda a: a.split(": ")[1]): print(answer)
`)
        )
      )
      assert.deepStrictEqual(answers.lines, lines(8))
      assert.strictEqual(new Set(answers.workers).size, workers)
      assert.notInclude(answers.workers, String(server.pid))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* within(1_000, () => pids().length === 0)
    })
  )

  it.live.each([{ POLICY: "pool:2" }, { POLICY: "thread:2" }, { PREFORK: "2" }])(
    "with %j serves the sockets that were handed to it",
    (env) =>
      Effect.gen(function* () {
        const server = yield* script(
          `
import os, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
fd = os.dup(s.fileno())
os.dup2(fd, 3)
os.set_inheritable(3, True)
os.execve(sys.argv[1], [sys.argv[1], "examples/whoami/main.ts"],
  {**os.environ, **${JSON.stringify(env)}, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
`,
          [process.execPath]
        )
        const [, port = ""] = yield* server.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/)
        const { lines: answered, workers } = split(yield* askAll(port, 10))
        assert.deepStrictEqual(answered, lines(10))
        assert.notInclude(workers, String(server.pid))
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        assert.strictEqual(server.stderr, "")
      })
  )

  it.live("under pool:4 serves on though a worker is killed every 100 ms, and returns to where it was", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, POLICY: "pool:4", DELAY: "2 millis" })
      yield* askAll(port, 20)
      yield* within(5_000, () => pids().length === 6)
      const before = descriptors(server.pid)
      const load = yield* python(
        port,
        `
end = time.monotonic() + 4
answered = failed = 0
lock = threading.Lock()
def load(n):
    global answered, failed
    s = connect()
    i = 0
    while time.monotonic() < end:
        i += 1
        try:
            s.sendall(f"{n}-{i}\\n".encode())
            reply = line(s)
            assert reply.endswith(f": {n}-{i}\\n".encode()), reply
            with lock: answered += 1
        except (EOFError, ConnectionError):
            with lock: failed += 1
            s.close()
            s = connect()
    s.close()
threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(f"{answered} answered, {failed} failed")
`
      )
      let killed = 0
      // What is not the server and not the shell that guards it is a worker.
      const kill = Effect.sync(() => {
        const workers = pids().filter((pid) => pid !== server.pid && isNode(pid))
        const victim = workers[Math.floor(Math.random() * workers.length)]
        if (victim !== undefined && process.kill(victim, "SIGKILL")) killed++
      })
      yield* Effect.raceFirst(Effect.forever(Effect.andThen(Effect.sleep("100 millis"), kill)), load.end)
      const [, answered, failed] = yield* load.prints(/(\d+) answered, (\d+) failed/)
      assert.isAbove(killed, 10)
      assert.isAbove(Number(answered), 100)
      // Every request that was not answered has failed with the signal that ended its worker.
      const crashes =
        server.stderr.match(/Request \d+ from \S+ ended: worker \d+ was ended by SIGKILL before/g)?.length ?? 0
      assert.strictEqual(crashes, Number(failed))
      yield* within(5_000, () => pids().length === 6)
      yield* within(5_000, () => descriptors(server.pid) === before)
      const { lines: after } = split(yield* askAll(port, 10))
      assert.deepStrictEqual(after, lines(10))
    })
  )
})

const isNode = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("whoami")
  } catch {
    return false
  }
}
