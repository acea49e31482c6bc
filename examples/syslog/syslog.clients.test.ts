/** `logger` in all its modes, Python's `SysLogHandler`, and a client over TLS. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { example, printed, type Program, script, start } from "../../packages/node/test/support/programs.ts"
import { beside } from "../support/adversaries.ts"
import { missing } from "../support/clients.ts"

const without = missing("logger", "bsdutils") || missing("python3", "python3")

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "syslog-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const stop = (collector: Program) =>
  Effect.gen(function* () {
    yield* collector.signal("SIGTERM")
    assert.deepStrictEqual(yield* collector.end, { code: 0, signal: null })
    return collector.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("listening on "))
  })

/** A collector on a port of each transport and a path of each kind. */
const everywhere = Effect.gen(function* () {
  const path = yield* folder
  const [datagrams, stream] = [join(path, "log"), join(path, "stream")]
  const LISTEN = `udp://127.0.0.1:0,tcp://127.0.0.1:0,unixgram://${datagrams},unix://${stream}`
  const collector = yield* example("syslog", { LISTEN })
  const [, udp = "", tcp = ""] = yield* collector.prints(
    /^listening on udp:\/\/127\.0\.0\.1:(\d+)\nlistening on tcp:\/\/127\.0\.0\.1:(\d+)\nlistening on unixgram:\S+\nlistening on unix:\S+\n$/
  )
  return { collector, datagrams, stream, udp, tcp }
})

const host = hostname().split(".")[0] ?? ""

/** How `logger` is told to send, and whether what it sends says on which host it is. */
const modes: ReadonlyArray<readonly [how: string, args: ReadonlyArray<string>, host: boolean]> = [
  ["-d", ["-d"], true],
  ["-d --rfc3164", ["-d", "--rfc3164"], true],
  ["-d --rfc5424", ["-d", "--rfc5424"], true],
  ["-d --rfc5424=notime,notq,nohost", ["-d", "--rfc5424=notime,notq,nohost"], false],
  ["-d, with structured data", ["-d", "--rfc5424", "--sd-id", "a@1", "--sd-param", 'b="c"', "--msgid", "ID"], true],
  ["-T", ["-T"], true],
  ["-T --rfc3164", ["-T", "--rfc3164"], true],
  ["-T --octet-count", ["-T", "--octet-count"], true],
  ["-T --octet-count --rfc3164", ["-T", "--octet-count", "--rfc3164"], true],
  ["-T --octet-count --rfc5424=nohost", ["-T", "--octet-count", "--rfc5424=nohost"], false],
  ["-u to datagrams", ["-u", "datagrams"], false],
  ["-u to a stream", ["-u", "stream"], false],
  ["-u, --rfc5424", ["-u", "datagrams", "--rfc5424"], true],
  ["-u to a stream, --octet-count", ["-u", "stream", "--octet-count"], false]
]

describe.skipIf(without)("examples/syslog collects", () => {
  it.live("what logger sends, in all its modes", () =>
    Effect.gen(function* () {
      const { collector, datagrams, stream, tcp, udp } = yield* everywhere
      const expected: Array<string> = []
      for (const [how, args, named] of modes) {
        const place = args.includes("-u") ? [] : ["-n", "127.0.0.1", "-P", args.includes("-T") ? tcp : udp]
        const where = args.map((arg) => (arg === "datagrams" ? datagrams : arg === "stream" ? stream : arg))
        yield* printed(start("logger", [...place, ...where, "-t", "ada", "-p", "local3.err", "-i", `by ${how}`]))
        expected.push(`local3.err ${named ? host : "-"} ada: by ${how}`)
        yield* collector.prints(new RegExp(`ada: by ${how.replaceAll(/[[\]()+.*?^$|\\]/g, "\\$&")}\n$`))
      }
      assert.deepStrictEqual(yield* stop(collector), expected)
      assert.strictEqual(collector.stderr, "")
    })
  )

  it.live("what logger reads from its input, over one connection, and in several lines over octet counting", () =>
    Effect.gen(function* () {
      const { collector, tcp } = yield* everywhere
      const remote = ["-n", "127.0.0.1", "-P", tcp, "-T", "-t", "ada", "--rfc5424=nohost"]
      const logger = yield* start("logger", remote)
      yield* logger.write("one\ntwo\nthree\n")
      yield* logger.closeInput
      yield* logger.end
      // The next connection may be read before this one: nothing orders the two.
      yield* collector.prints(/three\n$/)
      yield* printed(start("logger", [...remote, "--octet-count", "four\nfive"]))
      yield* collector.prints(/four#012five\n$/)
      assert.deepStrictEqual(
        yield* stop(collector),
        ["one", "two", "three", "four#012five"].map((text) => `user.notice - ada: ${text}`)
      )
    })
  )

  it.live("tracebacks of Python's SysLogHandler, over UDP, a Unix socket and TCP", () =>
    Effect.gen(function* () {
      const { collector, datagrams, tcp, udp } = yield* everywhere
      yield* printed(script(python, [udp, tcp, datagrams]))
      yield* collector.prints(/(\nuser\.info - app: \w+ last[^]*){3}\n$/)
      const lines = yield* stop(collector)
      // What is in between depends on the version of Python.
      const plain = lines.map((line) => line.replace(/(call last\):#012).*(#012ZeroDivisionError)/, "$1…$2"))
      const failed = "failed#012Traceback (most recent call last):#012…#012ZeroDivisionError: division by zero"
      // Over TCP its messages end with NUL, which the first one shows.
      for (const name of ["udp", "unix", "tcp"]) {
        assert.deepStrictEqual(
          plain.filter((line) => line.includes(`app: ${name}`)),
          [`user.warning - app: ${name} café`, `user.err - app: ${name} ${failed}`, `user.info - app: ${name} last`]
        )
      }
      assert.lengthOf(lines, 9)
      assert.strictEqual(collector.stderr, "")
    })
  )

  it.live("the first message of a SysLogHandler over TCP in lines, where that is the traceback", () =>
    Effect.gen(function* () {
      const { collector, tcp } = yield* everywhere
      yield* printed(script(tracebackFirst, [tcp]))
      yield* collector.prints(/last\n$/)
      assert.deepStrictEqual(yield* stop(collector), [
        "user.err - app: one",
        "user.notice - -:   two",
        "user.err - app: three#012  four",
        "user.err - app: last"
      ])
    })
  )

  it.live("what comes over TLS, and appends to a file that is moved away, under every policy", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const [key, cert, log] = [join(path, "key.pem"), join(path, "cert.pem"), join(path, "log")]
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
      const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
      const options = ["req", "-x509", ...curve, "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...name]
      execFileSync("openssl", options, { stdio: "ignore" })
      for (const POLICY of ["fiber", "sequential", "connection", "keyed", "thread:1", "pool:2", "process:4"]) {
        rmSync(log, { force: true })
        const LISTEN = `tls://127.0.0.1:0?cert=${cert}&key=${key}`
        const collector = yield* example("syslog", { LISTEN, POLICY, FILE: log })
        const [, port = ""] = yield* collector.prints(/^listening on tls:\/\/127\.0\.0\.1:(\d+)/)
        // A process for each is dear.
        const half = POLICY === "process:4" ? 2 : 25
        const lines = Array.from({ length: 2 * half }, (_, i) => `${POLICY} ${i} ${"x".repeat(5_000)}`)
        yield* printed(script(overTls, [port, cert, ...lines.slice(0, half)]))
        yield* written(log, half)
        renameSync(log, `${log}.1`)
        yield* collector.signal("SIGHUP")
        // A worker has seen it when its parent has; the parent says so.
        yield* collector.complains(/SIGHUP: opened \S+ again/)
        yield* printed(script(overTls, [port, cert, ...lines.slice(half)]))
        yield* written(log, half)
        assert.deepStrictEqual(yield* stop(collector), [])
        const all = [...linesOf(`${log}.1`), ...linesOf(log)].sort()
        assert.deepStrictEqual(all, lines.map((line) => `user.notice - tls: ${line}`).sort())
      }
    })
  )

  it.live("whole lines of several copies, which a SIGHUP replaces", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const log = join(path, "log")
      const collector = yield* example("syslog", { LISTEN: "tcp://127.0.0.1:0", PREFORK: "2", FILE: log })
      const [, port = ""] = yield* collector.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)/)
      const lines = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(6_000)}`)
      yield* printed(script(manyConnections, [port, "0", "100", "6000"]))
      yield* written(log, 100)
      renameSync(log, `${log}.1`)
      yield* collector.signal("SIGHUP")
      // A copy that has taken the place of another has opened the file.
      yield* polled(() => present(log) !== undefined)
      yield* printed(script(manyConnections, [port, "100", "200", "6000"]))
      yield* stop(collector)
      const all = [...linesOf(`${log}.1`), ...linesOf(log)].sort()
      assert.deepStrictEqual(all, lines.map((line) => `user.notice - app: ${line}`).sort())
    })
  )

  it.live("what others send beside those who say nothing, too much, or half of something", () =>
    Effect.gen(function* () {
      const log = join(yield* folder, "log")
      const server = yield* example("syslog", { LISTEN: "tcp://127.0.0.1:0", FILE: log })
      const [, port = ""] = yield* server.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)/)
      let count = 0
      const served = () =>
        Effect.gen(function* () {
          const text = `good ${count++}`
          yield* printed(start("logger", ["-n", "127.0.0.1", "-P", port, "-T", "-t", "app", text]))
          // What the others have sent may be written after it.
          yield* polled(() => present(log)?.some((line) => line.endsWith(`app: ${text}`)) ?? false)
        })
      yield* beside({
        server,
        port,
        half: "<13>1 2003-10-11T22:14:15.003Z host app",
        request: "",
        large: `<13>${"x".repeat(200_000)}`,
        served: () => Effect.scoped(served())
      })
    })
  )

  it.live("everything that it has received before a stop", () =>
    Effect.gen(function* () {
      const log = join(yield* folder, "log")
      const collector = yield* example("syslog", { LISTEN: "tcp://127.0.0.1:0", FILE: log })
      const [, port = ""] = yield* collector.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)/)
      const sender = yield* script(keepsSending, [port])
      yield* written(log, 1)
      yield* stop(collector)
      yield* sender.prints(/sent \d+\n/)
      // A part of those that were sent, from the first on: none is missing in between.
      const lines = linesOf(log)
      assert.deepStrictEqual(
        lines,
        lines.map((_, i) => `user.notice - app: ${i}`)
      )
    })
  )
})

const linesOf = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1)

const polled = (until: () => boolean) =>
  Effect.suspend(() => (until() ? Effect.void : Effect.fail("not yet"))).pipe(
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 1_000 }),
    Effect.orDie
  )

const present = (path: string) => {
  try {
    return linesOf(path)
  } catch {
    return undefined
  }
}

/** Waits until a file has so many lines. */
const written = (path: string, count: number) => polled(() => (present(path)?.length ?? 0) >= count)

const python = `
import logging, logging.handlers, socket, sys
udp, tcp, path = sys.argv[1:]
SysLogHandler = logging.handlers.SysLogHandler
handlers = {
    "udp": SysLogHandler(("127.0.0.1", int(udp))),
    "unix": SysLogHandler(path),
    "tcp": SysLogHandler(("127.0.0.1", int(tcp)), socktype=socket.SOCK_STREAM),
}
log = logging.getLogger()
log.setLevel(logging.INFO)
for name, handler in handlers.items():
    handler.setFormatter(logging.Formatter("app: %(message)s"))
    log.handlers[:] = [handler]
    log.warning(name + " caf\\xe9")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception(name + " failed")
    log.info(name + " last")
    handler.close()
`

const tracebackFirst = `
import logging, logging.handlers, socket, sys
handler = logging.handlers.SysLogHandler(("127.0.0.1", int(sys.argv[1])), socktype=socket.SOCK_STREAM)
handler.setFormatter(logging.Formatter("app: %(message)s"))
log = logging.getLogger()
log.handlers[:] = [handler]
for text in ["one\\n  two", "three\\n  four", "last"]:
    log.error(text)
handler.close()
`

const overTls = `
import socket, ssl, sys
port, cert, *lines = sys.argv[1:]
context = ssl.create_default_context(cafile=cert)
with socket.create_connection(("127.0.0.1", int(port)), 30) as plain:
    s = context.wrap_socket(plain, server_hostname="localhost")
    for line in lines:
        message = b"<13>tls: " + line.encode()
        s.sendall(b"%d %s" % (len(message), message))
    s.unwrap()
`

const manyConnections = `
import socket, sys
port, first, end, size = map(int, sys.argv[1:])
for i in range(first, end):
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.sendall(b"<13>app: %d %s\\n" % (i, b"x" * size))
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
`

const keepsSending = `
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
sent = 0
try:
    while True:
        s.sendall(b"<13>app: %d\\n" % sent)
        sent += 1
except OSError:
    print("sent", sent)
`
