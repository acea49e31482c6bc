import { assert, describe, it } from "@effect/vitest"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { example, missing, node, printed, type Program, pythonUnixgram, start } from "./support/programs.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "unixgram-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const served = (path: string, options?: NodeServer.NodeServerOptions) =>
  Layer.provideMerge(
    Lines.serve(({ body }) => Effect.succeed(Response.make(body))),
    NodeServer.layer(Lines, `unixgram://${path}`, options)
  )

/** The counts, once so many requests have ended. */
const settled = (requests: number): Effect.Effect<Outcome.Counts, never, Lines> =>
  Effect.gen(function* () {
    const counts = yield* (yield* Lines).counts
    if (Object.values(counts).reduce((sum, count) => sum + count) === requests) return counts
    yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
    return yield* settled(requests)
  })

/** A socket that is bound to `name`, and how it sends: connected to the server or not. */
const sender = (name: string, connected: boolean) => `
s = unixgram(${JSON.stringify(name)})
${connected ? "s.connect(server)\ndef send(s, data): s.send(data)" : "def send(s, data): s.sendto(data, server)"}
`

/**
 * Sends `count` lines as fast as it may, and reads what comes back meanwhile. It
 * is told when all of them have their outcome: what has come by then is what
 * comes, and it says how many that were.
 */
const burst = (count: number) => `
got = set()
settled = threading.Event()
def read():
    s.settimeout(0.1)
    while len(got) < ${count}:
        last = settled.is_set()
        try: got.add(s.recv(100))
        except TimeoutError:
            if last: return
reader = threading.Thread(target=read)
reader.start()
w = s.dup()
w.settimeout(60)
for i in range(${count}): send(w, b"%d" % i)
print("sent")
sys.stdin.readline()
settled.set()
reader.join()
print("got", len(got))
`

/** Sends until it is told to stop, reads nothing before; then it is told when all is settled, and counts what came back. */
const deaf = `
print("started")
sent = 0
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set())).start()
while not stop.is_set():
    send(s, b"%d" % sent)
    sent += 1
print("sent", sent)
sys.stdin.readline()
s.setblocking(False)
got = 0
while True:
    try: s.recv(100)
    except BlockingIOError: break
    got += 1
print("got", got)
`

/** What each has read of what it sent, once everything is settled. */
const read = (senders: ReadonlyArray<Program>) =>
  Effect.forEach(senders, (sender) =>
    Effect.andThen(
      sender.write("\n"),
      Effect.map(sender.prints(/got (\d+)\n/), ([, got]) => Number(got))
    )
  ).pipe(Effect.map((all) => all.reduce((sum, count) => sum + count, 0)))

describe.skipIf(missing("python3") || process.platform !== "linux")("a Unix datagram server in a burst", () => {
  it.live(
    "answers 40,000 datagrams from senders that read, and counts each that it could not deliver",
    () =>
      Effect.gen(function* () {
        const path = join(yield* directory, "s")
        yield* Effect.gen(function* () {
          const senders = yield* Effect.forEach([0, 1, 2, 3], (i) =>
            pythonUnixgram(path, sender(`${path}.${i}`, i % 2 === 0) + burst(10_000))
          )
          for (const sender of senders) yield* sender.prints(/^sent\n/)
          const counts = yield* settled(40_000)
          // Nothing is lost, unless the machine is so busy that a sender comes to read too rarely.
          assert.strictEqual(counts.Completed + counts.Undelivered, 40_000)
          assert.strictEqual(yield* read(senders), counts.Completed)
          assert.isAbove(counts.Completed, 20_000)
        }).pipe(Effect.provide(served(path)))
      }),
    120_000
  )

  for (const connected of [false, true]) {
    for (const maxConnections of [4_096, 16]) {
      const who = `a sender that does not read${connected ? ", to which the kernel sets no limit," : ""}`
      it.live(`is not held up by ${who} with room for ${maxConnections} requests, and counts what it lost`, () =>
        Effect.gen(function* () {
          const path = join(yield* directory, "s")
          yield* Effect.gen(function* () {
            const mute = yield* pythonUnixgram(path, sender(`${path}.deaf`, connected) + deaf)
            yield* mute.prints(/^started\n/)
            const senders = yield* Effect.forEach([0, 1], (i) =>
              pythonUnixgram(path, sender(`${path}.${i}`, i === 0) + burst(2_500))
            )
            for (const sender of senders) yield* sender.prints(/^sent\n/)
            yield* mute.write("stop\n")
            const [, sent] = yield* mute.prints(/sent (\d+)\n/)
            const counts = yield* settled(5_000 + Number(sent))
            const got = yield* read(senders)
            assert.isAbove(got, 2_500)
            assert.strictEqual(counts.Completed, got + (yield* read([mute])))
            assert.strictEqual(counts.Undelivered, 5_000 + Number(sent) - counts.Completed)
          }).pipe(Effect.provide(served(path, { maxConnections })))
        })
      )
    }
  }
})

describe.skipIf(missing("python3") || process.platform !== "linux")("a Unix datagram server as a program", () => {
  const asks = (path: string) =>
    printed(
      pythonUnixgram(path, `s = unixgram(server + ".client"); s.sendto(b"hello", server); print(s.recv(9).decode())`)
    )

  it.live("starts again on the path of one that was killed, and refuses a second that is alive", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const env = { LISTEN: `unixgram://${path}` }
      const killed = yield* example("echo", env)
      yield* killed.prints(/^listening/)
      yield* killed.signal("SIGKILL")
      yield* killed.end
      assert.isTrue(fs.lstatSync(path).isSocket())
      const server = yield* example("echo", env)
      yield* server.prints(/^listening/)
      const second = yield* example("echo", env)
      assert.deepStrictEqual(yield* second.end, { code: 1, signal: null })
      assert.match(second.stderr, /^Cannot bind unixgram:\/\/.*\/s: address in use; [^\n]*\n$/)
      assert.strictEqual(yield* asks(path), "hello\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.isFalse(fs.existsSync(path))
    })
  )

  it.live("stops in the middle of a burst, at once and without losing what it has read", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* example("echo", { LISTEN: `unixgram://${path}` })
      yield* server.prints(/^listening/)
      // Connected, they go on sending when the path is gone, until the socket is.
      const sending = `
s = unixgram(server + "." + str(os.getpid()))
s.connect(server)
got = sent = 0
over = threading.Event()
def read():
    global got
    while True:
        last = over.is_set()
        try: s.recv(100)
        except TimeoutError:
            if last: return
            continue
        if got == 0: print("started")
        got += 1
s.settimeout(0.1)
w = s.dup()
w.settimeout(60)
reader = threading.Thread(target=read)
reader.start()
try:
    while True: w.send(b"x"); sent += 1
except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError): pass
# Nobody is there any more: what has come is what comes.
over.set()
reader.join()
print("sent", sent, "got", got)
`
      const clients = [yield* pythonUnixgram(path, sending), yield* pythonUnixgram(path, sending)]
      for (const client of clients) yield* client.prints(/^started\n/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
      assert.isFalse(fs.existsSync(path))
      for (const client of clients) {
        const [, sent, got] = yield* client.prints(/sent (\d+) got (\d+)\n/)
        // The kernel tells nobody of what the queue still held when the socket closed.
        assert.isAtMost(Number(sent) - Number(got), 600)
      }
    })
  )

  it.live.skipIf(missing("logger"))("takes what logger sends, which has no address", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* node("packages/node/test/support/printing.ts", { LISTEN: `unixgram://${path}` })
      yield* server.prints(/^listening/)
      const options = ["-d", "-u", path, "-t", "test", "-p", "user.notice"]
      yield* printed(start("logger", [...options, "Hello, world"]))
      yield* server.prints(/<13>.* test: Hello, world\n/)
      yield* printed(start("logger", [...options, "--rfc5424", "Hello again"]))
      yield* server.prints(/<13>1 .* test .*Hello again\n/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("says what to do where koffi is missing, cannot be loaded, or the system has no such sockets", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const cases = {
        missing: "Node has no such sockets, and koffi, which reaches the system's, is not installed; npm install koffi",
        old: "koffi 3.0.0 cannot do it; npm install koffi",
        broken: "koffi cannot be loaded: it is broken",
        elsewhere: "on darwin there is no way to such sockets"
      }
      for (const [name, problem] of Object.entries(cases)) {
        const preload = ["--import", `${import.meta.dirname}/support/koffi.ts`]
        const env = { LISTEN: `unixgram://${path}`, KOFFI: name }
        const server = yield* start(process.execPath, [...preload, startOf("examples/echo/main.ts")], env)
        assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
        assert.include(server.stderr, `Unsupported endpoint unixgram://${path}: ${problem}`)
        assert.match(server.stderr, /^[^\n]*Accepted: tcp:\/\/[^\n]*\n$/)
        assert.notMatch(server.stderr, /Accepted:.*unixgram/)
      }
      assert.isFalse(fs.existsSync(path))
    })
  )
})
