import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { InvalidOption } from "@socketserver/core/ServerError"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { directory, openssl, selfSigned, signed } from "./support/certificates.ts"

const home = directory()
const own = selfSigned(home, "own")
const other = selfSigned(home, "other", "other.test")
const authority = selfSigned(home, "authority")
const device = signed(home, "device", authority)
const stranger = selfSigned(home, "stranger")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))
const quiet = Logger.layer([])
const served = (options: Partial<TlsServer.TlsServerOptions> = {}, handler = echo) =>
  Layer.provideMerge(Lines.serve(handler), TlsServer.layer(Lines, { ...own, ...options })).pipe(Layer.provide(quiet))
const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))
const port = Effect.map(Lines, ({ address }) => (address as Endpoint.Tls).port)

/** A client of Node's own, connected; or why it is not. */
const tlsTo = (options: tls.ConnectionOptions): Effect.Effect<tls.TLSSocket, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<tls.TLSSocket, Error>((resume) => {
      const socket = tls.connect({ host: "127.0.0.1", ca: fs.readFileSync(own.cert), ...options }, () =>
        resume(Effect.succeed(socket))
      )
      socket.on("error", (error) => resume(Effect.fail(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** A plain socket, as any program would open it. */
const socketTo = (port: number): Effect.Effect<net.Socket, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Socket, Error>((resume) => {
      const socket = net.connect({ host: "127.0.0.1", port }, () => resume(Effect.succeed(socket)))
      socket.on("error", (error) => resume(Effect.fail(error)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closed = (socket: net.Socket) =>
  Effect.callback<void>((resume) => {
    if (socket.closed) return resume(Effect.void)
    socket.resume().once("close", () => resume(Effect.void))
  })

const lineOf = (socket: net.Socket) =>
  Effect.callback<string>((resume) => {
    socket.once("data", (chunk) => resume(Effect.succeed(String(chunk))))
  })

/** What the server has refused, one by one, from now on. */
const refusals = Effect.gen(function* () {
  const server = yield* Lines
  const reasons = yield* Queue.unbounded<string>()
  yield* Effect.forkScoped(
    Stream.runForEach(server.outcomes, ({ outcome }: Outcome.Event) =>
      outcome._tag === "Refused" ? Queue.offer(reasons, outcome.reason) : Effect.void
    ),
    { startImmediately: true }
  )
  return reasons
})

const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

/** Waits, turn by turn of the event loop. */
const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
  })

/** Answers with what is known of the peer. */
const known = (): { readonly peers: Array<Peer.Peer>; readonly handler: Handler.Handler<string, string> } => {
  const peers: Array<Peer.Peer> = []
  return {
    peers,
    handler: (request) => {
      peers.push(request.peer)
      return echo(request)
    }
  }
}

const speak = (options: tls.ConnectionOptions) =>
  Effect.gen(function* () {
    const socket = yield* tlsTo({ port: yield* port, ...options })
    socket.write("hello\n")
    assert.strictEqual(yield* lineOf(socket), "hello\n")
    return socket
  })

describe("a handshake", () => {
  it.live("over its peer's share waits, and begins when another of it has ended", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const reasons = yield* refusals
      const slow = yield* socketTo(yield* port)
      // Without a byte it would let others go first.
      slow.write(Buffer.from([0x16]))
      const waits = yield* Effect.forkScoped(speak({}))
      // Who comes after it from elsewhere is served before it.
      const elsewhere = { localAddress: "127.0.0.2" } as tls.ConnectionOptions
      yield* speak(elsewhere)
      yield* speak(elsewhere)
      assert.isUndefined(waits.pollUnsafe())
      slow.destroy()
      assert.match(yield* Queue.take(reasons), /the client left/)
      yield* Fiber.join(waits)
      assert.strictEqual((yield* server.counts).Completed, 3)
    }).pipe(Effect.scoped, Effect.provide(served({ maxOpeningPerPeer: 1 })))
  )

  it.live.each([
    { what: "sends nothing", header: "", proxied: {} },
    {
      what: "sends nothing but its PROXY header",
      header: "PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n",
      proxied: { proxyProtocol: ["127.0.0.1"] }
    }
  ])("that $what lets others go first, and is served when it does", ({ header, proxied }) =>
    Effect.gen(function* () {
      const server = yield* Lines
      const silent = yield* socketTo(yield* port)
      silent.write(header)
      const other = yield* socketTo(yield* port)
      other.write(header)
      for (const raw of [other, silent]) {
        const hello = yield* helloOf
        raw.write(hello.bytes)
        hello.to(raw)
        hello.socket.write("hello\n")
        assert.strictEqual(yield* lineOf(hello.socket), "hello\n")
      }
      const { Completed, Refused } = yield* server.counts
      assert.deepStrictEqual({ Completed, Refused }, { Completed: 2, Refused: 0 })
    }).pipe(Effect.scoped, Effect.provide(served({ maxOpening: 1, handshakeTimeout: "2 minutes", ...proxied })))
  )

  const { handler, peers } = known()
  it.live("tells the handler what was agreed on", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      assert.match(String(server.address), /^tls:\/\/127\.0\.0\.1:[1-9]\d*$/)
      yield* speak({ servername: "localhost", ALPNProtocols: ["two", "one"] })
      yield* speak({ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })
      assert.deepStrictEqual(
        peers.map(({ tls }) => ({ ...tls })),
        [
          {
            protocol: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            serverName: "localhost",
            alpn: "one",
            certificate: undefined
          },
          {
            protocol: "TLSv1.2",
            cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            serverName: undefined,
            alpn: undefined,
            certificate: undefined
          }
        ]
      )
      assert.deepStrictEqual([peers[0]?.transport, String(peers[0]?.address).includes("127.0.0.1")], ["tls", true])
    }).pipe(Effect.scoped, Effect.provide(served({ alpn: ["one", "two"] }, handler)))
  )

  it.live.each([
    { version: "TLSv1.3", name: "localhost" },
    { version: "TLSv1.2", name: undefined }
  ] as const)("that resumes a session of $version asks for the name $name", ({ name, version }) => {
    const { handler, peers } = known()
    return Effect.gen(function* () {
      const options = { servername: "localhost", maxVersion: version }
      // A ticket of TLS 1.3 comes before the answer.
      const first = yield* speak(options)
      const second = yield* speak({ ...options, session: first.getSession() as Buffer })
      assert.isTrue(second.isSessionReused())
      assert.deepStrictEqual(
        peers.map(({ tls }) => tls?.serverName),
        ["localhost", name]
      )
    }).pipe(Effect.scoped, Effect.provide(served({}, handler)))
  })

  const refusing = [
    {
      what: "speaks no application protocol of the server",
      server: { alpn: ["one"] },
      client: { ALPNProtocols: ["two"] },
      reason: "TLS: no application protocol (ALPN) in common with the client"
    },
    {
      what: "is older than allowed",
      server: { minVersion: "TLSv1.3" },
      client: { maxVersion: "TLSv1.2" },
      reason: "TLS: no TLS version in common with the client"
    },
    {
      what: "only speaks TLS 1.1",
      server: {},
      client: { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" },
      reason: "TLS: no TLS version in common with the client"
    },
    {
      what: "shows no certificate",
      server: { ca: authority.cert },
      client: {},
      reason: "TLS: the client has shown no certificate"
    },
    {
      what: "shows no certificate over TLS 1.2",
      server: { ca: authority.cert },
      client: { maxVersion: "TLSv1.2" },
      reason: "TLS: the client has shown no certificate"
    },
    {
      what: "shows a certificate of its own making",
      server: { ca: authority.cert },
      client: { cert: fs.readFileSync(stranger.cert), key: fs.readFileSync(stranger.key) },
      reason: "TLS: the client's certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)"
    },
    {
      what: "shows one of its own making where none is asked for",
      server: { ca: authority.cert, clientCertificate: "optional" },
      client: { cert: fs.readFileSync(stranger.cert), key: fs.readFileSync(stranger.key) },
      reason: "TLS: the client's certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)"
    }
  ] as ReadonlyArray<{
    readonly what: string
    readonly server: Partial<TlsServer.TlsServerOptions>
    readonly client: tls.ConnectionOptions
    readonly reason: string
  }>

  for (const { client, reason, server, what } of refusing) {
    it.live(`refuses a client that ${what}, and says why`, () =>
      Effect.gen(function* () {
        const reasons = yield* refusals
        yield* Effect.exit(Effect.flatMap(tlsTo({ port: yield* port, ...client }), closed))
        assert.strictEqual(yield* Queue.take(reasons), reason)
        const { Refused, ...others } = yield* (yield* Lines).counts
        assert.strictEqual(Refused, 1)
        assert.strictEqual(
          Object.values(others).reduce((sum, count) => sum + count, 0),
          0
        )
      }).pipe(Effect.scoped, Effect.provide(served(server, () => Effect.die("it has come in"))))
    )
  }

  it.live("refuses a client that does not trust the server", () =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      const error = yield* Effect.flip(NodeClient.connect(Lines, `tls://127.0.0.1:${yield* port}`))
      assert.strictEqual(
        error.message,
        `Cannot connect to tls://127.0.0.1:${yield* port}: the TLS handshake failed: ` +
          "self-signed certificate; give who has signed it as ca, if it is to be trusted"
      )
      assert.strictEqual(error._tag === "ConnectFailed" && error.kind, "Handshake")
      // Node's own verifies when it is done, and leaves.
      assert.strictEqual(yield* Queue.take(reasons), "TLS: the client left before the handshake was done")
      distrusting(yield* port)
      assert.strictEqual(yield* Queue.take(reasons), "TLS: the client does not trust the certificate of this server")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )
})

/** A client that verifies in the middle of the handshake, as most programs do. It runs beside: the server is in this process. */
const distrusting = (port: number): void =>
  void spawn("openssl", ["s_client", "-verify_return_error", "-connect", `127.0.0.1:${port}`], { stdio: "ignore" })

describe("client certificates", () => {
  const { handler, peers } = known()
  it.live("are known to the handler once they are verified", () =>
    Effect.gen(function* () {
      yield* speak({ cert: fs.readFileSync(device.cert), key: fs.readFileSync(device.key) })
      const certificate = peers[0]?.tls?.certificate
      const x509 = new crypto.X509Certificate(fs.readFileSync(device.cert))
      assert.deepStrictEqual(certificate?.subject, { CN: "device", O: "Test" })
      assert.deepStrictEqual(certificate?.issuer, { CN: "authority", O: "Test" })
      assert.strictEqual(certificate?.fingerprint256, x509.fingerprint256)
      assert.strictEqual(certificate?.serialNumber, x509.serialNumber)
      assert.strictEqual(certificate?.subjectAltName, "DNS:localhost, IP Address:127.0.0.1")
      assert.deepStrictEqual(certificate?.raw, x509.raw)
      assert.strictEqual(certificate?.validTo, Date.parse(x509.validTo))
      assert.isBelow(certificate?.validFrom ?? Infinity, Date.now() + 1_000)
    }).pipe(Effect.scoped, Effect.provide(served({ ca: authority.cert }, handler)))
  )

  const optional = known()
  it.live("may be left out where they are optional", () =>
    Effect.gen(function* () {
      yield* speak({})
      yield* speak({ cert: fs.readFileSync(device.cert), key: fs.readFileSync(device.key) })
      assert.deepStrictEqual(
        optional.peers.map(({ tls }) => tls?.certificate?.subject["CN"]),
        [undefined, "device"]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(served({ ca: [authority.cert], clientCertificate: "optional" }, optional.handler))
    )
  )

  const shown = { cert: fs.readFileSync(device.cert), key: fs.readFileSync(device.key) }
  for (const [what, server] of Object.entries({
    required: { ca: authority.cert },
    optional: { ca: authority.cert, clientCertificate: "optional" },
    "required for another name": { ca: authority.cert, sni: { localhost: own } }
  } as const)) {
    it.live.each(["TLSv1.3", "TLSv1.2"] as const)(`are verified each time where they are ${what}: %s`, (maxVersion) => {
      const { handler, peers } = known()
      return Effect.gen(function* () {
        const options = { servername: "localhost", maxVersion, ...shown }
        const first = yield* speak(options)
        // OpenSSL would verify nothing of a session that is resumed, also long after the certificate has ended.
        const second = yield* speak({ ...options, session: first.getSession() as Buffer })
        assert.isFalse(second.isSessionReused())
        assert.deepStrictEqual(
          peers.map(({ tls }) => tls?.certificate?.subject["CN"]),
          ["device", "device"]
        )
      }).pipe(Effect.scoped, Effect.provide(served(server, handler)))
    })
  }

  it.live("are shown by a client by URL", () =>
    Effect.gen(function* () {
      const at = `tls://127.0.0.1:${yield* port}?ca=${own.cert}`
      const client = yield* NodeClient.connect(Lines, `${at}&cert=${device.cert}&key=${device.key}`)
      assert.strictEqual(yield* client.send("hello"), "hello")
      assert.strictEqual(client.peer.tls?.certificate?.subject["CN"], "own")
    }).pipe(Effect.scoped, Effect.provide(served({ ca: authority.cert })))
  )
})

describe("certificates by name", () => {
  const star = selfSigned(home, "star", "*.star.test")
  it.live("are chosen by what the client asks for, and the server's own is for all other names", () =>
    Effect.gen(function* () {
      const at = yield* port
      for (const [servername, ca, subject] of [
        ["localhost", own, "own"],
        ["other.test", other, "other"],
        ["OTHER.test", other, "other"],
        ["a.star.test", star, "star"]
      ] as const) {
        const socket = yield* tlsTo({ port: at, servername, ca: fs.readFileSync(ca.cert) })
        assert.strictEqual(socket.getPeerCertificate().subject.CN, subject, servername)
      }
      const unknown = { port: at, servername: "b.a.star.test", checkServerIdentity: () => undefined }
      assert.strictEqual((yield* tlsTo(unknown)).getPeerCertificate().subject.CN, "own")
    }).pipe(Effect.scoped, Effect.provide(served({ sni: { "other.test": other, "*.star.test": star } })))
  )

  it.live("ask for client certificates as the server's own does", () =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      const as = { port: yield* port, servername: "other.test", ca: fs.readFileSync(other.cert) }
      yield* Effect.exit(Effect.flatMap(tlsTo(as), closed))
      assert.strictEqual(yield* Queue.take(reasons), "TLS: the client has shown no certificate")
      const socket = yield* tlsTo({ ...as, cert: fs.readFileSync(device.cert), key: fs.readFileSync(device.key) })
      socket.write("hello\n")
      assert.strictEqual(yield* lineOf(socket), "hello\n")
    }).pipe(Effect.scoped, Effect.provide(served({ ca: authority.cert, sni: { "other.test": other } })))
  )
})

const tlsConnect = new URL("../src/internal/tlsConnect.ts", import.meta.url).href
interface Pinning {
  readonly pinned: (
    certificates: ReadonlyArray<Peer.Certificate>,
    alpn: undefined
  ) => (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<unknown, Error>
}

describe("a client in the same program", () => {
  it.live("trusts the server's own certificate, whoever has signed it and whomever it is for", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("hello"), "hello")
    }).pipe(Effect.provide(served(signed(home, "leaf", authority, "elsewhere.test"))))
  )

  it.live("trusts no certificate that the server's own has signed", () =>
    Effect.gen(function* () {
      const { pinned } = yield* Effect.promise(() => import(tlsConnect) as Promise<Pinning>)
      const { certificates } = yield* TlsServer.credentials(authority)
      const socket = yield* socketTo(yield* port)
      const error = yield* Effect.flip(pinned(certificates, undefined)(socket, (yield* Lines.client).peer))
      assert.strictEqual(error.message, "the certificate is not that of the server in this program")
    }).pipe(Effect.scoped, Effect.provide(served(device)))
  )

  it.live("trusts no other", () =>
    Effect.gen(function* () {
      const { pinned } = yield* Effect.promise(() => import(tlsConnect) as Promise<Pinning>)
      const { certificates } = yield* TlsServer.credentials(other)
      const socket = yield* socketTo(yield* port)
      const error = yield* Effect.flip(pinned(certificates, undefined)(socket, (yield* Lines.client).peer))
      assert.match(error.message, /self-signed certificate/)
    }).pipe(Effect.scoped, Effect.provide(served()))
  )
})

describe("options", () => {
  const encrypted = join(home, "encrypted.key")
  openssl("pkey", "-in", own.key, "-aes256", "-passout", "pass:right", "-out", encrypted)
  const der = join(home, "own.der")
  openssl("x509", "-in", own.cert, "-outform", "der", "-out", der)
  const cut = join(home, "cut.pem")
  fs.writeFileSync(cut, fs.readFileSync(own.cert, "utf8").slice(0, 200))

  it.live("take PEM as text and as bytes, and open an encrypted key", () =>
    Effect.gen(function* () {
      const cert = fs.readFileSync(own.cert)
      const key = fs.readFileSync(encrypted, "utf8")
      const layer = served({ cert, key, passphrase: "right" })
      assert.strictEqual(yield* Effect.provide(ask("hello"), layer), "hello")
    })
  )

  const wrong: ReadonlyArray<readonly [what: string, options: Partial<TlsServer.TlsServerOptions>, message: string]> = [
    ["no certificate", { cert: "" }, "cert: it is empty; give the path of a PEM file, or its text"],
    [
      "a certificate that is not there",
      { cert: "/no/such.pem" },
      "cert: there is no file /no/such.pem; give the path of a PEM file, or its text"
    ],
    [
      "a key that is not there",
      { key: "/no.key" },
      "key: there is no file /no.key; give the path of a PEM file, or its text"
    ],
    ["a directory", { cert: home }, `cert: ${home} is not a file`],
    [
      "a certificate in DER form",
      { cert: der },
      `cert: ${der} has no certificate in PEM form (-----BEGIN CERTIFICATE-----); one in DER form becomes one with openssl x509 -inform der`
    ],
    ["a key in place of the certificate", { cert: own.key }, `cert: ${own.key} has no certificate in PEM form`],
    ["a certificate in place of the key", { key: own.cert }, `key: ${own.cert} has no private key in PEM form`],
    ["half a certificate", { cert: cut }, `cert: ${cut} has a certificate that cannot be read (`],
    [
      "a key of another certificate",
      { key: other.key },
      `key: ${other.key} is not the key of the certificate in ${own.cert} (CN=own, O=Test); give the key that it was made with, and in a chain the server's own certificate first`
    ],
    ["an encrypted key without passphrase", { key: encrypted }, `key: ${encrypted} is encrypted; give its passphrase`],
    ["a wrong passphrase", { key: encrypted, passphrase: "wrong" }, `passphrase: it does not open ${encrypted}`],
    [
      "a broken key",
      { key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" },
      "key: the text has a private key that cannot be read ("
    ],
    ["an authority that is not there", { ca: "/no/ca.pem" }, "ca: there is no file /no/ca.pem"],
    ["an authority that is none", { ca: own.key }, `ca: ${own.key} has no certificate in PEM form`],
    ["no authority", { ca: [] }, "ca: it is an empty list: nobody could be trusted"],
    ["client certificates without an authority", { clientCertificate: "optional" }, "clientCertificate: it needs ca"],
    ["no application protocol", { alpn: [] }, "alpn: it must be a list of at least one protocol"],
    [
      "an empty application protocol",
      { alpn: ["h2", ""] },
      'alpn: a protocol has 1 to 255 characters of ASCII, which "" has not'
    ],
    ["an old version", { minVersion: "TLSv1.1" as never }, 'minVersion: it must be TLSv1.2 or TLSv1.3, not "TLSv1.1"'],
    ["a name that is none", { sni: { "a b": own } }, 'sni: "a b" is no host name'],
    [
      "a name's certificate that is not there",
      { sni: { "a.test": { ...own, cert: "/no/a.pem" } } },
      'sni["a.test"].cert: there is no file /no/a.pem'
    ],
    [
      "a handshake without time",
      { handshakeTimeout: 0 },
      "handshakeTimeout: it must be a positive time that ends, not 0"
    ],
    ["a look that is good for ever", { reloadAfter: "Infinity" as never }, "reloadAfter: it must be a time"]
  ]

  const failing = (options: Partial<TlsServer.TlsServerOptions>) =>
    Effect.flip(Effect.scoped(Layer.build(TlsServer.layer(Lines, { ...own, ...options }))))

  for (const [what, options, message] of wrong) {
    it.live(`are refused for ${what}`, () =>
      Effect.gen(function* () {
        const { reason } = yield* failing(options)
        assert.strictEqual(reason._tag, "InvalidOption")
        const said = `Invalid option ${message.replace(": ", " of Lines: ")}`
        assert.strictEqual((reason as InvalidOption).message.slice(0, said.length), said)
      })
    )
  }

  it.live("of a URL are refused with what is accepted", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(NodeServer.layer(Lines, `tls://127.0.0.1:0?cert=${own.cert}&minVersion=SSLv3`)))
      )
      assert.match(
        error.message,
        /: minVersion must be TLSv1\.2 or TLSv1\.3, not "SSLv3"\. Accepted: .*cert=, key=, ca=/
      )
      const bare = yield* Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, "tls://127.0.0.1:0"))))
      assert.strictEqual(
        bare.message,
        'Invalid endpoint "tls://127.0.0.1:0": cert and key are missing, and TLS needs both; write tls://127.0.0.1:0?cert=FILE&key=FILE'
      )
    })
  )

  it.live("of a URL make a server", () => {
    const url = `tls://127.0.0.1:0?cert=${own.cert}&key=${own.key}&alpn=a,b&minVersion=TLSv1.3&handshakeTimeout=5 seconds&reloadAfter=0 seconds&noDelay=true`
    return Effect.gen(function* () {
      const socket = yield* tlsTo({ port: yield* port, ALPNProtocols: ["b"] })
      assert.deepStrictEqual([socket.alpnProtocol, socket.getProtocol()], ["b", "TLSv1.3"])
      assert.notInclude(String((yield* Lines).address), "?")
    }).pipe(Effect.scoped, Effect.provide(NodeServer.layer(Lines, url)))
  })

  it.live.each([
    { what: "a key that does not fit", options: { key: other.key } },
    { what: "a port that is taken", options: {} }
  ])(
    "leave no descriptor behind in 256 servers with $what",
    ({ options }) =>
      Effect.gen(function* () {
        const taken = { ...options, port: yield* port }
        const tag = (yield* failing(taken)).reason._tag
        assert.strictEqual(tag, "key" in options ? "InvalidOption" : "BindFailed")
        const before = yield* descriptors
        yield* Effect.repeat(failing(taken), { times: 255 })
        assert.strictEqual(yield* descriptors, before)
      }).pipe(Effect.provide(served())),
    60_000
  )
})

describe("a certificate that has changed", () => {
  const files = { cert: join(home, "live.pem"), key: join(home, "live.key") }
  const put = (made: { readonly cert: string; readonly key: string }) =>
    Effect.sync(() => {
      for (const name of ["key", "cert"] as const) {
        fs.copyFileSync(made[name], `${files[name]}.new`)
        fs.renameSync(`${files[name]}.new`, files[name])
      }
    })
  const shown = Effect.gen(function* () {
    const socket = yield* tlsTo({ port: yield* port, ca: [own, other].map(({ cert }) => fs.readFileSync(cert)) })
    return socket.getPeerCertificate().subject.CN
  })

  it.effect("is shown to those who come later, and those who are connected go on", () =>
    Effect.gen(function* () {
      yield* put(own)
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* shown, "own")
        const before = yield* Lines.client
        yield* put(other)
        // The last look is still good.
        assert.strictEqual(yield* shown, "own")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* shown, "other")
        assert.strictEqual(yield* before.send("still here"), "still here")
        assert.strictEqual(before.peer.tls?.certificate?.subject["CN"], "own")
        // A client in the same program trusts the new one.
        assert.strictEqual(yield* ask("hello"), "hello")
      }).pipe(Effect.scoped, Effect.provide(served({ ...files, reloadAfter: "1 minute" })))
    })
  )

  it.effect("is shown to the first client, if that comes late", () =>
    Effect.gen(function* () {
      yield* put(own)
      yield* Effect.gen(function* () {
        yield* put(other)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* shown, "other")
      }).pipe(Effect.scoped, Effect.provide(served(files)))
    })
  )

  it.effect("but cannot be used leaves the old one, with one warning", () => {
    const warnings: Array<string> = []
    const logged = Logger.layer([
      Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })
    ])
    return Effect.gen(function* () {
      yield* put(own)
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* shown, "own")
        yield* Effect.sync(() => fs.writeFileSync(files.cert, "oops"))
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual(yield* shown, "own")
        }
        assert.deepStrictEqual(warnings, [
          "The certificate stays as it was, as its new files cannot be used. " +
            `Invalid option cert: ${files.cert} has no certificate in PEM form (-----BEGIN CERTIFICATE-----); one in DER form becomes one with openssl x509 -inform der`
        ])
        yield* put(other)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* shown, "other")
        yield* Effect.sync(() => fs.rmSync(files.key))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* shown, "other")
        assert.strictEqual(warnings.length, 2)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Lines.serve(echo), TlsServer.layer(Lines, files)).pipe(Layer.provide(logged)))
      )
    })
  })
})

describe("a client that", () => {
  it.live("says nothing holds up neither others nor the stop, and counts as a connection", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const silent = yield* Effect.forEach(Array.from({ length: 3 }), () => Effect.flatMap(port, socketTo))
      assert.strictEqual(yield* ask("hello"), "hello")
      yield* until(Effect.map(server.connections, (all) => all.length === 0))
      silent.push(yield* Effect.flatMap(port, socketTo))
      const reasons = yield* refusals
      const error = yield* Effect.flip(Effect.scoped(Lines.client))
      assert.strictEqual(error._tag, "ConnectFailed")
      assert.strictEqual(yield* Queue.take(reasons), "more than 4 connections")
      const report = yield* server.shutdown
      assert.isBelow(report.millis, 5_000)
      yield* Effect.forEach(silent, closed)
    }).pipe(Effect.scoped, Effect.provide(served({ maxConnections: 4 })))
  )

  it.live("is silent for too long is closed", () =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      yield* closed(yield* socketTo(yield* port))
      assert.strictEqual(yield* Queue.take(reasons), "no TLS handshake within 40 ms")
    }).pipe(Effect.scoped, Effect.provide(served({ handshakeTimeout: "40 millis" })))
  )

  it.live("sends its hello byte by byte gets no more time", () =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      const socket = yield* socketTo(yield* port)
      // A record that announces 16 KiB, and never becomes whole.
      socket.write(Uint8Array.of(22, 3, 1, 64, 0, 1))
      const dripping = setInterval(() => socket.write(Uint8Array.of(0)), 5)
      yield* Effect.ensuring(
        closed(socket),
        Effect.sync(() => clearInterval(dripping))
      )
      assert.strictEqual(yield* Queue.take(reasons), "no TLS handshake within 60 ms")
    }).pipe(Effect.scoped, Effect.provide(served({ handshakeTimeout: "60 millis" })))
  )

  it.live.each([
    { what: "sends garbage", data: "hello, is this the echo server?\n", reason: "TLS: the client does not speak TLS" },
    {
      what: "speaks HTTP",
      data: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      reason: "TLS: the client does not speak TLS, but HTTP"
    },
    {
      what: "says a hello that is none",
      data: "\x16\x03\x01\x00\x07\x01\x00\x00\x03\x03\x03\x00",
      reason: "TLS: the handshake failed (length mismatch)"
    },
    { what: "leaves before its first byte", data: "", reason: "TLS: the client left before the handshake was done" },
    {
      what: "leaves in the middle of its hello",
      data: "\x16\x03\x01\x02\x00\x01",
      reason: "TLS: the client left before the handshake was done"
    }
  ])("$what is refused, and the reason says so", ({ data, reason }) =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      const socket = yield* socketTo(yield* port)
      if (data.length > 10) socket.write(data)
      else socket.end(data, "latin1")
      yield* closed(socket)
      assert.strictEqual(yield* Queue.take(reasons), reason)
      assert.strictEqual(yield* ask("hello"), "hello")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("resets at any moment leaves nothing behind", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const at = yield* port
      yield* ask("hello")
      const before = yield* descriptors
      for (let i = 0; i < 40; i++) {
        yield* Effect.callback<void>((resume) => {
          const raw = net.connect({ host: "127.0.0.1", port: at })
          raw.on("error", () => {}).on("close", () => resume(Effect.void))
          raw.once("connect", () => {
            const socket = tls.connect({ socket: raw, ca: fs.readFileSync(own.cert), host: "127.0.0.1" })
            socket.on("error", () => {})
            if (i % 4 === 0) setImmediate(() => raw.resetAndDestroy())
            if (i % 4 === 1) socket.once("secureConnect", () => raw.resetAndDestroy())
            if (i % 4 === 2) socket.once("secureConnect", () => (socket.write("hello\n"), raw.resetAndDestroy()))
            if (i % 4 === 3) socket.once("secureConnect", () => socket.end("hello\n").resume())
          })
        })
      }
      yield* until(Effect.map(server.connections, (all) => all.length === 0))
      yield* until(Effect.map(descriptors, (count) => count <= before))
      assert.strictEqual(yield* ask("still here"), "still here")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("never reads does not hold up the stop, and sees that it was cut off", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const socket = yield* tlsTo({ port: yield* port })
      socket.pause()
      socket.write("much\n")
      yield* until(Effect.map(server.connections, (all) => all.some(({ bytesWritten }) => bytesWritten > 0)))
      const report = yield* server.shutdown
      assert.isBelow(report.millis, 5_000)
      const error = yield* Effect.callback<Error & { readonly code?: string }>((resume) => {
        socket.once("error", (error) => resume(Effect.succeed(error))).resume()
      })
      assert.strictEqual(error.code, "ECONNRESET")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served({ drainTimeout: "40 millis", maxReply: "64MiB" }, () =>
          Effect.succeed(Response.make("x".repeat(32 * 1_048_576)))
        )
      )
    )
  )

  it.live("reads slowly gets everything, though its connection closes", () =>
    Effect.gen(function* () {
      const socket = yield* tlsTo({ port: yield* port, allowHalfOpen: true } as tls.ConnectionOptions)
      socket.pause()
      socket.end("much\n")
      let got = 0
      yield* Effect.callback<void>((resume) => {
        socket.on("data", (chunk) => {
          got += chunk.length
          socket.pause()
          setImmediate(() => socket.resume())
        })
        socket.once("end", () => resume(Effect.void)).resume()
      })
      assert.strictEqual(got, 8 * 1_048_576 + 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served({ drainTimeout: 0, maxReply: "16MiB" }, () =>
          Effect.succeed(Response.andClose(Response.make("x".repeat(8 * 1_048_576))))
        )
      )
    )
  )

  it.live("asks for another handshake in the middle is cut off", () =>
    Effect.gen(function* () {
      const socket = yield* speak({ maxVersion: "TLSv1.2" })
      const ended = yield* Effect.callback<string>((resume) => {
        socket.once("error", (error) => resume(Effect.succeed(error.message)))
        socket.once("close", () => resume(Effect.succeed("closed")))
        socket.renegotiate({}, (error) => resume(Effect.succeed(error === null ? "renegotiated" : error.message)))
      })
      assert.notStrictEqual(ended, "renegotiated")
      assert.strictEqual(yield* ask("hello"), "hello")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live.each([
    { what: "breaks its records", data: Buffer.from("this is no record, and was not encrypted\r\n") },
    {
      what: "sends a record that is too large",
      data: Buffer.concat([Buffer.from([23, 3, 3, 255, 255]), Buffer.alloc(65_535)])
    },
    {
      what: "sends a record that it has not encrypted",
      data: Buffer.from([23, 3, 3, 0, 6, 104, 101, 108, 108, 111, 10])
    }
  ])("$what is cut off, and its requests are not taken", ({ data }) =>
    Effect.gen(function* () {
      const server = yield* Lines
      const raw = yield* socketTo(yield* port)
      const socket = yield* tlsTo({ socket: raw })
      socket.write("hello\n")
      assert.strictEqual(yield* lineOf(socket), "hello\n")
      raw.write(data)
      yield* closed(raw)
      yield* until(Effect.map(server.connections, (all) => all.length === 0))
      assert.strictEqual((yield* server.counts).Completed, 1)
      assert.strictEqual(yield* ask("still here"), "still here")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("is introduced by a balancer in the same packet as its hello is who the balancer says", () => {
    const { handler, peers } = known()
    return Effect.gen(function* () {
      const raw = yield* socketTo(yield* port)
      // The hello of a client that has no network, after the header.
      const hello = yield* helloOf
      raw.write(Buffer.concat([Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"), hello.bytes]))
      hello.to(raw)
      hello.socket.write("hello\n")
      assert.strictEqual(yield* lineOf(hello.socket), "hello\n")
      assert.strictEqual(peers[0]?.name, "192.0.2.7:4000")
      assert.strictEqual(peers[0]?.tls?.protocol, "TLSv1.3")
    }).pipe(Effect.scoped, Effect.provide(served({ proxyProtocol: ["127.0.0.1"] }, handler)))
  })

  it.live.each([
    { what: "a part of its hello", part: 0.5 },
    { what: "its hello", part: 1 }
  ])("has sent $what when a stop begins, and its request after the handshake is answered", ({ part }) =>
    Effect.gen(function* () {
      const server = yield* Lines
      const raw = yield* socketTo(yield* port)
      const hello = yield* helloOf
      const sent = Math.floor(hello.bytes.length * part)
      yield* Effect.callback<void>((resume) => {
        // It is read in a turn of this very loop.
        raw.write(hello.bytes.subarray(0, sent), () => setImmediate(() => resume(Effect.void)))
      })
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* server.stopping
      if (part < 1) raw.write(hello.bytes.subarray(sent))
      hello.to(raw)
      hello.socket.write("hello\n")
      assert.strictEqual(yield* lineOf(hello.socket), "hello\n")
      hello.socket.end()
      const { completed, connections, interrupted } = yield* Fiber.join(stop)
      assert.deepStrictEqual({ completed, connections, interrupted }, { completed: 1, connections: 1, interrupted: 0 })
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("is not let in is closed before a handshake", () =>
    Effect.gen(function* () {
      const reasons = yield* refusals
      yield* Effect.flip(tlsTo({ port: yield* port }))
      assert.strictEqual(yield* Queue.take(reasons), "verify")
    }).pipe(Effect.scoped, Effect.provide(served({ verify: () => false })))
  )
})

/** A client's first bytes, and the client, to be joined to a socket after them. */
const helloOf = Effect.callback<{
  readonly bytes: Buffer
  readonly socket: tls.TLSSocket
  readonly to: (raw: net.Socket) => void
}>((resume) => {
  let to: net.Socket | undefined
  const joined = (raw: net.Socket) => {
    to = raw
    raw.on("data", (chunk) => between.push(chunk))
  }
  const between = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      if (to !== undefined) to.write(chunk)
      else setImmediate(() => resume(Effect.succeed({ bytes: chunk, socket, to: joined })))
      done()
    }
  })
  const socket = tls.connect({ socket: between, ca: fs.readFileSync(own.cert), host: "127.0.0.1" })
})

describe("a client", () => {
  const failing = (options: NodeClient.TlsTrustOptions) =>
    Effect.flip(Effect.scoped(NodeClient.wire(Endpoint.tls("127.0.0.1", 1), { tls: options })))

  it.live.each([
    [{ cert: own.cert }, "Invalid option key: it is missing, but there is a cert"],
    [{ key: own.key }, "Invalid option cert: it is missing, but there is a key"],
    [{ serverName: "127.0.0.1" }, 'Invalid option serverName: it must be a host name, not "127.0.0.1"'],
    [{ ca: "/no/ca.pem" }, "Invalid option ca: there is no file /no/ca.pem"]
  ] as const)("says what is wrong with %j", ([options, message]) =>
    Effect.gen(function* () {
      assert.include((yield* failing(options)).message, message)
    })
  )

  it.live("refuses a server whose certificate is for another name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        NodeClient.wire(Endpoint.tls("127.0.0.1", yield* port), { tls: { ca: own.cert, serverName: "example.org" } })
      )
      assert.match(error.message, /the TLS handshake failed: Hostname\/IP does not match certificate's altnames/)
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("trusts and shows what its program says, as text too, unless its URL says otherwise", () =>
    Effect.gen(function* () {
      const url = `tls://127.0.0.1:${yield* port}`
      const ca = fs.readFileSync(own.cert, "utf8")
      const options = { tls: { ca, cert: device.cert, key: device.key, serverName: "localhost" } }
      const client = yield* NodeClient.connect(Lines, url, options)
      assert.strictEqual(yield* client.send("?"), "localhost device")
      const bytes = yield* NodeClient.connect({ protocol: Protocol.bytes() }, url, options)
      assert.strictEqual(bytes.peer.tls?.protocol, "TLSv1.3")
      const error = yield* Effect.flip(NodeClient.connect(Lines, `${url}?serverName=example.org`, options))
      assert.match(error.message, /does not match certificate's altnames/)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served({ ca: authority.cert }, ({ peer }) =>
          Effect.succeed(Response.make(`${peer.tls?.serverName} ${peer.tls?.certificate?.subject["CN"]}`))
        )
      )
    )
  )

  it.live("says in a few words why a server refuses it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        NodeClient.wire(Endpoint.tls("127.0.0.1", yield* port), { tls: { ca: own.cert, alpn: ["two"] } })
      )
      assert.match(error.message, /: the TLS handshake failed: tlsv1 alert no application protocol$/)
    }).pipe(Effect.scoped, Effect.provide(served({ alpn: ["one"] })))
  )

  it.live("says that a server does not speak TLS", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer((socket) => socket.on("error", () => {}).end("220 mail.test\r\n"))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as net.AddressInfo
      const error = yield* Effect.flip(NodeClient.wire(Endpoint.tls("127.0.0.1", port)))
      assert.strictEqual(
        error.message,
        `Cannot connect to tls://127.0.0.1:${port}: the TLS handshake failed: the server does not speak TLS`
      )
    }).pipe(Effect.scoped)
  )
})
