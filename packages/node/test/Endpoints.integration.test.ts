import { assert, describe, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { directory as certificateDirectory, selfSigned } from "./support/certificates.ts"
import { eventually } from "./support/marked.ts"
import { example, missing, node, printed, type Program, script, socatTo } from "./support/programs.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "endpoints-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const port = (text: string): string => /:(\d+)$/.exec(text)![1]!

const certificates = certificateDirectory()
const own = selfSigned(certificates, "localhost")

/**
 * The endpoints that the examples are run on: how each is given to the program,
 * and what socat calls it.
 */
const endpoints: ReadonlyArray<{
  readonly name: string
  readonly listen: (directory: string) => string
  readonly socat: (address: string) => string
  /** Datagrams have no end to be told: socat stops when it has been quiet. */
  readonly datagrams?: boolean
}> = [
  { name: "tcp", listen: () => "tcp://127.0.0.1:0", socat: (address) => `tcp:127.0.0.1:${port(address)}` },
  { name: "tcp over IPv6", listen: () => "tcp://[::1]:0", socat: (address) => `tcp6:[::1]:${port(address)}` },
  {
    name: "tls",
    listen: () => `tls://127.0.0.1:0?cert=${own.cert}&key=${own.key}`,
    socat: (address) => `openssl:localhost:${port(address)},pf=ip4,cafile=${own.cert}`
  },
  {
    name: "udp",
    listen: () => "udp://127.0.0.1:0",
    socat: (address) => `udp:127.0.0.1:${port(address)}`,
    datagrams: true
  },
  {
    name: "udp over IPv6",
    listen: () => "udp://[::1]:0",
    socat: (address) => `udp6:[::1]:${port(address)}`,
    datagrams: true
  },
  { name: "unix", listen: (directory) => `unix://${directory}/s`, socat: (address) => `unix:${address.slice(7)}` },
  {
    name: "an abstract unix name",
    listen: (directory) => `unix:@${directory.slice(1)}`,
    socat: (address) => `abstract-connect:${address.slice(6)}`
  },
  ...(process.platform === "linux"
    ? [
        {
          name: "unixgram",
          listen: (directory: string) => `unixgram://${directory}/s`,
          socat: (address: string) => `unix-sendto:${address.slice(11)},bind=${address.slice(11)}.client`,
          datagrams: true
        },
        {
          name: "an abstract unixgram name",
          listen: (directory: string) => `unixgram:@${directory.slice(1)}`,
          socat: (address: string) => `abstract-sendto:${address.slice(10)},bind=${address.slice(10)}.client`,
          datagrams: true
        }
      ]
    : [])
]

const noUnixDatagrams = process.platform !== "linux"
if (noUnixDatagrams) console.log("skipped: Unix datagrams are served on Linux only")

const ends = (server: Program) =>
  Effect.gen(function* () {
    yield* server.signal("SIGTERM")
    assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    assert.strictEqual(server.stderr, "")
  })

/** An example that serves all of these endpoints at once, and the address of each by its name. */
const everywhere = (name: string, greeting: string) =>
  Effect.gen(function* () {
    // Each has a directory of its own: some of them are named after it.
    const listens = yield* Effect.forEach(endpoints, ({ listen }) => Effect.map(directory, listen))
    const server = yield* example(name, { LISTEN: listens.join(",") })
    const [text] = yield* server.prints(new RegExp(`^${greeting}(listening on \\S+\n){${endpoints.length}}`))
    const addresses = text
      .trim()
      .split("\n")
      .filter((line) => line.startsWith("listening on "))
    return { server, addressOf: (i: number) => addresses[i]!.slice("listening on ".length) }
  })

/** What socat receives that sends `text`. */
const ask = ({ datagrams, socat }: (typeof endpoints)[number], address: string, text: string, expected: RegExp) =>
  Effect.gen(function* () {
    const client = yield* socatTo(socat(address))
    yield* client.write(text)
    yield* client.prints(expected)
    // Datagrams are not ended.
    if (datagrams !== true) {
      yield* client.closeInput
      assert.strictEqual((yield* client.end).code, 0)
    }
    return client.stdout
  }).pipe(Effect.scoped)

class Everywhere extends Context.Service<Everywhere, Effect.Success<ReturnType<typeof everywhere>>>()("Everywhere") {}

const steps = [
  "EchoServer: verify_request(PEER)",
  "EchoServer: process_request(PEER)",
  "EchoServer: finish_request(PEER)",
  "EchoRequestHandler: setup",
  "EchoRequestHandler: handle",
  `EchoRequestHandler: recv()->"b'Hello, world'"`,
  "EchoRequestHandler: finish",
  "EchoServer: close_request(PEER)"
]

const examples: ReadonlyArray<{
  readonly name: string
  readonly does: string
  readonly text: string
  readonly expected: RegExp
  /** What it says when it has started, and then of each request. */
  readonly greeting?: string
  readonly says?: ReadonlyArray<string>
}> = [
  { name: "echo", does: "returns what socat sends", text: "Hello, world", expected: /^Hello, world$/ },
  { name: "whoami", does: "says who took a line", text: "Hello, world\n", expected: /^fiber-\d+: Hello, world\n?$/ },
  {
    name: "traced-echo",
    does: "says the steps of a request in the ancestor's order",
    text: "Hello, world",
    expected: /^Hello, world$/,
    greeting: "EchoServer: waiting for request\n",
    says: steps
  }
]

describe.skipIf(missing("socat")).each(examples)("$name", ({ does, expected, greeting = "", name, says, text }) => {
  const context = { excludeTestServices: true, timeout: "60 seconds" } as const
  layer(
    Layer.effect(Everywhere, everywhere(name, greeting)),
    context
  )((it) => {
    it.effect.each(endpoints.map((endpoint, i) => [endpoint.name, endpoint, i] as const))(
      `${does} over %s`,
      ([, endpoint, i]) =>
        Effect.gen(function* () {
          const { addressOf, server } = yield* Everywhere
          const before = server.stdout.length
          const said = () =>
            server.stdout
              .slice(before)
              .replaceAll(/\((?:\[|unix|127)[^)]*\)/g, "(PEER)")
              .split("\n")
          assert.match(yield* ask(endpoint, addressOf(i), text, expected), expected)
          if (says === undefined) return
          yield* eventually(() => said().includes(says.at(-1)!))
          assert.deepStrictEqual(said().slice(0, says.length), says)
        })
    )

    it.effect("ends when it is told to, without a complaint", () =>
      Effect.flatMap(Everywhere, ({ server }) => ends(server))
    )
  })
})

describe.skipIf(missing("python3"))("inherited sockets", () => {
  const parent = `
import os, socket, sys
names = []
sockets = []
def give(kind, address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    s = socket.socket(family, kind)
    s.bind(address)
    if kind == socket.SOCK_STREAM: s.listen()
    os.dup2(s.fileno(), 3 + len(sockets))
    os.set_inheritable(3 + len(sockets), True)
    sockets.append(s)
def become(activated, **environment):
    env = {**os.environ, **environment}
    if activated: env.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(names))
    os.execve(sys.argv[1], [sys.argv[1], sys.argv[2]], env)
# What Python opens for itself must not be in the way of 3, 4, …
for fd in range(3, 20):
    try: os.close(fd)
    except OSError: pass
keep = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
for fd in keep[:17]: os.close(fd)
`
  const python = (code: string) => script(parent + code, [process.execPath, startOf("examples/echo/main.ts")])

  const announced = (server: Program, count: number) =>
    Effect.map(server.prints(new RegExp(`^(listening on \\S+\n){${count}}`)), ([lines]) =>
      lines
        .trim()
        .split("\n")
        .map((line) => line.slice("listening on ".length))
    )

  const asks = (kind: string, address: string) =>
    printed(
      script(`
import socket
family, address = ${address}
s = socket.socket(family, socket.${kind})
s.settimeout(10)
s.connect(address)
s.send(b"Hello, world")
print(s.recv(100).decode())
`)
    )

  const inet = (address: string, host = "127.0.0.1") =>
    `(${host.includes(":") ? "socket.AF_INET6" : "socket.AF_INET"}, ("${host}", ${port(address)}))`

  it.live.each([
    { kind: "SOCK_STREAM", scheme: "tcp", host: "127.0.0.1", written: "127.0.0.1" },
    { kind: "SOCK_STREAM", scheme: "tcp", host: "::1", written: "[::1]" },
    { kind: "SOCK_DGRAM", scheme: "udp", host: "127.0.0.1", written: "127.0.0.1" },
    { kind: "SOCK_DGRAM", scheme: "udp", host: "::1", written: "[::1]" }
  ])("fd://3 serves one of $scheme on $host", ({ host, kind, scheme, written }) =>
    Effect.gen(function* () {
      const server = yield* python(`give(socket.${kind}, ("${host}", 0)); become(False, LISTEN="fd://3")`)
      const [address = ""] = yield* announced(server, 1)
      assert.strictEqual(address, `${scheme}://${written}:${port(address)}`)
      assert.strictEqual(yield* asks(kind, inet(address, host)), "Hello, world\n")
      yield* ends(server)
    })
  )

  it.live("fd://3 with a certificate serves TLS, and refuses what is no TCP socket", () =>
    Effect.gen(function* () {
      const { cert, key } = own
      const listen = `LISTEN="fd://3?cert=${cert}&key=${key}"`
      const server = yield* python(`give(socket.SOCK_STREAM, ("127.0.0.1", 0)); become(False, ${listen})`)
      const [address = ""] = yield* announced(server, 1)
      assert.match(address, /^tls:\/\/127\.0\.0\.1:[1-9]\d*$/)
      const answer = printed(
        script(`
import socket, ssl
context = ssl.create_default_context(cafile="${cert}")
s = context.wrap_socket(socket.create_connection(("127.0.0.1", ${port(address)})), server_hostname="localhost")
s.sendall(b"Hello, world")
print(s.recv(100).decode(), s.version())
`)
      )
      assert.strictEqual(yield* answer, "Hello, world TLSv1.3\n")
      yield* ends(server)
      const refused = yield* python(`give(socket.SOCK_DGRAM, ("127.0.0.1", 0)); become(False, ${listen})`)
      assert.deepStrictEqual(yield* refused.end, { code: 1, signal: null })
      assert.strictEqual(
        refused.stderr,
        `LISTEN: Invalid option tls of fd://3?cert=${cert}&key=${key}: TLS is served on TCP sockets, and descriptor 3 is another; leave out cert and key\n`
      )
    })
  )

  it.live.each([
    { kind: "SOCK_STREAM", fd: 3, given: 1 },
    { kind: "SOCK_STREAM", fd: 5, given: 3 },
    { kind: "SOCK_DGRAM", fd: 3, given: 1 }
  ])("fd://$fd of a $kind that was not handed over is no copy's", ({ fd, given, kind }) =>
    Effect.gen(function* () {
      const sockets = `give(socket.${kind}, ("127.0.0.1", 0)); `.repeat(given)
      const server = yield* python(`${sockets}become(False, LISTEN="fd://${fd}", PREFORK="2")`)
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(
        server.stderr,
        `Cannot bind fd://${fd}: copies (PREFORK) are handed only the sockets that LISTEN_FDS counts, and descriptor ${fd} is none of them; hand it over by socket activation, or leave PREFORK out\n`
      )
    })
  )

  it.live("fd://3 serves one on a path, and leaves the path to who made it", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* python(`give(socket.SOCK_STREAM, ${JSON.stringify(path)}); become(False, LISTEN="fd://3")`)
      assert.deepStrictEqual(yield* announced(server, 1), [`unix://${path}`])
      assert.strictEqual(yield* asks("SOCK_STREAM", `(socket.AF_UNIX, ${JSON.stringify(path)})`), "Hello, world\n")
      yield* ends(server)
      assert.isTrue(fs.existsSync(path))
    })
  )

  it.live.skipIf(noUnixDatagrams)("fd://3 serves Unix datagrams, and leaves the path to who made it", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const server = yield* python(`give(socket.SOCK_DGRAM, ${JSON.stringify(path)}); become(False, LISTEN="fd://3")`)
      assert.deepStrictEqual(yield* announced(server, 1), [`unixgram://${path}`])
      const answer = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(${JSON.stringify(`${path}.client`)})
s.sendto(b"Hello, world", ${JSON.stringify(path)})
print(s.recv(100).decode())
`
      assert.strictEqual(yield* printed(script(answer)), "Hello, world\n")
      yield* ends(server)
      assert.isTrue(fs.existsSync(path))
    })
  )

  const two = `give(socket.SOCK_STREAM, ("127.0.0.1", 0)); give(socket.SOCK_DGRAM, ("127.0.0.1", 0)); names[:] = ["web", "datagrams"]\n`

  it.live("all that a manager hands down are served where LISTEN is not set", () =>
    Effect.gen(function* () {
      const server = yield* python(`${two}become(True)`)
      const [stream = "", datagrams = ""] = yield* announced(server, 2)
      assert.strictEqual(yield* asks("SOCK_STREAM", inet(stream)), "Hello, world\n")
      assert.strictEqual(yield* asks("SOCK_DGRAM", inet(datagrams)), "Hello, world\n")
      yield* ends(server)
    })
  )

  it.live("are found by their names", () =>
    Effect.gen(function* () {
      const server = yield* python(`${two}become(True, LISTEN="fd://datagrams")`)
      const [address = ""] = yield* announced(server, 1)
      assert.match(address, /^udp:/)
      assert.strictEqual(yield* asks("SOCK_DGRAM", inet(address)), "Hello, world\n")
      yield* ends(server)
    })
  )

  it.live.each([
    {
      what: "a name that none of them has",
      become: `${two}become(True, LISTEN="fd://mail")`,
      problem:
        'no socket that was handed to this program has the name "mail"; there are web, datagrams (FileDescriptorName= in the socket unit)'
    },
    {
      what: "sockets for another process",
      become: `${two}become(False, LISTEN="fd://web", LISTEN_FDS="2", LISTEN_PID="1")`,
      problem: /^the sockets were handed to process 1, and this is \d+; start node itself, /
    },
    {
      what: "a descriptor that is not open, or is Node's own",
      become: `become(False, LISTEN="fd://17")`,
      problem: /^that descriptor is no socket that can be served; /
    },
    {
      what: "a descriptor that is a file",
      become: `os.dup2(os.open("/dev/null", 0), 3); os.set_inheritable(3, True); become(False, LISTEN="fd://3")`,
      problem: /^that descriptor is no socket that can be served; /
    }
  ])("are refused: $what", ({ become, problem }) =>
    Effect.gen(function* () {
      const server = yield* python(become)
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null }, server.stderr)
      const [, said = ""] = /^Cannot bind fd:\/\/\S+: (.*)\n$/.exec(server.stderr) ?? []
      if (typeof problem === "string") assert.strictEqual(said, problem)
      else assert.match(said, problem)
    })
  )
})

const range = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
const free = !fs.existsSync(range) || Number(fs.readFileSync(range, "utf8")) <= 1
if (free) console.log("skipped: every user may bind every port here")

describe.skipIf(free)("a port that needs privileges", () => {
  it.live.each(["tcp", "udp"])("is refused over %s, with what to do", (scheme) =>
    Effect.gen(function* () {
      const program = yield* node("packages/node/test/fixtures/unprivileged.ts", { LISTEN: `${scheme}://127.0.0.1:1` })
      assert.deepStrictEqual(yield* program.end, { code: 1, signal: null })
      assert.strictEqual(
        program.stderr,
        `Cannot bind ${scheme}://127.0.0.1:1: permission denied; a port below 1024 needs privileges, a path a directory that may be written to\n`
      )
    })
  )
})

describe("a path that may not be looked at", () => {
  it.live("is refused, with what to do", () =>
    Effect.gen(function* () {
      const closed = yield* directory
      yield* Effect.acquireRelease(
        Effect.sync(() => fs.chmodSync(closed, 0)),
        () => Effect.sync(() => fs.chmodSync(closed, 0o700))
      )
      const program = yield* node("packages/node/test/fixtures/unprivileged.ts", { LISTEN: `unix://${closed}/s` })
      assert.deepStrictEqual(yield* program.end, { code: 1, signal: null })
      assert.strictEqual(
        program.stderr,
        `Cannot bind unix://${closed}/s: permission denied; a port below 1024 needs privileges, a path a directory that may be written to\n`
      )
    })
  )
})
