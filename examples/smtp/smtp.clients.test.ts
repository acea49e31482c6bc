/** Python's `smtplib`, `swaks` and nodemailer, in clear and encrypted, and what nobody's client does. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createTransport } from "nodemailer"
import { inTime } from "../../packages/node/test/support/patience.ts"
import {
  type Environment,
  example,
  listening,
  printed,
  python,
  script,
  start
} from "../../packages/node/test/support/programs.ts"
import { missing } from "../support/clients.ts"

const without = [missing("swaks", "swaks"), missing("python3", "python3"), missing("openssl", "openssl")].includes(true)

/** What swaks encrypts with. */
const noTls = (): boolean => {
  if (spawnSync("perl", ["-MNet::SSLeay", "-e", "1"]).status === 0) return false
  const problem = "Perl's Net::SSLeay is not installed (Debian: libnet-ssleay-perl)"
  if (process.env["CI"]) throw new Error(problem)
  console.warn(`${problem}: swaks does not encrypt, and what it would is skipped`)
  return true
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mail-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** A Maildir, and the example that keeps mail in it. */
const served = (env: Environment = {}) =>
  Effect.gen(function* () {
    const path = yield* folder
    const MAILDIR = join(path, "mail")
    const { port, server } = yield* listening(example("smtp", { MAILDIR, ...env }))
    const kept = () =>
      ["new", "tmp"].map((name) =>
        readdirSync(join(MAILDIR, name)).map((file) => readFileSync(join(MAILDIR, name, file), "utf8"))
      )
    return { kept, port, server }
  })

const certificate = Effect.map(folder, (path) => {
  const [cert, key] = [join(path, "cert.pem"), join(path, "key.pem")]
  const args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert]
  execFileSync("openssl", [...args.split(" "), ...names], { stdio: "ignore" })
  return { cert, env: { STARTTLS_CERT: cert, STARTTLS_KEY: key } }
})

/** Messages with whatever may go wrong in them. */
const smtplib = `
import smtplib, ssl
from email.message import EmailMessage
text = "Subject: one\\r\\n\\r\\n.\\r\\n..dots\\r\\n.\\r\\ncaf\\u00e9\\r\\n" + "x" * 900 + "\\r\\n"
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example") as s:
    if len(sys.argv) > 2:
        s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
    assert s.ehlo()[0] == 250 and s.has_extn("pipelining") and s.has_extn("8bitmime") and s.has_extn("size")
    assert not s.has_extn("starttls") or len(sys.argv) == 2
    assert s.sendmail("ada@example.com", ["grace@example.org", "joan@example.org"], text.encode(), mail_options=["BODY=8BITMIME"]) == {}
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "ada@example.com", "\\u00e9@example.org", "two"
    m.set_content("caf\\u00e9\\n")
    assert s.send_message(m) == {}
    assert s.verify("ada")[0] == 252 and s.noop()[0] == 250 and s.help()
    s.rset()
    try: s.mail("x" * 600)
    except smtplib.SMTPException: pass
    else: assert s.docmd("NOOP")[0] == 250
    assert s.sendmail("", "postmaster", b"") == {}
print("done")
`

const expectKept = ([kept = [], temporary = []]: ReadonlyArray<ReadonlyArray<string>>) => {
  assert.deepStrictEqual(temporary, [])
  assert.strictEqual(kept.length, 3)
  const one = kept.find((text) => text.includes("Subject: one")) ?? ""
  assert.isTrue(one.endsWith(`Subject: one\r\n\r\n.\r\n..dots\r\n.\r\ncaf\u00e9\r\n${"x".repeat(900)}\r\n`), one)
  const two = kept.find((text) => text.includes("Subject: two")) ?? ""
  assert.include(two, "Delivered-To: \u00e9@example.org\r\n")
  assert.include(two, "with UTF8SMTP")
}

describe.skipIf(without)("examples/smtp takes", () => {
  it.live("what smtplib sends", () =>
    Effect.gen(function* () {
      const { kept, port } = yield* served()
      assert.strictEqual(yield* printed(python(port, smtplib)), "done\n")
      expectKept(kept())
    })
  )

  it.live("what smtplib sends, encrypted", () =>
    Effect.gen(function* () {
      const { cert, env } = yield* certificate
      const { kept, port } = yield* served(env)
      assert.strictEqual(yield* printed(script(`import sys\n${smtplib}`, [port, cert])), "done\n")
      expectKept(kept())
    })
  )

  it.live.each(["fiber", "sequential", "pool:2", "thread:1", "process:2"])("what swaks sends, under %s", (POLICY) =>
    Effect.gen(function* () {
      const { kept, port } = yield* served({ POLICY })
      const swaks = ["--server", `127.0.0.1:${port}`, "--from", "ada@example.com", "--to", "grace@example.org"]
      const said = yield* printed(start("swaks", [...swaks, "--header", "Subject: from swaks", "--body", ".\n..\nend"]))
      assert.match(said, /<- {2}250 2\.0\.0 Kept as /)
      const [[text = ""] = [], temporary] = kept()
      assert.deepStrictEqual(temporary, [])
      assert.include(text, "Subject: from swaks\r\n")
      assert.include(text, "\r\n\r\n.\r\n..\r\nend\r\n")
      yield* printed(start("swaks", [...swaks, "--pipeline", "--quit-after", "RCPT"]))
    })
  )

  it.live("what nodemailer sends, to copies of the program, encrypted", () =>
    Effect.gen(function* () {
      const { cert, env } = yield* certificate
      const { kept, port, server } = yield* served({ ...env, PREFORK: "2" })
      const options = {
        host: "127.0.0.1",
        port: Number(port),
        pool: true,
        maxConnections: 4,
        requireTLS: true,
        tls: { ca: readFileSync(cert), servername: "localhost" }
      }
      const transport = createTransport(options)
      const send = (subject: number) =>
        Effect.promise(() =>
          transport.sendMail({
            from: "ada@example.com",
            to: ["grace@example.org", "joan@example.org"],
            subject: `${subject}`,
            text: "a\n.\n..b\n",
            attachments: [{ filename: "a.bin", content: Buffer.alloc(100_000, subject) }]
          })
        )
      const subjects = Array.from({ length: 20 }, (_, at) => at)
      const sent = yield* Effect.forEach(subjects, send, { concurrency: "unbounded" })
      transport.close()
      assert.isTrue(sent.every(({ response }) => response.startsWith("250 2.0.0 Kept as ")))
      const [all = [], temporary] = kept()
      assert.deepStrictEqual(temporary, [])
      const found = all.map((text) => Number(/^Subject: (\d+)/m.exec(text)?.[1]))
      assert.deepStrictEqual(
        found.toSorted((a, b) => a - b),
        subjects
      )
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("what nodemailer sends in clear, and says why it does not take more", () =>
    Effect.gen(function* () {
      const { kept, port } = yield* served()
      const transport = createTransport({ host: "127.0.0.1", port: Number(port), ignoreTLS: true })
      const message = { from: "ada@example.com", to: "grace@example.org", subject: "large" }
      yield* Effect.promise(() => transport.sendMail({ ...message, text: "small" }))
      const large = Effect.tryPromise({
        try: () => transport.sendMail({ ...message, text: "large\n".repeat(2_000_000) }),
        catch: (error) => (error as { readonly responseCode: number }).responseCode
      })
      assert.strictEqual(yield* Effect.flip(large), 552)
      assert.strictEqual(kept()[0]?.length, 1)
    })
  )
})

describe.skipIf(without || noTls())("examples/smtp takes", () => {
  it.live.each(["fiber", "connection:4"])("what swaks sends, encrypted, under %s", (POLICY) =>
    Effect.gen(function* () {
      const { env } = yield* certificate
      const { kept, port } = yield* served({ ...env, POLICY })
      const to = ["--server", `127.0.0.1:${port}`, "--from", "ada@example.com", "--to", "grace@example.org"]
      const said = yield* printed(start("swaks", [...to, "--tls"]))
      assert.match(said, /=== TLS started/)
      assert.match(kept()[0]?.[0] ?? "", /with ESMTPS id/)
    })
  )
})

/** A connection that keeps all it hears. */
const connected = (port: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = net.connect(Number(port), "127.0.0.1")
      const heard = { text: "", ended: false, wake: () => {} }
      socket.setEncoding("latin1").on("data", (text) => {
        heard.text += text
        heard.wake()
      })
      socket.on("error", () => {})
      socket.on("close", () => {
        heard.ended = true
        heard.wake()
      })
      /** Waits until what it has heard says so, or there is no more. */
      const hears = (pattern: RegExp) =>
        Effect.promise(() => {
          const said = new Promise<string>((resolve) => {
            heard.wake = () => {
              if (!pattern.test(heard.text) && !heard.ended) return
              heard.wake = () => {}
              resolve(heard.text)
            }
            heard.wake()
          })
          return inTime(said, () => `without ${pattern}: ${heard.text}`)
        })
      return { hears, say: (text: string) => Effect.sync(() => void socket.write(text, "latin1")), socket }
    }),
    ({ socket }) => Effect.sync(() => void socket.destroy())
  )

const hello = "EHLO client.example\r\nMAIL FROM:<ada@example.com>\r\nRCPT TO:<grace@example.org>\r\nDATA\r\n"

describe("examples/smtp", () => {
  it.live.each([{}, { PREFORK: "2" }, { POLICY: "pool:3" }, { POLICY: "thread:3" }])(
    "has on disk at a stop what it accepted, and asks everybody else to come again, with %j",
    (env) =>
      Effect.gen(function* () {
        const { kept, port, server } = yield* served(env as Environment)
        const [done, half, silent] = [yield* connected(port), yield* connected(port), yield* connected(port)]
        for (const client of [done, half, silent]) yield* client.hears(/^220 /)
        yield* done.say(`${hello}Subject: done\r\n\r\nall of it\r\n.\r\n`)
        yield* done.hears(/\r\n250 2\.0\.0 Kept/)
        yield* half.say(`${hello}Subject: half\r\n\r\nhalf of `)
        yield* half.hears(/\r\n354 /)
        yield* server.signal("SIGTERM")
        for (const client of [done, half, silent]) {
          assert.match(yield* client.hears(/\r\n421 [^\r]*\r\n$/), /\r\n421 4\.3\.2 [^\r]*\r\n$/)
          client.socket.end()
        }
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        const [all = [], temporary] = kept()
        assert.deepStrictEqual(temporary, [])
        assert.deepStrictEqual(
          all.map((text) => /Subject: (.*)\r\n/.exec(text)?.[1]),
          ["done"]
        )
      })
  )

  it.live("serves others beside those who say nothing, little, too much, or do not read", () =>
    Effect.gen(function* () {
      const { kept, port, server } = yield* served()
      const crowd = (size: number, say: string) =>
        Effect.gen(function* () {
          const all = yield* Effect.forEach(Array.from({ length: size }), () => connected(port), { concurrency: 100 })
          yield* Effect.forEach(all, ({ hears }) => hears(/^220 /), { concurrency: "unbounded" })
          for (const { socket } of all) socket.pause().write(say, "latin1")
        })
      yield* crowd(300, "")
      yield* crowd(100, `${hello}half of`)
      yield* crowd(20, "HELP\r\n".repeat(90_000))
      yield* crowd(20, `${"x".repeat(100_000)}\r\n`)
      yield* crowd(4, `${hello}${".a\r\n".repeat(1_000_000)}`)
      for (let times = 0; times < 3; times++) {
        const client = yield* connected(port)
        yield* client.hears(/^220 /)
        yield* client.say(`${hello}Subject: served\r\n.\r\nQUIT\r\n`)
        assert.match(yield* client.hears(/\r\n221 /), /\r\n250 2\.0\.0 Kept/)
      }
      assert.strictEqual(kept()[0]?.length, 3)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.deepStrictEqual(kept()[1], [])
    })
  )

  it.live("turns away who does not wait for the greeting", () =>
    Effect.gen(function* () {
      const { port } = yield* served()
      const hears = Effect.gen(function* () {
        const early = yield* connected(port)
        yield* early.say("EHLO a\r\n")
        return yield* early.hears(/\r\n$/)
      }).pipe(Effect.scoped)
      // Who is not early enough, on a busy machine, is greeted, and tries again.
      const heard = yield* Effect.repeat(hears, { until: (text) => !text.startsWith("220 ") })
      assert.match(heard, /^554 5\.5\.1 /)
    })
  )

  it.live("takes nothing for encrypted that was sent in clear", () =>
    Effect.gen(function* () {
      const { cert, env } = yield* certificate
      const { port } = yield* served(env)
      const injected = `
import ssl
s = connect()
assert line(s).startswith(b"220 ")
s.sendall(b"EHLO evil\\r\\n")
while not line(s).startswith(b"250 "): pass
s.sendall(b"STARTTLS\\r\\nMAIL FROM:<evil@example.com>\\r\\nNOOP\\r\\n")
assert line(s).startswith(b"220 ")
t = ssl.create_default_context(cafile="${cert}").wrap_socket(s, server_hostname="localhost")
t.sendall(b"MAIL FROM:<ada@example.com>\\r\\nQUIT\\r\\n")
print(rest(t).decode().replace("\\r", ""), end="")
`
      assert.strictEqual(yield* printed(python(port, injected)), "503 5.5.1 Say HELO or EHLO first\n221 2.0.0 Bye\n")
    })
  )

  it.live.each([
    { env: { MAILDIR: "" }, says: "MAILDIR is not set" },
    { env: { MAILDIR: "/proc/none" }, says: "Cannot write to the Maildir /proc/none" },
    { env: { STARTTLS_CERT: "cert.pem" }, says: "STARTTLS_CERT and STARTTLS_KEY belong together" },
    {
      env: { STARTTLS_CERT: "/none.pem", STARTTLS_KEY: "/none.pem" },
      says: "Invalid option cert: "
    },
    { env: { LISTEN: "udp://127.0.0.1:0" }, says: "mail needs a connection" }
  ])("does not start: $says", ({ env, says }) =>
    Effect.gen(function* () {
      const server = yield* example("smtp", { MAILDIR: yield* folder, ...env })
      assert.strictEqual((yield* server.end).code, 1)
      assert.include(server.stderr, says)
      assert.strictEqual(server.stdout, "")
    })
  )

  it.live("does not start with STARTTLS under a policy of workers", () =>
    Effect.gen(function* () {
      const { env } = yield* certificate
      const MAILDIR = yield* folder
      const server = yield* example("smtp", { ...env, MAILDIR, POLICY: "pool:2" })
      assert.strictEqual((yield* server.end).code, 1)
      assert.include(server.stderr, 'POLICY: Cannot run handlers of Mail under the policy "pool:2": STARTTLS needs')
    })
  )
})
