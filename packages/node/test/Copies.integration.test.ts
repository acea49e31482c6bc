/** What copies of a program (`PREFORK`) stand: signals to all, copies that hang, ports of others, restarts over datagrams. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { commandOf, eventually, mark } from "./support/marked.ts"
import { ownPort } from "./support/ports.ts"
import {
  type Environment,
  example,
  listening,
  missing,
  node,
  printed,
  type Program,
  python,
  script,
  serving,
  start
} from "./support/programs.ts"

const odd = (env: Environment) => listening(node("packages/node/test/support/odd.ts", env))
const beside = (env: Environment) => node("packages/node/test/support/beside.ts", env)

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "copies-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

/** A connection that has asked four times at once; then what it is answered, one a line. */
const waiting = (port: string) =>
  python(
    port,
    `
s = connect()
s.sendall(b"slow\\n" * 4)
for _ in range(4):
    try: print(line(s).decode().strip())
    except (EOFError, ConnectionError): print("lost")
`
  )

/** How many of so many new connections are answered within a time, in seconds. */
const answered = (port: string, count: number, within: number) =>
  Effect.map(
    printed(
      python(
        port,
        `
def ask(n):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), ${within}) as s:
            s.sendall(b"x\\n")
            if line(s): print("answered")
    except OSError: pass
threads = [threading.Thread(target=ask, args=(n,)) for n in range(${count})]
for t in threads: t.start()
for t in threads: t.join()
`
      )
    ),
    (text) => text.match(/answered/g)?.length ?? 0
  )

describe.skipIf(missing("python3"))("a signal to every process of a program", () => {
  const policies: ReadonlyArray<Environment> = [
    {},
    { POLICY: "sequential" },
    { POLICY: "connection" },
    { POLICY: "thread:2,each=4" },
    { POLICY: "pool:2,each=4" },
    { POLICY: "process:4" }
  ]
  // Each policy and each number of copies has both signals.
  const all = policies.flatMap((env, i) => {
    const [one, other] = i % 2 === 0 ? (["SIGTERM", "SIGINT"] as const) : (["SIGINT", "SIGTERM"] as const)
    return [[one, env] as const, [other, { ...env, PREFORK: "2" }] as const]
  })

  it.live.each(all)("lets it answer what it has: %s, %j", ([signal, env]) =>
    Effect.gen(function* () {
      const { env: marked, pids } = mark()
      const { port, server } = yield* odd({ ...env, ...marked })
      const client = yield* waiting(port)
      // All that was sent at once has been received when the first of it begins.
      yield* server.prints(/handling slow/)
      // One for a single request may have ended since it was listed.
      for (const pid of pids()) yield* Effect.ignore(Effect.try(() => process.kill(pid, signal)))
      assert.strictEqual(yield* printed(Effect.succeed(client)), "slow\n".repeat(4))
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* eventually(() => pids().length === 0)
    })
  )

  it.live.each([{ PREFORK: "2" }, { POLICY: "pool:2" }])("does not end it with SIGHUP: %j", (env) =>
    Effect.gen(function* () {
      const { env: marked, pids } = mark()
      const { port, server } = yield* odd({ ...env, ...marked })
      const client = yield* waiting(port)
      yield* server.prints(/handling slow/)
      for (const pid of pids()) if (pid !== server.pid) process.kill(pid, "SIGHUP")
      assert.strictEqual(yield* printed(Effect.succeed(client)), "slow\n".repeat(4))
      // One that is not there yet may be ended by it, and is started again.
      assert.notMatch(server.stderr, /before it had answered|exited/)
    })
  )
})

describe.skipIf(missing("python3"))("a copy that hangs", () => {
  const policies: ReadonlyArray<Environment> = [{}, { POLICY: "pool:1" }, { POLICY: "thread:1" }]

  it.live.each(policies)("since it was stopped is replaced, and costs what is inside it: %j", (env) =>
    Effect.gen(function* () {
      const { env: marked, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, ...marked, PREFORK: "2", HANG_TIMEOUT: "2s" })
      const isCopy = (pid: number) =>
        pid !== server.pid && parentOf(pid) === server.pid && commandOf(pid).includes("whoami")
      const before = pids().filter(isCopy)
      assert.lengthOf(before, 2)
      const [stopped] = before as [number, number]
      process.kill(stopped, "SIGSTOP")
      // Those that the kernel gives to the copy that is stopped wait for the next one.
      assert.strictEqual(yield* answered(port, 20, 10), 20)
      yield* server.complains(
        new RegExp(`copy ${stopped} has given no sign of life for 1000 ms; another is started in its place`)
      )
      yield* server.complains(
        new RegExp(`copy ${stopped} was ended by SIGKILL \\(its event loop has not turned for 2000 ms\\)`)
      )
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* eventually(() => pids().length === 0)
    })
  )

  it.live("at a stop is ended by the drain timeout that holds then, whatever it was at the start", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ PREFORK: "2", DRAIN_TIMEOUT: "1h" })
      const client = yield* python(port, `s = connect(); s.sendall(b"drain soon\\nloop later\\n"); line(s); rest(s)`)
      yield* server.prints(/handling loop later/)
      yield* server.signal("SIGTERM")
      yield* server.complains(/was ended by SIGKILL \(its event loop did not turn when its drain timeout was over\)/)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* client.end
    })
  )

  it.live("is left alone with HANG_TIMEOUT=off", () =>
    Effect.gen(function* () {
      const { port, server } = yield* odd({ PREFORK: "2", HANG_TIMEOUT: "off" })
      assert.strictEqual(yield* answered(port, 4, 10), 4)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live.each([
    { env: { HANG_TIMEOUT: "soon" }, says: /^HANG_TIMEOUT: it must be a positive time[^\n]*\n$/ },
    { env: { START_TIMEOUT: "0s" }, says: /^START_TIMEOUT: it must be a positive time[^\n]*\n$/ }
  ])("is not looked for with a time that is none: $env", ({ env, says }) =>
    Effect.gen(function* () {
      const server = yield* example("whoami", { PREFORK: "2", ...env })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, says)
    })
  )

  it.live("at its start ends the start in time, with one line", () =>
    Effect.gen(function* () {
      const GATE = yield* directory
      const NODE_OPTIONS = `--import=${join(import.meta.dirname, "support/gated.ts")}`
      const server = yield* example("whoami", { PREFORK: "2", START_TIMEOUT: "1s", GATE, NODE_OPTIONS })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, /^copy \d+ was not ready within 1000 ms\n$/)
      assert.strictEqual(server.stdout, "")
    })
  )
})

describe.skipIf(missing("python3"))("a system that starts no process for a while", () => {
  const whatever = (path: string, env: Environment) => ({
    ...env,
    NO_MEMORY: path,
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "support/noMemory.ts")}`
  })

  /** How many of so many newcomers are answered, each from a port of its own. */
  const newcomers = (kind: string, port: string) =>
    printed(
      python(
        port,
        `
for n in range(32):
    with socket.socket(socket.AF_INET, socket.${kind}) as s:
        s.settimeout(20)
        s.connect(("127.0.0.1", int(sys.argv[1])))
        s.sendall(b"x\\n")
        try: print(s.recv(100).decode().split(":")[0])
        except TimeoutError: print("nobody")
`
      )
    )

  it.live.each([
    { scheme: "tcp", kind: "SOCK_STREAM" },
    { scheme: "udp", kind: "SOCK_DGRAM" }
  ])("has the others take what comes to the place of a copy that was killed: $scheme", ({ kind, scheme }) =>
    Effect.gen(function* () {
      const path = join(yield* directory, "none")
      const { env, pids } = mark()
      const LISTEN = `${scheme}://127.0.0.1:0`
      const server = yield* example("whoami", whatever(path, { ...env, PREFORK: "3", LISTEN }))
      const [, port = ""] = yield* server.prints(/listening on \S+:(\d+)\n/)
      const copies = () => pids().filter((pid) => parentOf(pid) === server.pid && commandOf(pid).includes("whoami"))
      fs.writeFileSync(path, "")
      // First one, and then the one that has had its place meanwhile.
      for (let left = 3; left > 1; left--) {
        process.kill(copies()[0]!, "SIGKILL")
        yield* eventually(() => copies().length === left - 1)
        const answers = yield* newcomers(kind, port)
        assert.strictEqual(new Set(answers.trimEnd().split("\n")).size, left - 1, answers)
        assert.notInclude(answers, "nobody")
      }
      yield* server.complains(/cannot be started: spawn ENOMEM\); another is started in 200 ms/)
      fs.rmSync(path)
      yield* eventually(() => copies().length === 3)
      let seen = new Set<string>()
      while (seen.size < 3) seen = new Set((yield* newcomers(kind, port)).trimEnd().split("\n"))
      assert.isFalse(seen.has("nobody"))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live.each([{ PREFORK: "2" }, { POLICY: "pool:2" }])("goes on where its guard is killed meanwhile: %j", (more) =>
    Effect.gen(function* () {
      const path = join(yield* directory, "none")
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", whatever(path, { ...env, ...more }))
      const guards = () => pids().filter((pid) => commandOf(pid).startsWith("/bin/sh"))
      yield* eventually(() => guards().length === 1)
      const [first] = guards() as [number]
      fs.writeFileSync(path, "")
      process.kill(first, "SIGKILL")
      yield* eventually(() => guards().length === 0)
      assert.strictEqual(yield* answered(port, 4, 10), 4)
      fs.rmSync(path)
      yield* eventually(() => guards().length === 1)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* eventually(() => pids().length === 0)
    })
  )
})

describe.skipIf(missing("python3"))("a port that somebody else has", () => {
  it.live.each([
    { scheme: "tcp", kind: "SOCK_STREAM", listens: true, reuse: false },
    { scheme: "tcp", kind: "SOCK_STREAM", listens: true, reuse: true },
    { scheme: "udp", kind: "SOCK_DGRAM", listens: false, reuse: false },
    { scheme: "udp", kind: "SOCK_DGRAM", listens: false, reuse: true }
  ])("is in use: $scheme, shared: $reuse", ({ kind, listens, reuse, scheme }) =>
    Effect.gen(function* () {
      const other = yield* script(`
import socket, sys
s = socket.socket(socket.AF_INET, socket.${kind})
${reuse ? "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)" : ""}
s.bind(("127.0.0.1", 0))
${listens ? "s.listen()" : ""}
print(s.getsockname()[1])
sys.stdin.read()
`)
      const [, port = ""] = yield* other.prints(/^(\d+)\n/)
      const server = yield* example("whoami", { PREFORK: "2", LISTEN: `${scheme}://127.0.0.1:${port}` })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(
        server.stderr,
        `Cannot bind ${scheme}://127.0.0.1:${port}: address in use; stop what listens there, or choose another (port 0 takes any free one)\n`
      )
      assert.strictEqual(server.stdout, "")
    })
  )

  it.live.each(["tcp", "udp"])("is in use by another deployment: %s", (scheme) =>
    Effect.gen(function* () {
      const first = yield* example("whoami", { PREFORK: "2", LISTEN: `${scheme}://127.0.0.1:0` })
      const [, LISTEN = ""] = yield* first.prints(/listening on (\S+)\n/)
      const second = yield* example("whoami", { PREFORK: "2", LISTEN })
      assert.deepStrictEqual(yield* second.end, { code: 1, signal: null })
      assert.match(second.stderr, /^Cannot bind \S+: address in use[^\n]*\n$/)
    })
  )
})

describe.skipIf(missing("python3"))("a restart", () => {
  /** Asks with datagrams for as long as it is told to, and says of each answer who gave it; whoever is not answered in time counts. */
  const load = (socket: string, address: string) => `
import os, socket, sys, threading, time
stop = threading.Event()
lock = threading.Lock()
asked = unanswered = 0
seen = set()
def one(n):
    global asked, unanswered
    i = 0
    while not stop.is_set():
        i += 1
        ${socket}
        s.settimeout(20)
        with lock: asked += 1
        try:
            s.sendto(b"q", ${address})
            who = s.recv(100).split(b":")[0].decode()
            with lock:
                if who not in seen: seen.add(who); print("by", who)
        except OSError:
            with lock: unanswered += 1
        s.close()
        time.sleep(0.005)
threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
for t in threads: t.start()
sys.stdin.readline()
stop.set()
for t in threads: t.join()
print(f"asked {asked}, unanswered {unanswered}")
`

  const restarts = (server: Program, client: Program, copies: number, times: number) =>
    Effect.gen(function* () {
      const seen = () => client.stdout.match(/^by \d+$/gm)?.length ?? 0
      for (let i = 1; i <= times; i++) {
        yield* eventually(() => seen() >= copies * i)
        yield* server.signal("SIGHUP")
      }
      yield* eventually(() => seen() >= copies * (times + 1))
      yield* client.write("stop\n")
      const [, unanswered] = yield* client.prints(/asked \d+, unanswered (\d+)\n/)
      return Number(unanswered)
    })

  it.live.each(["0 seconds", "100 millis"])("loses nothing over UDP, three times (handlers take %s)", (DELAY) =>
    Effect.gen(function* () {
      const server = yield* example("whoami", { PREFORK: "2", LISTEN: "udp://127.0.0.1:0", DELAY })
      const [, port = ""] = yield* server.prints(/^listening on udp:\/\/127\.0\.0\.1:(\d+)\n/)
      const client = yield* script(
        load("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", `("127.0.0.1", ${port})`)
      )
      assert.strictEqual(yield* restarts(server, client, 2, 3), 0)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.all, /, 0 interrupted, 0 refused, /)
    })
  )

  const whoami = [process.execPath, startOf("examples/whoami/main.ts")]

  const inherited = (kind: "UNIX" | "INET", address: string) => `
import os, socket, sys
for fd in range(3, 20):
    try: os.close(fd)
    except OSError: pass
s = socket.socket(socket.AF_${kind}, socket.SOCK_DGRAM)
s.bind(${address})
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.execve(sys.argv[1], [sys.argv[1], sys.argv[2]],
  {**os.environ, "PREFORK": "2", "LISTEN": "fd://3", "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
`

  it.live("loses nothing over a Unix datagram socket that was handed down", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* script(inherited("UNIX", JSON.stringify(path)), whoami)
      yield* server.prints(/^listening on unixgram:/)
      const client = yield* script(
        load(
          `s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(f"\\0copies-{os.getpid()}-{n}-{i}")`,
          JSON.stringify(path)
        )
      )
      assert.strictEqual(yield* restarts(server, client, 1, 3), 0)
    })
  )

  it.live("loses nothing over a UDP socket that was handed down", () =>
    Effect.gen(function* () {
      const server = yield* script(inherited("INET", `("127.0.0.1", 0)`), whoami)
      const [, port = ""] = yield* server.prints(/^listening on udp:\/\/127\.0\.0\.1:(\d+)\n/)
      const client = yield* script(
        load("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", `("127.0.0.1", ${port})`)
      )
      assert.strictEqual(yield* restarts(server, client, 1, 3), 0)
    })
  )

  it.live("cuts off nobody over HTTP who keeps a connection and asks on", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("http", { ...env, PREFORK: "2" })
      const copies = () => pids().filter((pid) => parentOf(pid) === server.pid && commandOf(pid).includes("http"))
      const before = copies()
      const client = yield* python(
        port,
        `
import http.client
stop = threading.Event()
def one():
    c = None
    while not stop.is_set():
        try:
            if c is None: c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
            c.request("GET", "/hello")
            r = c.getresponse()
            r.read()
            if r.getheader("connection") == "close":
                c.close()
                c = None
        except Exception as e:
            print("cut off", type(e).__name__, flush=True)
            c = None
threads = [threading.Thread(target=one) for _ in range(4)]
for t in threads: t.start()
print("asks", flush=True)
sys.stdin.readline()
stop.set()
for t in threads: t.join()
print("done")
`
      )
      yield* client.prints(/asks/)
      yield* server.signal("SIGHUP")
      yield* eventually(() => !pids().some((pid) => before.includes(pid)))
      yield* client.write("stop\n")
      yield* client.prints(/done/)
      assert.notInclude(client.stdout, "cut off")
    })
  )

  it.live("into a program that hangs is given up for the next one", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const GATE = yield* directory
      const NODE_OPTIONS = `--import=${join(import.meta.dirname, "support/gated.ts")}`
      const server = yield* example("whoami", { ...env, PREFORK: "1", GATE, NODE_OPTIONS })
      const known = new Set<number>()
      const next = Effect.gen(function* () {
        const others = () => pids().filter((pid) => pid !== server.pid && !known.has(pid) && isCopy(pid))
        const isCopy = (pid: number) => commandOf(pid).includes("whoami")
        yield* eventually(() => others().length === 1)
        const [pid] = others() as [number]
        known.add(pid)
        return pid
      })
      const pass = (pid: number) => fs.writeFileSync(join(GATE, String(pid)), "")
      const old = yield* next
      pass(old)
      yield* server.prints(/listening on/)
      yield* server.signal("SIGHUP")
      const hanging = yield* next
      yield* server.signal("SIGHUP")
      const good = yield* next
      pass(good)
      yield* eventually(() => !pids().includes(hanging) && !pids().includes(old))
      assert.isTrue(pids().includes(good))
      assert.strictEqual(server.stderr, "")
    })
  )
})

describe.skipIf(missing("python3"))("a server beside that is none of ours", () => {
  const ask = (port: string) => printed(python(port, `s = connect()\nprint(rest(s).decode(), end="")`))

  it.live.each([{ POLICY: "pool:1" }, { POLICY: "thread:1" }, { PREFORK: "2" }, { PREFORK: "1", POLICY: "pool:1" }])(
    "is there once, in the program itself, by NodeServer.onlyParent: %j",
    (env) =>
      Effect.gen(function* () {
        const BESIDE = yield* Effect.promise(ownPort)
        const { port, server } = yield* listening(beside({ ...env, BESIDE, ONCE: "yes" }))
        assert.strictEqual(yield* answered(port, 4, 10), 4)
        assert.strictEqual(yield* ask(BESIDE), `${server.pid}\n`)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        assert.strictEqual(server.stdout.match(/the other one ends/g)?.length, 1)
        assert.strictEqual(server.stderr, "")
      })
  )

  it.live.each([{ POLICY: "pool:1" }, { POLICY: "thread:1" }, { POLICY: "process" }, { PREFORK: "2" }])(
    "ends the program at once without it, in a line that names its port and that way: %j",
    (env) =>
      Effect.gen(function* () {
        const BESIDE = yield* Effect.promise(ownPort)
        const server = yield* beside({ ...env, BESIDE })
        assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
        assert.match(
          server.stderr,
          new RegExp(`^[^\\n]*EADDRINUSE[^\\n]*:${BESIDE}[^\\n]*NodeServer.onlyParent[^\\n]*\\n$`)
        )
        assert.notInclude(server.stdout, "listening")
      })
  )

  it.live("ends the program with one line where it cannot be had itself", () =>
    Effect.gen(function* () {
      const other = yield* script(`
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])
sys.stdin.read()
`)
      const [, BESIDE = ""] = yield* other.prints(/^(\d+)\n/)
      const server = yield* beside({ PREFORK: "2", BESIDE, ONCE: "yes" })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, new RegExp(`^CannotServe: listen EADDRINUSE[^\\n]*:${BESIDE}\\n$`))
      assert.strictEqual(server.stdout, "")
    })
  )
})

describe("a policy that cannot run", () => {
  it.live.each([{ POLICY: "pool:1,memory=1" }, { PREFORK: "2", POLICY: "pool:1,memory=1" }])(
    "ends the program before anything is announced: %j",
    (env) =>
      Effect.gen(function* () {
        const server = yield* example("whoami", env)
        assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
        assert.strictEqual(server.stdout, "")
        assert.match(server.stderr, /POLICY: Cannot run handlers of Whoami under the policy "pool:1,memory=1": /)
      })
  )
})

/** A command in which there is no shell to be had for anybody. It takes a mount of its own, so the right to make one. */
const shellless = ["-m", "bash", "-c", 'mount --bind /dev/null "$(readlink -f /bin/sh)" && exec "$@"', "bash"]
const noMounts = spawnSync("unshare", [...shellless, "true"]).status !== 0
if (noMounts) console.log("skipped: a system without a shell takes unshare, and the right to mount")

describe.skipIf(noMounts || missing("python3"))("where there is no shell", () => {
  it.live.each([{ POLICY: "pool:1" }, { PREFORK: "1" }])("nobody is left behind, and nobody is at work: %j", (env) =>
    Effect.gen(function* () {
      const { env: marked, pids } = mark()
      const program = start("unshare", [...shellless, process.execPath, startOf("packages/node/test/support/odd.ts")], {
        ...env,
        ...marked,
        LISTEN: "tcp://127.0.0.1:0"
      })
      const { port, server } = yield* listening(program)
      yield* python(port, `s = connect(); s.sendall(b"loop\\n"); sys.stdin.read()`)
      yield* server.prints(/handling loop/)
      yield* eventually(() => pids().some((pid) => commandOf(pid).includes("process.stdin")))
      yield* server.signal("SIGKILL")
      yield* eventually(() => pids().length === 0)
    })
  )
})

const parentOf = (pid: number): number => {
  try {
    return Number(/\) . (\d+)/.exec(fs.readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1])
  } catch {
    return -1
  }
}
