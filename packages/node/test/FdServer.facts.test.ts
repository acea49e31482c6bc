import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { BindFailed } from "@socketserver/core/ServerError"
import * as FdServer from "@socketserver/node/FdServer"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { inet, unix } from "./support/descriptors.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const failure = (fd: number) =>
  Effect.map(
    Effect.flip(Effect.scoped(Layer.build(FdServer.layer(Lines, { fd })))),
    ({ reason }) => reason as BindFailed
  )

const file = Effect.acquireRelease(
  Effect.sync(() => fs.openSync("/dev/null", "r")),
  (fd) => Effect.sync(() => fs.closeSync(fd))
)

const descriptors = Effect.sync(() => fs.readdirSync("/proc/self/fd").length)

// That inherited sockets are served is shown by `Endpoints.integration.test.ts`: a program cannot make one for itself.
describe("a descriptor that is no socket", () => {
  it.live(
    "is refused, left open, and leaks none in 1,024 attempts",
    () =>
      Effect.gen(function* () {
        const fd = yield* file
        const { endpoint, kind, message } = yield* failure(fd)
        assert.deepStrictEqual([endpoint, kind], [`fd://${fd}`, "InvalidDescriptor"])
        assert.strictEqual(
          message,
          `Cannot bind fd://${fd}: that descriptor is no socket that can be served; it must be open, and listen or receive datagrams, when the program starts`
        )
        const before = yield* descriptors
        yield* Effect.repeat(failure(fd), { times: 1_023 })
        assert.strictEqual(yield* descriptors, before)
        assert.isTrue(fs.fstatSync(fd).isCharacterDevice())
      }),
    60_000
  )

  it.live.each([-1, 1.5, Number.NaN, 1_000_000])("%s is refused", (fd) =>
    Effect.map(failure(fd), ({ kind }) => assert.strictEqual(kind, "InvalidDescriptor"))
  )
})

describe("a descriptor that is given twice", () => {
  it.live("is refused before it is taken", () =>
    Effect.map(
      Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, "fd://3,memory:m,fd://3?allow=::1")))),
      ({ message }) =>
        assert.strictEqual(message, "Cannot bind fd://3?allow=::1: descriptor 3 is given twice; name it once")
    )
  )
})

describe("a descriptor that another server of the program has", () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "twice-"))
  afterAll(() => fs.rmSync(directory, { recursive: true }))
  const makers = {
    tcp: () => inet("stream"),
    udp: () => inet("datagrams"),
    unix: () => unix("stream", join(directory, "stream")),
    unixgram: () => unix("datagrams", join(directory, "datagrams"))
  }
  for (const [kind, make] of Object.entries(makers)) {
    it.live(`is refused, and served by that one: ${kind}`, () =>
      Effect.gen(function* () {
        const fd = make()
        yield* Effect.gen(function* () {
          const { kind, message } = yield* failure(fd)
          assert.strictEqual(kind, "AddressInUse")
          assert.include(message, `Cannot bind fd://${fd}: `)
          assert.include(message, "of this program has descriptor")
          const client = yield* Lines.client
          assert.strictEqual(yield* client.send("hello"), "hello")
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Layer.provideMerge(
              Lines.serve(({ body }) => Effect.succeed(Response.make(body))),
              FdServer.layer(Lines, { fd })
            )
          )
        )
        // It is closed with that one.
        assert.strictEqual((yield* failure(fd)).kind, "InvalidDescriptor")
      })
    )
  }
})

describe("proxyProtocol of an inherited socket", () => {
  const directory = fs.mkdtempSync(join(tmpdir(), "header-"))
  afterAll(() => fs.rmSync(directory, { recursive: true }))
  let paths = 0
  const path = () => join(directory, String(++paths))
  const makers = {
    tcp: () => inet("stream"),
    udp: () => inet("datagrams"),
    unix: () => unix("stream", path()),
    unixgram: () => unix("datagrams", path())
  }
  const networks = ["127.0.0.0/8"]
  const header = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
  const believed = [
    ["tcp", networks],
    ["unix", true]
  ] as const
  for (const [kind, proxyProtocol] of believed) {
    it.live(`says whose connections begin with a header: ${JSON.stringify(proxyProtocol)} of ${kind}`, () =>
      Effect.gen(function* () {
        const { address } = yield* Lines
        const { host, path, port } = address as { host?: string; path?: string; port?: number }
        const answer = yield* Effect.callback<string>((resume) => {
          const socket = net.connect((path === undefined ? { host, port } : { path }) as net.NetConnectOpts)
          socket.on("error", () => {})
          socket.once("data", (data) => {
            socket.destroy()
            resume(Effect.succeed(String(data)))
          })
          socket.write(`${header}who\n`)
        })
        assert.strictEqual(answer, "192.0.2.7:56324\n")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.provideMerge(
            Lines.serve(({ connection }) => Effect.succeed(Response.make(connection.peer.name))),
            Layer.unwrap(Effect.sync(() => FdServer.layer(Lines, { fd: makers[kind](), proxyProtocol })))
          )
        )
      )
    )
  }

  const mends = {
    tcp: /is a TCP socket, and everybody could say who he is; name the networks of the balancers$/,
    unix: /is a Unix socket, whose peers have no addresses; true believes everybody who may connect$/,
    datagrams: /is a socket of datagrams, which have no header; leave it out$/
  }
  const refused = [
    ["tcp", true, mends.tcp],
    ["unix", networks, mends.unix],
    ["udp", true, mends.datagrams],
    ["udp", networks, mends.datagrams],
    ["unixgram", true, mends.datagrams],
    ["unixgram", networks, mends.datagrams]
  ] as const
  for (const [kind, proxyProtocol, says] of refused) {
    for (const written of ["option", "URL"]) {
      it.live(`is refused where it would mean nothing: ${JSON.stringify(proxyProtocol)} of ${kind}, ${written}`, () =>
        Effect.gen(function* () {
          const fd = makers[kind]()
          const layer =
            written === "option"
              ? FdServer.layer(Lines, { fd, proxyProtocol })
              : NodeServer.layer(Lines, `fd://${fd}?proxyProtocol=${String(proxyProtocol)}`)
          const { message } = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          assert.match(message, /Invalid option proxyProtocol/)
          assert.match(message, says)
        })
      )
    }
  }
})

describe("a name", () => {
  it.live("that nobody handed down is refused, and says why", () =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, Endpoint.fd("web"))))), ({ message }) =>
      assert.strictEqual(
        message,
        "Cannot bind fd://web: no sockets were handed to this program (LISTEN_FDS is not set); start it by its socket unit"
      )
    )
  )
})
