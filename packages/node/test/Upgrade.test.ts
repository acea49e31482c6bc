import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as net from "node:net"
import { join } from "node:path"
import { directory, selfSigned } from "./support/certificates.ts"

const home = directory()
const own = selfSigned(home, "own")
const other = selfSigned(home, "other")

class Mail extends Server.Service<Mail>()("Mail", {
  protocol: Protocol.connection(Protocol.lines({ terminator: "\r\n" }))
}) {}

type Line = Connection.Connection<string, string>

/** Takes commands, each answered with its place, how it came, and what it was. */
const answering =
  (credentials: TlsServer.Credentials, seen: Array<string>) =>
  (connection: Line): Effect.Effect<void, unknown> =>
    Stream.runForEach(connection.stream, (command): Effect.Effect<void, unknown> =>
      command === "STARTTLS"
        ? TlsServer.upgrade(connection, credentials, { last: "220 go ahead" })
        : Effect.suspend(() => {
            const how = connection.peer.tls?.protocol ?? "clear"
            seen.push(`${how}: ${command}`)
            return connection.write(`250 ${how} ${command}`)
          })
    )

const served = (
  options: Partial<TlsServer.TlsOptions> = {},
  seen: Array<string> = [],
  failures: Array<string> = [],
  place: Layer.Layer<Mail, unknown> = TcpServer.layer(Mail, { drainTimeout: "1 second" })
) =>
  Layer.unwrap(
    Effect.map(TlsServer.credentials({ ...own, ...options }), (credentials) =>
      Mail.serve(
        Handler.dialogue((connection: Line) =>
          Effect.catch(answering(credentials, seen)(connection), (error) =>
            Effect.sync(() => void failures.push(String((error as Error).message)))
          )
        )
      )
    )
  ).pipe(Layer.provideMerge(place), Layer.provide(Logger.layer([])))

const outcomes = Effect.gen(function* () {
  const server = yield* Mail
  const events = yield* Queue.unbounded<Outcome.Outcome>()
  yield* Effect.forkScoped(
    Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(events, outcome)),
    { startImmediately: true }
  )
  return events
})

const trust = { ca: own.cert, serverName: "localhost" }

describe("an upgraded connection", () => {
  it.live("goes on encrypted, both ways, with what is known of its peer", () => {
    const seen: Array<string> = []
    return Effect.gen(function* () {
      const server = yield* Mail
      const client = yield* Mail.client
      assert.strictEqual(yield* client.send("EHLO"), "250 clear EHLO")
      const inClear = client.bytesRead
      assert.strictEqual(yield* client.send("STARTTLS"), "220 go ahead")
      assert.strictEqual(client.peer.tls, undefined)
      yield* NodeClient.upgrade(client, trust)
      assert.deepStrictEqual(
        [client.peer.tls?.protocol, client.peer.tls?.certificate?.subject["CN"], client.peer.transport],
        ["TLSv1.3", "own", "tcp"]
      )
      for (const line of ["EHLO again", "x".repeat(20_000), "ß€😀"]) {
        assert.strictEqual(yield* client.send(line), `250 TLSv1.3 ${line}`)
      }
      assert.isAbove(client.bytesRead, inClear + 20_000)
      assert.strictEqual((yield* server.connections)[0]?.peer.tls?.serverName, "localhost")
      yield* client.write("last")
      yield* client.end
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["250 TLSv1.3 last"])
      assert.strictEqual(seen[0], "clear: EHLO")
      assert.strictEqual(seen.filter((line) => line.startsWith("TLSv1.3: ")).length, 4)
    }).pipe(Effect.scoped, Effect.provide(served({}, seen)))
  })

  it.live("can be one of a Unix socket, whose user is known on", () => {
    const peers = process.platform === "linux" ? "any" : undefined
    const place = UnixServer.layer(Mail, { path: join(home, "mail.sock"), peers })
    return Effect.gen(function* () {
      const server = yield* Mail
      const client = yield* Mail.client
      assert.strictEqual(yield* client.send("STARTTLS"), "220 go ahead")
      yield* NodeClient.upgrade(client, trust)
      assert.strictEqual(yield* client.send("EHLO"), "250 TLSv1.3 EHLO")
      const [connection] = yield* server.connections
      assert.strictEqual(connection?.peer.credentials?.uid, peers && process.getuid?.())
    }).pipe(Effect.scoped, Effect.provide(served({}, [], [], place)))
  })

  it.live("sends what was written before in clear, and what is written meanwhile encrypted", () =>
    Effect.gen(function* () {
      const client = yield* Mail.client
      yield* client.take
      assert.strictEqual((yield* client.take).length, 60_000)
      assert.strictEqual(yield* client.take, "go")
      yield* NodeClient.upgrade(client, trust)
      assert.strictEqual(yield* client.take, "meanwhile")
      assert.strictEqual(yield* client.take, "after")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.unwrap(
          Effect.map(TlsServer.credentials(own), (credentials) =>
            Mail.serve(
              Handler.dialogue((connection: Line) =>
                Effect.gen(function* () {
                  yield* connection.write("before")
                  yield* connection.write("y".repeat(60_000))
                  const upgrade = TlsServer.upgrade(connection, credentials, { last: "go" })
                  yield* Effect.all([upgrade, connection.write("meanwhile")], { concurrency: 2 })
                  yield* connection.write("after")
                  yield* Stream.runDrain(connection.stream)
                }).pipe(Effect.orDie)
              )
            )
          )
        ).pipe(Layer.provideMerge(TcpServer.layer(Mail)))
      )
    )
  )
})

describe("whether a connection can be upgraded", () => {
  const asked = (place: Layer.Layer<Mail, unknown>) => {
    const said: Array<boolean> = []
    const handler = (credentials: TlsServer.Credentials) =>
      Handler.dialogue((connection: Line) =>
        Effect.gen(function* () {
          said.push(TlsServer.canUpgrade(connection))
          if (said[0] === true) yield* TlsServer.upgrade(connection, credentials, { last: "go" })
          else yield* connection.write("no")
          said.push(TlsServer.canUpgrade(connection))
          yield* Stream.runDrain(connection.stream)
          yield* connection.close
          said.push(TlsServer.canUpgrade(connection))
        }).pipe(Effect.orDie)
      )
    const layer = Layer.unwrap(Effect.map(TlsServer.credentials(own), (all) => Mail.serve(handler(all)))).pipe(
      Layer.provideMerge(place)
    )
    return Effect.gen(function* () {
      const client = yield* Mail.client
      if ((yield* client.take) === "go") yield* NodeClient.upgrade(client, trust)
      yield* client.end
      yield* Stream.runDrain(client.stream)
      return said
    }).pipe(Effect.scoped, Effect.provide(layer))
  }

  it.live.each([
    { place: TcpServer.layer(Mail), over: "TCP", said: [true, false, false] },
    {
      place: UnixServer.layer(Mail, { path: join(home, "can.sock") }),
      over: "a Unix socket",
      said: [true, false, false]
    },
    { place: TlsServer.layer(Mail, own), over: "TLS", said: [false, false, false] },
    { place: MemoryServer.layer(Mail), over: "memory", said: [false, false, false] }
  ])("is known over $over", ({ place, said }) => Effect.map(asked(place), (got) => assert.deepStrictEqual(got, said)))
})

describe("an upgrade", () => {
  const injected = "the peer has sent more in clear after it had asked for encryption"

  for (const { data, what } of [
    { what: "a whole command", data: "STARTTLS\r\nRCPT TO:<eve>\r\n" },
    { what: "the start of one", data: "STARTTLS\r\nRCPT" },
    { what: "several", data: "STARTTLS\r\nA\r\nB\r\nC" }
  ]) {
    const seen: Array<string> = []
    const failures: Array<string> = []
    it.live(`takes ${what} that came in clear behind it for no encrypted one`, () =>
      Effect.gen(function* () {
        const events = yield* outcomes
        const { port } = (yield* Mail).address as Endpoint.Tcp
        const heard = yield* Effect.callback<string>((resume) => {
          let heard = ""
          const socket = net.connect({ host: "127.0.0.1", port }, () => socket.write(data))
          socket.on("data", (chunk) => (heard += String(chunk)))
          socket.on("error", () => {}).on("close", () => resume(Effect.succeed(heard)))
        })
        assert.strictEqual(heard, "")
        assert.deepStrictEqual(seen, [])
        assert.deepStrictEqual(yield* Queue.take(events), { _tag: "Refused", kind: "Opening", reason: injected })
        assert.match(
          failures[0] ?? "",
          /^Connection with 127\.0\.0\.1:\d+: it cannot be upgraded: the peer has sent more/
        )
      }).pipe(Effect.scoped, Effect.provide(served({}, seen, failures)))
    )
  }

  it.live.each([
    { what: "the only one", data: "STARTTLS\r\n", heard: "220 go ahead\r\n" },
    { what: "the last of several", data: "EHLO\r\nSTARTTLS\r\n", heard: "" },
    { what: "one before others", data: "STARTTLS\r\nRCPT TO:<eve>\r\n", heard: "" }
  ])("is only of a command that was pulled alone: $what", ({ data, heard }) =>
    Effect.gen(function* () {
      const problems: Array<string> = []
      const live = Layer.unwrap(
        Effect.map(TlsServer.credentials(own), (credentials) =>
          Mail.serve(
            Handler.dialogue((connection: Line) =>
              Effect.gen(function* () {
                while (true) {
                  for (const command of yield* connection.pull) {
                    if (command !== "STARTTLS") continue
                    yield* TlsServer.upgrade(connection, credentials, { last: "220 go ahead" })
                  }
                }
              }).pipe(Effect.catch((error) => Effect.sync(() => void problems.push(String((error as Error).message)))))
            )
          )
        )
      )
      yield* Effect.gen(function* () {
        const { port } = (yield* Mail).address as Endpoint.Tcp
        const said = yield* Effect.callback<string>((resume) => {
          let said = ""
          const socket = net.connect({ host: "127.0.0.1", port }, () => socket.write(data))
          socket.on("data", (chunk) => {
            said += String(chunk)
            socket.destroy()
          })
          socket.on("error", () => {}).on("close", () => resume(Effect.sync(() => said)))
        })
        assert.strictEqual(said, heard)
        if (heard === "") assert.match(problems.join(), /was pulled together with others, which came in clear/)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(live, TcpServer.layer(Mail, { drainTimeout: "1 second" }))),
        Effect.provide(Logger.layer([]))
      )
    })
  )

  it.live.each([
    {
      what: "speaks in clear after the consent",
      data: "EHLO mail\r\n",
      ends: { _tag: "Refused", kind: "Opening", reason: "TLS: the client does not speak TLS" }
    },
    { what: "leaves", data: "", ends: { _tag: "Cancelled", reason: "PeerGone" } }
  ] as const)("fails when the peer $what", ({ data, ends }) => {
    const seen: Array<string> = []
    return Effect.gen(function* () {
      const events = yield* outcomes
      const { port } = (yield* Mail).address as Endpoint.Tcp
      yield* Effect.callback<void>((resume) => {
        const socket = net.connect({ host: "127.0.0.1", port }, () => socket.write("STARTTLS\r\n"))
        socket.once("data", () => socket.end(data))
        socket.on("error", () => {}).on("close", () => resume(Effect.void))
      })
      assert.deepStrictEqual(yield* Queue.take(events), ends)
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.scoped, Effect.provide(served({}, seen)))
  })

  it.live("fails when the peer takes too long", () =>
    Effect.gen(function* () {
      const events = yield* outcomes
      const client = yield* Mail.client
      yield* client.send("STARTTLS")
      assert.deepStrictEqual(yield* Queue.take(events), {
        _tag: "Refused",
        kind: "Opening",
        reason: "no TLS handshake within 40 ms"
      })
      yield* Effect.flip(client.take)
    }).pipe(Effect.scoped, Effect.provide(served({ handshakeTimeout: "40 millis" })))
  )

  it.live("that is under way does not hold up the stop", () =>
    Effect.gen(function* () {
      const server = yield* Mail
      const client = yield* Mail.client
      yield* client.send("STARTTLS")
      const report = yield* server.shutdown
      assert.strictEqual(report.interrupted, 1)
      yield* Effect.exit(client.take)
    }).pipe(Effect.scoped, Effect.provide(served({}, [], [], TcpServer.layer(Mail, { drainTimeout: "40 millis" }))))
  )

  it.live("fails for a client that does not trust the server, and says nothing more in clear", () => {
    const seen: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Mail.client
      yield* client.send("STARTTLS")
      const error = yield* Effect.flip(NodeClient.upgrade(client, { ca: other.cert, serverName: "localhost" }))
      assert.strictEqual(error._tag, "UpgradeFailed")
      assert.match(error.message, /it cannot be upgraded: TLS: /)
      assert.strictEqual((yield* Effect.flip(client.write("PASS secret"))).reason._tag, "Closed")
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.scoped, Effect.provide(served({}, seen)))
  })

  it.live("is possible once", () => {
    const failures: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Mail.client
      yield* client.send("STARTTLS")
      yield* NodeClient.upgrade(client, trust)
      yield* client.write("STARTTLS")
      // Nothing is promised that cannot be kept.
      assert.strictEqual((yield* Effect.exit(client.take))._tag, "Failure")
      assert.match(failures[0] ?? "", /is not encrypted yet can be upgraded$/)
    }).pipe(Effect.scoped, Effect.provide(served({}, [], failures)))
  })

  it.effect("is not possible in memory", () => {
    const failures: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Mail.client
      yield* client.write("STARTTLS")
      assert.strictEqual((yield* Effect.exit(client.take))._tag, "Failure")
      assert.match(failures[0] ?? "", /only a connection over TCP or a Unix socket/)
    }).pipe(Effect.scoped, Effect.provide(served({}, [], failures, MemoryServer.layer(Mail))))
  })

  it.live("of a client by its own wire works as well", () =>
    Effect.gen(function* () {
      const { port } = (yield* Mail).address as Endpoint.Tcp
      const wire = yield* NodeClient.wire(`tcp://127.0.0.1:${port}`)
      const client = yield* Client.make(wire, Protocol.lines({ terminator: "\r\n" }))
      yield* client.send("STARTTLS")
      yield* NodeClient.upgrade(client, { ...trust, minVersion: "TLSv1.3", handshakeTimeout: "5 seconds" })
      assert.strictEqual(yield* client.send("hello"), "250 TLSv1.3 hello")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )
})
