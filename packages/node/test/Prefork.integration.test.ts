import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as dgram from "node:dgram"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { commandOf, eventually, mark } from "./support/marked.ts"
import { example, listening, missing, node, printed, python, serving, start } from "./support/programs.ts"

const noPython = missing("python3")

/** Who answers `count` connections, one after the other. */
const ask = (port: string, count: number) =>
  Effect.map(
    printed(
      python(
        port,
        `
for i in range(${count}):
    s = connect()
    s.sendall(f"{i}\\n".encode())
    print(line(s).decode().split(": ")[0])
    s.close()
`
      )
    ),
    (answers) => new Set(answers.trimEnd().split("\n"))
  )

/** Asks until both copies have answered: the kernel chooses one for each connection. */
const both = (port: string): Effect.Effect<Set<string>, never, never> =>
  Effect.scoped(ask(port, 40)).pipe(
    Effect.repeat({ until: (pids: Set<string>) => pids.size === 2, times: 20 })
  ) as Effect.Effect<Set<string>>

describe.skipIf(noPython)("PREFORK=2", () => {
  it.live("serves from two processes on a free port, says so once, and leaves none", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, PREFORK: "2" })
      const copies = yield* both(port)
      assert.strictEqual(copies.size, 2)
      assert.notInclude([...copies], String(server.pid))
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stdout, `listening on tcp://127.0.0.1:${port}\n`)
      assert.strictEqual(server.stderr, "")
      yield* eventually(() => pids().length === 0)
    })
  )

  it.live("takes any policy inside each", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* serving("whoami", { ...env, PREFORK: "2", POLICY: "pool:1" })
      assert.strictEqual((yield* both(port)).size, 2)
      yield* server.signal("SIGINT")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      yield* eventually(() => pids().length === 0)
    })
  )

  it.live("restarts on SIGHUP, one copy after the other, without refusing or losing anything", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { PREFORK: "2", DELAY: "5 millis" })
      const before = yield* both(port)
      const load = yield* python(
        port,
        `
count = 0
stop = False
def wait():
    global stop
    sys.stdin.readline()
    stop = True
threading.Thread(target=wait, daemon=True).start()
def load():
    global count
    while not stop:
        s = connect()
        s.sendall(b"one\\ntwo\\n")
        s.shutdown(socket.SHUT_WR)
        answers = rest(s).decode().split("\\n")
        assert [a.split(": ")[1] for a in answers[:-1]] == ["one", "two"], answers
        s.close()
        count += 1
        if count == 20: print("under load")
threads = [threading.Thread(target=load) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print("done", count)
`
      )
      yield* load.prints(/under load/)
      for (let i = 0; i < 2; i++) {
        const old = new Set(yield* both(port))
        yield* server.signal("SIGHUP")
        let now = old
        while (now.size !== 2 || [...now].some((pid) => old.has(pid))) now = yield* both(port)
      }
      yield* load.write("stop\n")
      assert.deepStrictEqual(yield* load.end, { code: 0, signal: null })
      assert.strictEqual(load.stderr, "")
      assert.strictEqual(server.stderr, "")
      assert.deepStrictEqual(
        [...(yield* both(port))].filter((pid) => before.has(pid)),
        []
      )
    })
  )

  it.live("lets who was accepted just before a restart still ask", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { PREFORK: "1" })
      // Whoever connected before has been accepted when another is answered. It asks as soon as another copy answers.
      const early = yield* python(
        port,
        `
def whom():
    t = connect()
    t.sendall(b"you\\n")
    return line(t).decode().split(": ")[0]
s = connect()
old = whom()
print("accepted by", old)
while whom() == old: pass
s.sendall(b"hello\\n")
print("answered by", line(s).decode())
`
      )
      const [, old = ""] = yield* early.prints(/accepted by (\d+)/)
      yield* server.signal("SIGHUP")
      const [, pid = ""] = yield* early.prints(/answered by (\d+): hello/)
      assert.strictEqual(pid, old)
    })
  )

  it.live("starts a copy again that was killed, on the same port", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { PREFORK: "2" })
      const [victim] = yield* both(port)
      process.kill(Number(victim), "SIGKILL")
      let now = new Set([victim!])
      while (now.size !== 2 || now.has(victim!)) now = yield* both(port)
      assert.match(server.stderr, new RegExp(`copy ${victim} was ended by SIGKILL; another is started in 100 ms`))
    })
  )

  it.live("starts copies less and less often that end by themselves, whatever they say to their parent", () =>
    Effect.gen(function* () {
      const server = yield* node("packages/node/test/support/restless.ts", { PREFORK: "1", ENDS: "copies" })
      for (const delay of [100, 200, 400]) {
        yield* server.complains(new RegExp(`copy \\d+ exited with 9; another is started in ${delay} ms`))
      }
    })
  )

  it.live("lets a copy that was replaced finish what it has, though it is stopped meanwhile", () =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(node("packages/node/test/support/unhurried.ts", { PREFORK: "1" }))
      const client = yield* python(
        port,
        `
s = connect()
s.sendall(b"one\\n")
print(line(s).decode())
`
      )
      yield* server.prints(/working on one/)
      yield* server.signal("SIGHUP")
      yield* server.prints(/told to stop/)
      yield* server.signal("SIGTERM")
      assert.strictEqual(yield* printed(Effect.succeed(client)), "one\n\n")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("restarts once more on a SIGHUP during a restart", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { server } = yield* serving("whoami", { ...env, PREFORK: "1" })
      const before = pids()
      const others = () => pids().filter((pid) => !before.includes(pid))
      yield* server.signal("SIGHUP")
      yield* eventually(() => others().length === 1)
      const [next] = others() as [number]
      process.kill(next, "SIGSTOP")
      yield* server.signal("SIGHUP")
      process.kill(next, "SIGCONT")
      yield* eventually(() => others().length === 1 && !others().includes(next))
    })
  )

  it.live("has one copy in each place, though the old one was killed during a restart", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const GATE = mkdtempSync(join(tmpdir(), "gate-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(GATE, { recursive: true })))
      const NODE_OPTIONS = `--import=${join(import.meta.dirname, "support/gated.ts")}`
      const server = yield* example("whoami", { ...env, PREFORK: "1", GATE, NODE_OPTIONS })
      const known = new Set<number>()
      /** The next copy that is started. It is not ready before it is let through. */
      const next = Effect.gen(function* () {
        const isCopy = (pid: number) => commandOf(pid).includes("whoami")
        const others = () => pids().filter((pid) => pid !== server.pid && !known.has(pid) && isCopy(pid))
        yield* eventually(() => others().length === 1)
        const [pid] = others() as [number]
        known.add(pid)
        return { pid, letThrough: Effect.sync(() => writeFileSync(join(GATE, String(pid)), "")) }
      })
      const old = yield* next
      yield* old.letThrough
      const [, port = ""] = yield* server.prints(/^listening on tcp:\S+:(\d+)\n/)
      assert.deepStrictEqual(yield* ask(port, 1), new Set([String(old.pid)]))
      yield* server.signal("SIGHUP")
      const restarted = yield* next
      process.kill(old.pid, "SIGKILL")
      yield* server.complains(new RegExp(`copy ${old.pid} was ended by SIGKILL; another is being started`))
      yield* restarted.letThrough
      assert.deepStrictEqual(yield* ask(port, 5), new Set([String(restarted.pid)]))
    })
  )

  it.live("leaves nobody behind when its supervisor is killed, though the copies are busy", () =>
    Effect.gen(function* () {
      const { env, pids } = mark()
      const { port, server } = yield* listening(node("packages/node/test/support/odd.ts", { ...env, PREFORK: "2" }))
      yield* python(port, `all = [connect() for _ in range(16)]\nfor s in all: s.sendall(b"loop\\n")\nsys.stdin.read()`)
      yield* server.prints(/handling loop\n/)
      yield* server.signal("SIGKILL")
      yield* eventually(() => pids().length === 0)
    })
  )

  it.live("shares a Unix socket, and removes its path", () =>
    Effect.gen(function* () {
      const directory = mkdtempSync(join(tmpdir(), "prefork-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const path = join(directory, "s")
      const server = yield* example("whoami", { PREFORK: "2", LISTEN: `unix://${path}` })
      yield* server.prints(/listening on unix:/)
      const answers = yield* printed(
        python(
          "0",
          `
for i in range(20):
    s = socket.socket(socket.AF_UNIX)
    s.connect(${JSON.stringify(path)})
    s.sendall(b"hello\\n")
    print(line(s).decode(), end="")
`
        )
      )
      assert.strictEqual(answers.match(/^\d+: hello$/gm)?.length, 20)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.isFalse(existsSync(path))
    })
  )

  it.live.each([
    [{ PREFORK: "two" }, /^PREFORK: "two" is not a positive integer\n$/],
    [
      { PREFORK: "2", LISTEN: "unixgram:@prefork" },
      /^Cannot bind unixgram:@prefork: copies \(PREFORK\) cannot share it; take .*\n$/
    ],
    ...["udp://0.0.0.0:0?multicast=239.255.77.79", "udp://[::]:0?multicast=ff02::1:3"].map(
      (listen) =>
        [
          { PREFORK: "2", LISTEN: listen },
          new RegExp(
            `^LISTEN: Invalid option multicast of ${listen.replaceAll(/[[\].?]/g, "\\$&")}: each of 2 copies \\(PREFORK\\) would handle what is sent to a group; take POLICY=pool .*\n$`
          )
        ] as const
    ),
    ...(networkInterfaces()["lo"]?.some(({ family }) => family === "IPv6") === true
      ? ["tcp", "udp"].map(
          (scheme) =>
            [
              { PREFORK: "2", LISTEN: `${scheme}://[fe80::1]:0` },
              /^Cannot bind \w+:\/\/\[fe80::1\]:0: a link-local address needs a zone, .*: \[fe80::1%eth0\]\n$/
            ] as const
        )
      : []),
    [{ PREFORK: "2", LISTEN: "foo" }, /^LISTEN: Invalid endpoint "foo": it has no scheme.*\n$/],
    [
      { PREFORK: "2", LISTEN: "tcp://192.0.2.1:0" },
      /^Cannot bind tcp:\/\/192.0.2.1:0: this machine does not have that address\n$/
    ]
  ] as const)("ends with one line where it cannot start: %j", ([env, says]) =>
    Effect.gen(function* () {
      const server = yield* example("whoami", env)
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, says)
      assert.strictEqual(server.stdout, "")
    })
  )

  it.live("ends with one line where the system does not start a copy", () =>
    Effect.gen(function* () {
      // Of 200 sockets that are said to have been handed over none is there.
      const handed = 'LISTEN_FDS=200 LISTEN_PID=$$ exec "$0" "$1"'
      const server = yield* start("sh", ["-c", handed, process.execPath, startOf("examples/whoami/main.ts")], {
        PREFORK: "2"
      })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(
        server.stderr,
        /^copy without a process exited with no status \(it cannot be started: spawn EBADF\)\n$/
      )
    })
  )
})

/** A program that joins groups by its options, and prints what it handles. */
const grouped = (host: string, group: string, env: Record<string, string>) =>
  node("packages/node/test/support/grouped.ts", { LISTEN: `udp://${host}:0`, GROUP: group, ...env })

/** The interface of IPv6 on which groups can be joined: that of loopback has none. */
const linked = Object.entries(networkInterfaces()).find(([, all]) =>
  all?.some(({ address, internal }) => !internal && address.startsWith("fe80:"))
)?.[0]
if (linked === undefined) console.log("skipped: there is no interface of IPv6 on which a group could be joined")

const groups = [
  ["0.0.0.0", "239.255.77.79", "127.0.0.1"],
  ["[::]", "ff02::4d:4f", `::%${linked}`]
] as const

const elsewhere = process.platform !== "linux"
if (elsewhere) console.log("skipped: groups are joined by copies of a program on Linux only")

describe.skipIf(elsewhere)("a group that a program joins by its options", () => {
  it.live.each(groups)("ends the start of two copies with one line: %s, %s", ([host, group]) =>
    Effect.gen(function* () {
      const server = yield* grouped(host, group, { PREFORK: "2" })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(
        server.stderr,
        /^(?:LISTEN: )?Invalid option multicast of udp:\/\/.*: each of 2 copies \(PREFORK\) .*\n$/
      )
      assert.strictEqual(server.stdout, "")
    })
  )

  const joined = groups.filter(([, , on]) => linked !== undefined || !on.startsWith("::"))
  const once = joined.flatMap(([host, group, on]) =>
    [{}, { PREFORK: "1" }, { POLICY: "pool:2" }].map((env) => [env, host, group, on] as const)
  )
  it.live.each(once)("is heard once in one program: %j, %s, %s", ([env, host, group, on]) =>
    Effect.gen(function* () {
      const server = yield* grouped(host, group, { ...env, ON: on })
      const [, port = ""] = yield* server.prints(/^listening on udp:\/\/.*:(\d+)\n/)
      const sender = yield* Effect.acquireRelease(
        Effect.callback<dgram.Socket>((resume) => {
          const socket = dgram.createSocket(group.includes(":") ? "udp6" : "udp4")
          socket.bind(0, () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => socket.close())
      )
      sender.setMulticastInterface(on)
      sender.setMulticastLoopback(true)
      for (const text of ["one", "two"]) {
        sender.send(text, Number(port), on.startsWith("::%") ? `${group}${on.slice(2)}` : group)
        yield* server.prints(new RegExp(`handled ${text}\n`))
      }
      assert.deepStrictEqual(server.stdout.match(/^handled .*$/gm), ["handled one", "handled two"])
    })
  )
})
