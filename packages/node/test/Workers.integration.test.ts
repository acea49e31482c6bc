import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { accepted, descriptors, eventually, mark } from "./support/marked.ts"
import { seeded } from "./support/random.ts"
import { example, listening, missing, node, printed, python, script, serving, start } from "./support/programs.ts"

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

/** As a program is started by who decides nothing about compiled code. */
const unset = ["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE", "NODE_V8_COVERAGE"].flatMap((name) => ["-u", name])

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
  it.live.each([
    { policy: "process", workers: 8, names: /^\d+$/ },
    { policy: "pool:2", workers: 2, names: /^\d+$/ },
    { policy: "thread:2", workers: 2, names: /^thread-\d+$/ }
  ])(
    "under $policy answers connections and Unix datagrams from $workers workers, and leaves none",
    ({ names, policy, workers }) =>
      Effect.gen(function* () {
        const { env, pids } = mark()
        const directory = mkdtempSync(join(tmpdir(), "workers-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
        const path = join(directory, "s")
        const LISTEN = `tcp://127.0.0.1:0,unixgram://${path}`
        const server = yield* example("whoami", { ...env, LISTEN, POLICY: policy, DELAY: "5 millis" })
        const [, port = ""] = yield* server.prints(/^listening on tcp:\S+:(\d+)\nlistening on unixgram:/)
        const datagrams = script(`
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(${JSON.stringify(join(directory, "c"))})
s.settimeout(60)
for i in range(8): s.sendto(str(i).encode(), ${JSON.stringify(path)})
for answer in sorted((s.recv(100).decode() for _ in range(8)), key=lambda a: a.split(": ")[1]): print(answer)
import os
os.unlink(${JSON.stringify(join(directory, "c"))})
`)
        for (const ask of [askAll(port, 8), printed(datagrams)]) {
          const all = new Set<string>()
          // It serves as soon as one worker is ready, and nobody knows when the other is.
          while (all.size < workers) {
            const { lines: answered, workers } = split(yield* Effect.scoped(ask))
            assert.deepStrictEqual(answered, lines(8))
            for (const worker of workers) all.add(worker)
          }
          assert.strictEqual(all.size, workers)
          assert.notInclude([...all], String(server.pid))
          for (const worker of all) assert.match(worker, names)
        }
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        yield* eventually(() => pids().length === 0)
        assert.strictEqual(server.stderr, "")
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

  // Their handlers never yield, so that no event of theirs can end them. Each says that it begins.
  it.live.each(["process", "pool:2", "thread:2"])(
    "under %s leaves nobody behind when it is killed, though its workers are busy",
    (policy) =>
      Effect.gen(function* () {
        const { env, pids } = mark()
        const { port, server } = yield* listening(node("packages/node/test/support/odd.ts", { ...env, POLICY: policy }))
        yield* python(
          port,
          `all = [connect() for _ in range(3)]\nfor s in all: s.sendall(b"loop\\n")\nsys.stdin.read()`
        )
        yield* server.prints(/handling loop\n[^]*handling loop\n/)
        yield* server.signal("SIGKILL")
        yield* server.end
        yield* eventually(() => pids().length === 0)
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
os.execve(sys.argv[1], sys.argv[1:],
  {**os.environ, **${JSON.stringify(env)}, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
`,
          [process.execPath, startOf("examples/whoami/main.ts")]
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

  it.live.each([{ POLICY: "process" }, { POLICY: "pool:1" }, { PREFORK: "1" }])(
    "%o finds what Node has compiled for one before it, and those that it starts do not",
    (env) =>
      Effect.gen(function* () {
        const program = start("env", [...unset, process.execPath, startOf("packages/node/test/support/compiling.ts")], {
          LISTEN: "tcp://127.0.0.1:0",
          ...env
        })
        const { port, server } = yield* listening(program)
        assert.match(yield* askAll(port, 1), /node_modules\/\.cache\/socketserver\/compiled\/\S+ unset\n$/)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      })
  )

  it.live("under pool:4 serves on though its workers are killed again and again, and returns to where it was", () =>
    Effect.gen(function* () {
      const random = yield* seeded
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, POLICY: "pool:4", DELAY: "10 millis" })
      yield* eventually(() => pids().length === 6)
      yield* askAll(port, 20)
      yield* eventually(() => accepted(Number(port)) === 0)
      const before = descriptors(server.pid)
      const load = yield* python(
        port,
        `
answered = failed = 0
stop = threading.Event()
lock = threading.Lock()
def load(n):
    global answered, failed
    s = connect()
    i = 0
    while not stop.is_set():
        i += 1
        try:
            s.sendall(f"{n}-{i}\\n".encode())
            reply = line(s)
            assert reply.endswith(f": {n}-{i}\\n".encode()), reply
            with lock:
                answered += 1
                if answered % 40 == 0: print(f"answered {answered} by {reply.split(b':')[0].decode()}")
        except (EOFError, ConnectionError):
            with lock: failed += 1
            s.close()
            s = connect()
    s.close()
threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
for t in threads: t.start()
sys.stdin.readline()
stop.set()
for t in threads: t.join()
print(f"in all {answered} answered, {failed} failed")
`
      )
      for (let killed = 1; killed <= 12; killed++) {
        const [, by] = yield* load.prints(new RegExp(`^answered ${40 * killed} by (\\d+)\\n`, "m"))
        // What is not the server and not the shell that guards it is a worker; it may be at work, idle or starting.
        const workers = pids().filter((pid) => pid !== server.pid && isNode(pid))
        const any = workers[Math.floor(random() * workers.length)]
        // Who has just answered has the next to do.
        const victim = killed % 2 === 0 && workers.includes(Number(by)) ? Number(by) : any
        if (victim !== undefined) process.kill(victim, "SIGKILL")
      }
      yield* load.write("stop\n")
      const [, failed] = yield* load.prints(/in all \d+ answered, (\d+) failed/)
      assert.isAbove(Number(failed), 0)
      // Every request that was not answered has failed with the signal that ended its worker.
      const crash = /request \d+ from \S+ ended: worker \d+ was ended by SIGKILL before/g
      yield* eventually(() => (server.stderr.match(crash)?.length ?? 0) === Number(failed))
      yield* eventually(() => pids().length === 6)
      yield* eventually(() => descriptors(server.pid) === before)
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
