/** Peers that take new keys over TLS 1.3: as honest ones do, and without an end. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as tls from "node:tls"
import { directory, selfSigned } from "./support/certificates.ts"
import { KeyPeer, Records, secretOf } from "./support/keyPeer.ts"

const own = selfSigned(directory(), "localhost")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const served = (options: Partial<TlsServer.TlsServerOptions> = {}, lines: Array<string> = []) =>
  Layer.provideMerge(
    Lines.serve(({ body }) => Effect.succeed(Response.make(body.length > 100 ? "much" : body))),
    TlsServer.layer(Lines, { ...own, ...options })
  ).pipe(Layer.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))

const portOf = Effect.map(Lines, (server) => (server.address as Endpoint.Tls).port)

const peer = (first?: (records: Records) => Buffer) =>
  Effect.flatMap(portOf, (port) =>
    Effect.acquireRelease(
      Effect.promise(() => KeyPeer.connect(port, first)),
      ({ raw }) => Effect.sync(() => raw.destroy())
    )
  )

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
const until = <R>(holds: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  Effect.flatMap(holds, (now) => (now ? Effect.void : Effect.andThen(turn, until(holds))))
const untilTrue = (holds: () => boolean) => until(Effect.sync(holds))

/** So many were reset for it, and nothing of them is left. */
const reset = (count: number) =>
  Effect.gen(function* () {
    const server = yield* Lines
    yield* until(Effect.map(server.counts, ({ Malformed }) => Malformed >= count))
    assert.strictEqual((yield* server.counts).Malformed, count)
    yield* until(Effect.map(server.connections, (all) => all.length === 0))
  })

describe("new keys", () => {
  it.live("are taken in the middle of what is asked and answered", () =>
    Effect.gen(function* () {
      const one = yield* peer()
      let expected = ""
      for (let n = 0; n < 20; n++) {
        one.raw.write(
          Buffer.concat([one.records.data(`before ${n}\n`), one.records.update(), one.records.data("after\n")])
        )
        expected += `before ${n}\nafter\n`
        yield* untilTrue(() => one.answered.length >= expected.length)
      }
      assert.strictEqual(one.answered, expected)
      // In the middle of a request, too.
      one.raw.write(Buffer.concat([one.records.data("ha"), one.records.update(), one.records.data("lf\n")]))
      yield* untilTrue(() => one.answered.endsWith("half\n"))
    }).pipe(Effect.provide(served()))
  )

  it.live("may be many of a peer that sends much", () =>
    Effect.gen(function* () {
      const one = yield* peer()
      const line = Buffer.alloc(16_383, "x").toString()
      // Four for each three MiB.
      for (let n = 1; n <= 40; n++) {
        for (let record = 0; record < 48; record++) one.raw.write(one.records.data(`${line}\n`))
        one.raw.write(one.records.update())
        yield* untilTrue(() => one.closed || one.answered.length >= n * 48 * 5)
      }
      assert.isFalse(one.closed)
    }).pipe(Effect.provide(served()))
  )

  it.live("are none where each byte is a record", () =>
    Effect.gen(function* () {
      const one = yield* peer()
      const text = "a\n".repeat(5_000)
      one.raw.write(one.records.drops(text))
      yield* untilTrue(() => one.closed || one.answered.length >= text.length)
      assert.strictEqual(one.answered, text)
    }).pipe(Effect.provide(served()))
  )
})

describe("a flood of new keys", () => {
  for (const reads of [false, true]) {
    it.live(`is cut off, and told, of a peer that ${reads ? "reads" : "does not read"} its answers`, () => {
      const lines: Array<string> = []
      return Effect.gen(function* () {
        const server = yield* Lines
        const seen = yield* Effect.forkScoped(Stream.runHead(server.outcomes), { startImmediately: true })
        const one = yield* peer()
        if (!reads) one.raw.pause()
        one.flood()
        yield* reset(1)
        const event = Option.getOrThrow(yield* Fiber.join(seen)) as Outcome.Event
        assert.strictEqual(event.outcome._tag, "Malformed")
        assert.include((event.outcome as Outcome.Malformed).reason, "more than 32 new keys")
        assert.isTrue(
          lines.some((line) => line.includes("newKeys (32) is reached: reset 127.0.0.1")),
          lines.join("\n")
        )
        assert.strictEqual((yield* server.connections).length, 0)
      }).pipe(Effect.provide(served({}, lines)))
    })
  }

  it.live("is cut off though a byte comes now and then", () =>
    Effect.gen(function* () {
      const one = yield* peer()
      for (let n = 0; n < 200; n++) one.raw.write(Buffer.concat([one.records.updates(30), one.records.data("a\n")]))
      yield* reset(1)
    }).pipe(Effect.provide(served()))
  )

  it.live("is cut off where it comes with the end of the handshake", () =>
    Effect.gen(function* () {
      const one = yield* peer((records) => records.updates(100))
      yield* reset(1)
      yield* untilTrue(() => one.closed)
    }).pipe(Effect.provide(served()))
  )

  it.live("of several keeps nobody else from being served", () =>
    Effect.gen(function* () {
      const good = yield* peer()
      const bad = yield* Effect.all(Array.from({ length: 8 }, () => peer()))
      for (const one of bad) one.flood()
      const server = yield* Lines
      yield* until(Effect.map(server.counts, ({ Malformed }) => Malformed === 8))
      good.raw.write(good.records.data("still here\n"))
      yield* untilTrue(() => good.answered === "still here\n")
      assert.strictEqual((yield* server.connections).length, 1)
    }).pipe(Effect.provide(served()))
  )

  it.live("on many connections of a peer takes a turn of the event loop for each", () =>
    Effect.gen(function* () {
      const bad = yield* Effect.all(Array.from({ length: 8 }, () => peer()))
      for (const one of bad) one.raw.write(one.records.updates(1_000))
      const server = yield* Lines
      let [most, before] = [0, 0]
      yield* until(
        Effect.map(server.counts, ({ Malformed }) => {
          most = Math.max(most, Malformed - before)
          before = Malformed
          return Malformed === 8
        })
      )
      // The test may miss a turn.
      assert.isAtMost(most, 2)
    }).pipe(Effect.provide(served()))
  )

  it.live("keeps no server from stopping", () =>
    Effect.gen(function* () {
      const one = yield* Effect.scoped(
        Effect.gen(function* () {
          const one = yield* peer()
          one.flood()
          return one
        }).pipe(Effect.provide(served()))
      )
      yield* untilTrue(() => one.closed)
    })
  )

  it.live("of a server ends its client's connection", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<tls.Server>((resume) => {
          const files = { cert: fs.readFileSync(own.cert), key: fs.readFileSync(own.key) }
          const server = tls.createServer({ ...files, ciphers: "TLS_AES_128_GCM_SHA256" }, (socket) => {
            const { _parent: raw } = socket as never as { readonly _parent: tls.TLSSocket }
            socket.on("error", () => {})
            socket.on("data", () => {
              // Two tickets were sent before.
              raw.write(new Records(secret as Buffer, 2).updates(100))
              Deferred.doneUnsafe(asked, Effect.void)
            })
          })
          let secret: Buffer | undefined
          server.on("keylog", (line) => (secret = secretOf(line, "SERVER_TRAFFIC_SECRET_0") ?? secret))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as { readonly port: number }
      const client = yield* NodeClient.connect(Lines, Endpoint.tls("127.0.0.1", port), { tls: { ca: own.cert } })
      const failed = yield* Effect.flip(client.send("hello"))
      yield* Deferred.await(asked)
      assert.include(String(failed), "more than 32 new keys")
    })
  )
})
