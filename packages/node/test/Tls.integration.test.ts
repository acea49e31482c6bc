import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { directory, selfSigned, signed } from "./support/certificates.ts"
import { example, missing, node, printed, type Program, script, start } from "./support/programs.ts"

const home = directory()
const own = selfSigned(home, "localhost")
const other = selfSigned(home, "other.test", "other.test")
const device = signed(home, "device", selfSigned(home, "authority"))
const authority = join(home, "authority.pem")

const openssl = (port: string, ...args: ReadonlyArray<string>) =>
  start("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args])

/** An example over TLS, and its port. */
const serving = (name: string, options = "", certificate = own) =>
  Effect.gen(function* () {
    const server = yield* example(name, {
      LISTEN: `tls://127.0.0.1:0?cert=${certificate.cert}&key=${certificate.key}${options}`
    })
    const [, port = ""] = yield* server.prints(/^listening on tls:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, port }
  })

const ends = (server: Program) =>
  Effect.gen(function* () {
    yield* server.signal("SIGTERM")
    assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    assert.strictEqual(server.stderr, "")
  })

const daytime = /\w+, \w+ \d+, \d{4} \d\d:\d\d:\d\d-UTC\r\n/

/** Python's `ssl`, as its documentation has it. */
const python = (port: string, code: string) =>
  script(
    `
import socket, ssl, sys
def connect(context):
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
    return context.wrap_socket(raw, server_hostname="localhost")
def rest(s):
    data = b""
    while True:
        more = s.recv(65536)
        if not more: return data
        data += more
context = ssl.create_default_context(cafile=sys.argv[2])
${code}`,
    [port, own.cert]
  )

describe("examples/daytime", () => {
  it.live("tells openssl, python3 and socat the time, each of which verifies it", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("daytime")
      const client = yield* openssl(port, "-CAfile", own.cert, "-verify_return_error", "-ign_eof")
      yield* client.prints(daytime)
      assert.strictEqual((yield* client.end).code, 0)
      assert.include(client.stdout, "Verify return code: 0 (ok)")
      assert.match(yield* printed(python(port, `print(rest(connect(context)).decode(), end="")`)), daytime)
      if (!missing("socat")) {
        const socat = yield* start("socat", ["-", `openssl:localhost:${port},pf=ip4,cafile=${own.cert}`])
        yield* socat.prints(daytime)
      }
      yield* ends(server)
    })
  )
})

describe("openssl s_client", () => {
  it.live("is refused with TLS 1.1, and let in with 1.2 and 1.3", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("daytime")
      for (const [version, code] of [
        ["-tls1_1", 1],
        ["-tls1_2", 0],
        ["-tls1_3", 0]
      ] as const) {
        const client = yield* openssl(port, version, "-ign_eof", "-cipher", "ALL:@SECLEVEL=0")
        assert.strictEqual((yield* client.end).code, code, version)
        if (code === 1) assert.match(client.stderr, /alert protocol version/)
        else assert.match(client.stdout, daytime)
      }
      yield* ends(server)
    })
  )

  it.live("chooses a protocol by ALPN, and is told when there is none", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("daytime", "&alpn=daytime/2,daytime/1")
      const one = yield* openssl(port, "-alpn", "daytime/1,else", "-ign_eof")
      assert.strictEqual((yield* one.end).code, 0)
      assert.include(one.stdout, "ALPN protocol: daytime/1")
      const none = yield* openssl(port, "-alpn", "else")
      assert.strictEqual((yield* none.end).code, 1)
      assert.include(none.stderr, "alert no application protocol")
      yield* ends(server)
    })
  )

  it.live("shows its certificate where one is required", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("daytime", `&ca=${authority}`)
      const client = yield* openssl(port, "-cert", device.cert, "-key", device.key, "-ign_eof")
      assert.strictEqual((yield* client.end).code, 0)
      assert.match(client.stdout, daytime)
      for (const without of [
        yield* openssl(port, "-ign_eof"),
        yield* openssl(port, "-cert", other.cert, "-key", other.key, "-ign_eof")
      ]) {
        yield* without.end
        assert.notMatch(without.stdout, daytime)
      }
      yield* ends(server)
    })
  )

  it.live("sees the new certificate when its files have changed, while another client goes on", () =>
    Effect.gen(function* () {
      const live = { cert: join(home, "live.pem"), key: join(home, "live.key") }
      const put = (made: typeof own) =>
        Effect.sync(() => {
          for (const name of ["key", "cert"] as const) fs.copyFileSync(made[name], live[name])
        })
      yield* put(own)
      const { port, server } = yield* serving("echo", "&reloadAfter=0 seconds", live)
      const before = yield* openssl(port, "-CAfile", own.cert, "-servername", "localhost", "-quiet")
      yield* before.write("before\n")
      yield* before.prints(/^before\n/)
      yield* put(other)
      const after = yield* openssl(port)
      yield* after.prints(/subject=CN = other\.test/)
      yield* before.write("after\n")
      yield* before.prints(/^before\nafter\n/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.stderr, /The certificate was read anew: CN=other\.test/)
    })
  )
})

describe("SIGHUP", () => {
  it.live("has the certificate read anew at once, and says so; what is of no use changes nothing", () =>
    Effect.gen(function* () {
      const live = { cert: join(home, "hup.pem"), key: join(home, "hup.key") }
      const put = (made: typeof own) =>
        Effect.sync(() => {
          for (const name of ["key", "cert"] as const) fs.copyFileSync(made[name], live[name])
        })
      yield* put(own)
      // Nobody looks at the files for an hour.
      const { port, server } = yield* serving("echo", "&reloadAfter=1 hour", live)
      yield* put(other)
      yield* (yield* openssl(port)).prints(/subject=CN = localhost/)
      yield* server.signal("SIGHUP")
      yield* server.complains(/INFO [^\n]*The certificate was read anew: CN=other\.test/)
      yield* (yield* openssl(port)).prints(/subject=CN = other\.test/)
      fs.writeFileSync(live.cert, "nonsense")
      yield* server.signal("SIGHUP")
      yield* server.complains(/WARN [^\n]*The certificate stays as it was[^\n]*hup\.pem/)
      yield* (yield* openssl(port)).prints(/subject=CN = other\.test/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("ends no program that has no certificate, which says so", () =>
    Effect.gen(function* () {
      const server = yield* example("echo")
      yield* server.prints(/^listening on /)
      yield* server.signal("SIGHUP")
      yield* server.complains(/SIGHUP: there is no certificate/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("ends a program whose terminal is gone", () =>
    Effect.gen(function* () {
      // A terminal of its own, which Python closes.
      const closed = yield* script(
        `
import os, pty, re, sys
pid, terminal = pty.fork()
if pid == 0: os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, "LISTEN": "tcp://127.0.0.1:0"})
said = b""
while b"listening on" not in said: said += os.read(terminal, 1000)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
        [process.execPath, startOf("examples/echo/main.ts")]
      )
      assert.deepStrictEqual(yield* closed.end, { code: 0, signal: null })
      assert.strictEqual(closed.stdout, "0\n")
    })
  )
})

describe("examples/echo over TLS", () => {
  // One thread: two of them may not use one connection of Python's (https://github.com/python/cpython/issues/124984).
  it.live("returns ten megabytes to python3, byte by byte the same", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("echo")
      const code = `
import os, select
s = connect(context)
s.setblocking(False)
data = os.urandom(10_000_000)
left, got = memoryview(data), bytearray()
waits = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
while len(got) < len(data):
    select.select([s], [s] if left else [], [])
    try:
        if left: left = left[s.send(left[:65536]):]
    except waits: pass
    try:
        while more := s.recv(65536): got += more
        break
    except waits: pass
print(got == data, s.version())
`
      assert.strictEqual(yield* printed(python(port, code)), "True TLSv1.3\n")
      yield* ends(server)
    })
  )

  it.live("stops at once though clients have connected and said nothing", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("echo")
      const silent = yield* script(
        `
import socket, sys
all = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(20)]
print("connected")
for s in all: s.recv(1)
print("closed")
`,
        [port]
      )
      yield* silent.prints(/^connected\n/)
      const ask = `s = connect(context); s.sendall(b"hello"); print(s.recv(100).decode())`
      assert.strictEqual(yield* printed(python(port, ask)), "hello\n")
      yield* ends(server)
      yield* silent.prints(/closed\n/)
    })
  )

  it.live("does not start on a key that is another certificate's, and says which", () =>
    Effect.gen(function* () {
      const server = yield* example("echo", { LISTEN: `tls://127.0.0.1:0?cert=${own.cert}&key=${other.key}` })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(
        server.stderr,
        `LISTEN: Invalid option key of tls://127.0.0.1:0?cert=${own.cert}&key=${other.key}: ${other.key} is not the key of the certificate in ${own.cert} (CN=localhost, O=Test); ` +
          "give the key that it was made with, and in a chain the server's own certificate first\n"
      )
    })
  )
})

describe("a client that reads slowly", () => {
  class Much extends Server.Service<Much>()("Much", { protocol: Protocol.lines() }) {}
  const size = 16 * 1_048_576
  const layer = Layer.provideMerge(
    Much.serve(() => Effect.succeed(Response.andClose(Response.make("x".repeat(size))))),
    TlsServer.layer(Much, { ...own, drainTimeout: "3 seconds", maxReply: "32MiB" })
  )

  it.live("gets all of a reply after which its connection closes, however long that takes", () =>
    Effect.gen(function* () {
      const { port } = (yield* Much).address as Endpoint.Tls
      // Longer than a peer that does not read at all would be given.
      const code = `
import time
s = connect(context)
s.sendall(b"much\\n")
got, started = 0, time.monotonic()
while True:
    chunk = s.recv(65536)
    if not chunk: break
    got += len(chunk)
    time.sleep(0.004)
print(got, time.monotonic() - started > 4)
`
      assert.strictEqual(yield* printed(python(`${port}`, code)), `${size + 1} True\n`)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("STARTTLS", () => {
  const mail = Effect.gen(function* () {
    const server = yield* node("packages/node/test/fixtures/mail.ts", { CERT: own.cert, KEY: own.key })
    const [, port = ""] = yield* server.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, port }
  })

  it.live("is spoken by openssl s_client -starttls smtp", () =>
    Effect.gen(function* () {
      const { port, server } = yield* mail
      const client = yield* openssl(port, "-starttls", "smtp", "-CAfile", own.cert, "-verify_return_error", "-quiet")
      yield* client.write("NOOP\r\n")
      yield* client.prints(/250 TLSv1\.3\r?\n/)
      yield* client.write("QUIT\r\n")
      yield* client.prints(/221 Bye/)
      yield* ends(server)
    })
  )

  it.live("is spoken by python3's smtplib", () =>
    Effect.gen(function* () {
      const { port, server } = yield* mail
      const code = `
import smtplib
mail = smtplib.SMTP("localhost", int(sys.argv[1]))
print(mail.noop())
mail.starttls(context=context)
mail.ehlo()
print(mail.has_extn("starttls"), mail.noop(), mail.quit())
`
      assert.strictEqual(
        yield* printed(python(port, code)),
        "(250, b'in clear')\nFalse (250, b'TLSv1.3') (221, b'Bye')\n"
      )
      yield* ends(server)
    })
  )

  it.live("ignores what was slipped in behind it in clear", () =>
    Effect.gen(function* () {
      const { port, server } = yield* mail
      const code = `
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.recv(1000)
s.sendall(b"STARTTLS\\r\\nNOOP\\r\\n")
try: print(s.recv(1000))
except ConnectionResetError: print(b"")
`
      assert.strictEqual(yield* printed(python(port, code)), "b''\n")
      yield* ends(server)
    })
  )
})
