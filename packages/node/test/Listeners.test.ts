import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Answers with the listener that a request came to. */
const where: Handler.Handler<string, string> = (request) =>
  Effect.succeed(Response.make(`${request.body} at ${request.connection.listener}`))

const served = <E>(transport: Layer.Layer<Lines, E>, handler = where) =>
  Layer.provideMerge(Lines.serve(handler), transport).pipe(Layer.provide(Logger.layer([])))

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(join(tmpdir(), "listeners-"))),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const ask = (address: Endpoint.Endpoint, line: string) =>
  Effect.scoped(Effect.flatMap(NodeClient.connect(Lines, address), (client) => client.send(line)))

describe("several listeners", () => {
  it.live("are one server: each connection knows its listener, and all requests come in one stream", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      yield* Effect.gen(function* () {
        const { addresses, counts } = yield* Lines
        assert.deepStrictEqual(
          addresses.map(({ _tag }) => _tag),
          ["Tcp", "Unix", "Udp", "Memory"]
        )
        for (const address of addresses) {
          assert.strictEqual(yield* ask(address, "hello"), `hello at ${address}`)
        }
        assert.strictEqual((yield* counts).Completed, 4)
      }).pipe(
        Effect.provide(served(NodeServer.layer(Lines, `tcp://127.0.0.1:0,unix://${path},udp://[::1]:0,memory:here`)))
      )
      assert.isFalse(fs.existsSync(path))
    })
  )

  it.live("come from LISTEN", () =>
    Effect.gen(function* () {
      const { address, addresses } = yield* Lines
      assert.strictEqual(addresses.length, 2)
      assert.strictEqual(address, addresses[0])
      for (const address of addresses) assert.strictEqual(yield* ask(address, "hi"), `hi at ${address}`)
    }).pipe(
      Effect.provide(served(NodeServer.layerConfig(Lines))),
      Effect.provide(
        ConfigProvider.layer(
          ConfigProvider.fromEnv({ env: { LISTEN: "tcp://127.0.0.1:0?backlog=5, udp://127.0.0.1:0" } })
        )
      )
    )
  )

  it.live("share one budget of connections", () => {
    const gate = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const { addresses, connections, counts } = yield* Lines
      const [one, two] = yield* Effect.forEach(addresses, (address) => NodeClient.connect(Lines, address))
      yield* Effect.forEach([one!, two!], (client) => client.write("hello"))
      while ((yield* connections).length < 2) yield* Effect.yieldNow
      const third = yield* NodeClient.connect(Lines, addresses[1]!)
      assert.deepStrictEqual([...(yield* Stream.runCollect(Stream.orElseSucceed(third.stream, () => "reset")))], [])
      assert.strictEqual((yield* counts).Refused, 1)
      yield* gate.open
      assert.strictEqual(yield* one!.take, `hello at ${addresses[0]}`)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served(NodeServer.layer(Lines, "tcp://127.0.0.1:0,tcp://[::1]:0", { maxConnections: 2 }), (request) =>
          Effect.andThen(gate.await, where(request))
        )
      )
    )
  })

  it.live("of which one cannot be bound leave none bound, and no path", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const taken = yield* Effect.map(Lines, ({ address }) => address)
      const failure: ServerError = yield* Effect.flip(
        Effect.scoped(Layer.build(NodeServer.layer(Lines, `memory:first,unix://${path},${taken}`)))
      )
      assert.strictEqual(
        failure.message,
        `Cannot bind ${taken}: address in use by this very program, which provides Lines twice; make its layer once, and provide that one`
      )
      assert.isFalse(fs.existsSync(path))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(MemoryServer.wire("first")))).kind, "Refused")
    }).pipe(Effect.provide(TcpServer.layer(Lines)))
  )

  it.live("of which one cannot be bound let go of who has connected to another before", () =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const connect = Effect.provideService(NodeClient.connect(Lines, "memory:first"), Scope.Scope, scope)
      const client = yield* Deferred.make<Effect.Success<typeof connect>>()
      const failing: Transport.Listen = () =>
        Effect.gen(function* () {
          const connected = yield* Effect.orDie(connect)
          yield* Effect.orDie(connected.write("hello"))
          yield* Deferred.succeed(client, connected)
          return yield* Effect.fail(new ServerError({ reason: new InvalidOption({ option: "none", problem: "none" }) }))
        })
      const transport = Transport.layer(Lines, {}, [MemoryServer.listen("first"), failing])
      assert.strictEqual((yield* Effect.flip(Effect.scoped(Layer.build(transport)))).reason._tag, "InvalidOption")
      yield* Effect.exit(Stream.runDrain((yield* Deferred.await(client)).stream))
    }).pipe(Effect.scoped)
  )

  it.live("stop together", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        served(
          Transport.layer(Lines, {}, [TcpServer.listen(), TcpServer.listen({ host: "::1" }), MemoryServer.listen("m")])
        ),
        scope
      )
      const { addresses } = Context.get(context, Lines)
      for (const address of addresses) assert.strictEqual(yield* ask(address, "hi"), `hi at ${address}`)
      yield* Scope.close(scope, Exit.void)
      for (const address of addresses)
        assert.strictEqual((yield* Effect.flip(ask(address, "hi")))._tag, "ConnectFailed")
    })
  )

  it.live("accept nobody where one of them has died before all were bound", () =>
    Effect.gen(function* () {
      const dead: Transport.Listen = (sink) =>
        Effect.sync(() => {
          sink.fail(new Error("broken"))
          return { address: Endpoint.memory("dead"), close: () => {}, connect: MemoryServer.wire("dead") }
        })
      const context = yield* Layer.build(Transport.layer(Lines, {}, [MemoryServer.listen("living"), dead]))
      assert.strictEqual((yield* Effect.flip(MemoryServer.wire("living"))).kind, "Refused")
      const failure = yield* Effect.flip(Effect.provide(Lines.run(where), context))
      assert.match(failure.message, /broken$/)
    }).pipe(Effect.scoped)
  )

  it.live("fail together when one of them dies", () =>
    Effect.gen(function* () {
      const dying: Transport.Listen = (sink) =>
        Effect.as(Effect.forkScoped(Effect.sync(() => sink.fail(new Error("broken")))), {
          address: Endpoint.memory("dying"),
          close: () => {},
          connect: MemoryServer.wire("dying")
        })
      const transport = Transport.layer(Lines, {}, [MemoryServer.listen("living"), dying])
      const failure = yield* Effect.flip(Effect.provide(Lines.run(where), transport))
      assert.strictEqual(failure.message, "The listener on memory:dying failed: broken")
    })
  )
})

describe("the options of a URL", () => {
  const invalid = (text: string) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, text)))), ({ message }) => message)

  it.live.each([
    [
      "tcp://127.0.0.1:0?backlok=5",
      "backlok is no option of this transport. Accepted: backlog=, noDelay=, keepAlive=, reusePort=, ipv6Only=, allow=, proxyProtocol=, proxyTimeout="
    ],
    ["tcp://127.0.0.1:0?backlog=0", 'backlog must be an integer from 1 to 2147483647, not "0". Accepted: '],
    ["tcp://127.0.0.1:0?noDelay=yes", 'noDelay must be true or false, not "yes". Accepted: '],
    ["tcp://127.0.0.1:0?keepAlive=5", 'keepAlive must be a positive time, not "5"; write "30s", or "off"'],
    ["tcp://127.0.0.1:0?toString=1", "toString is no option of this transport. Accepted: "],
    ["unix:///tmp/s?mode=999", 'mode must be an octal mode, as in 660, not "999". Accepted: mode=, '],
    ["udp://127.0.0.1:0?multicast=", 'multicast must be a list, separated by commas, not "". Accepted: ']
  ])("that cannot be used are named: %s", ([url, problem]) =>
    Effect.map(invalid(url!), (message) =>
      assert.include(message, `Invalid endpoint ${JSON.stringify(url)}: ${problem}`)
    )
  )

  it.live("win over those of the program", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const mode = Effect.sync(() => (fs.lstatSync(path).mode & 0o777).toString(8))
      const layer = (url: string) => served(NodeServer.layer(Lines, url, { unix: { mode: 0o600 } }))
      assert.strictEqual(yield* Effect.provide(mode, layer(`unix://${path}`)), "600")
      assert.strictEqual(yield* Effect.provide(mode, layer(`unix://${path}?mode=666`)), "666")
    })
  )

  it.live("are there for clients, too", () =>
    Effect.gen(function* () {
      const { address } = yield* Lines
      assert.strictEqual(
        yield* Effect.scoped(
          Effect.flatMap(NodeClient.connect(Lines, `${address}?noDelay=false`), (client) => client.send("hi"))
        ),
        `hi at ${address}`
      )
      const failure = yield* Effect.flip(Effect.scoped(NodeClient.connect(Lines, `${address}?backlog=5`)))
      assert.match(failure.message, /: backlog is no option of a client\. Accepted: connectTimeout=, noDelay=$/)
    }).pipe(Effect.provide(served(TcpServer.layer(Lines))))
  )

  it.live("reach the socket", () =>
    Effect.gen(function* () {
      const layer = (reuse: boolean, port: number) =>
        NodeServer.layer(Lines, `tcp://127.0.0.1:${port}?reusePort=${reuse}`)
      const first = Context.get(yield* Layer.build(layer(true, 0)), Lines).address as Endpoint.Tcp
      yield* Layer.build(layer(true, first.port))
      assert.strictEqual((yield* Effect.flip(Layer.build(layer(false, first.port)))).reason._tag, "BindFailed")
      assert.isTrue(net.isIPv4(first.host))
    }).pipe(Effect.scoped)
  )
})
