/** What an operator is told of a setting that cannot be used: what is wrong, by which variable and option it came, and how to mend it. */
import { assert, describe, it } from "@effect/vitest"
import { Policy, Protocol, Response, Server, Session } from "@socketserver/core"
import { NodePolicy, NodeServer } from "@socketserver/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import * as net from "node:net"
import { settings } from "../src/internal/configuration.ts"
import { ofEnvironment, programNames } from "../src/internal/launch/settings.ts"
import { lineOf } from "../src/internal/startError.ts"
import { directory } from "./support/certificates.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

/** The line that a program prints which does not start. */
const line = (env: Record<string, string>, options?: NodeServer.LayerConfigOptions) =>
  Layer.build(NodeServer.layerConfig(Echo, options)).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
    Effect.scoped,
    Effect.flip,
    Effect.map(lineOf)
  )

const listen = "memory:messages"

describe("a variable whose value cannot be used", () => {
  const { names } = settings({})

  it.effect.each(names)("is named with it, and with the prefix of its server: %s", (name) =>
    Effect.gen(function* () {
      const plain = yield* line({ [name]: "no: such" }, { listen })
      assert.match(plain, new RegExp(`^${name}: .*"no: such"`))
      const prefixed = yield* line({ [`ECHO_${name}`]: "no: such" }, { listen, prefix: "ECHO" })
      assert.strictEqual(prefixed, `ECHO_${plain}`)
    })
  )

  it.each(programNames)("is named with it where it is of the program: %s", (name) => {
    const read = ofEnvironment({ [name]: "no: such" })
    assert(Result.isFailure(read))
    assert.match(read.failure, new RegExp(`^${name}: .*(?:"no: such"|a program does not change its user)`))
  })

  const tooLarge = "is too large; write 9007199254740991 or less"

  it.effect.each([
    ["MAX_CONNECTIONS", "9007199254740993", `"9007199254740993" ${tooLarge}`],
    ["MAX_PIPELINED", "9007199254740992", `"9007199254740992" ${tooLarge}`],
    ["MAX_SENDERS", "99999999999999999999", `"99999999999999999999" ${tooLarge}`],
    ["MAX_CONNECTIONS_PER_PEER", "9007199254740993", `"9007199254740993" ${tooLarge}; "off" is off`],
    ["MAX_OPENING", "9007199254740993", `"9007199254740993" ${tooLarge}; "off" is off`],
    ["MAX_REQUESTS_PER_PEER", "9007199254740993", `"9007199254740993" ${tooLarge}; "off" is off`],
    ["MAX_MEMORY", "8388608GiB", 'it must be a size of at most 9007199254740991 bytes, not "8388608GiB"'],
    [
      "MAX_PEER_WAIT",
      "31s",
      'Invalid option maxPeerWait of Echo: it must be a time of at most 30s, not "31s"; write "30 seconds"'
    ]
  ])("shows what was typed, and the bound: %s=%s", ([name, text, problem]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* line({ [name]: text }, { listen }), `${name}: ${problem}`)
      const prefixed = yield* line({ [`ECHO_${name}`]: text }, { listen, prefix: "ECHO" })
      assert.strictEqual(prefixed, `ECHO_${name}: ${problem}`)
    })
  )

  it.each([
    ["0", '"0" is not a positive integer'],
    ["10000", '"10000" is too large; write 9999 or less'],
    ["9007199254740993", '"9007199254740993" is too large; write 9999 or less']
  ])("says how many copies there may be: PREFORK=%s", (text, problem) => {
    assert.deepStrictEqual(ofEnvironment({ PREFORK: text }), Result.fail(`PREFORK: ${problem}`))
  })
})

describe("an option of a URL that cannot be used", () => {
  const nope = "there is no file /nope; give the path of a PEM file, or its text"

  const urls: ReadonlyArray<readonly [url: string, option: string, problem: string]> = [
    ["tcp://127.0.0.1:0?allow=10.0.0.0/33", "allow", '"10.0.0.0/33" is no network'],
    ["tcp://127.0.0.1:0?proxyProtocol=balancer", "proxyProtocol", '"balancer" is no network'],
    ["tcp://127.0.0.1:0?keepAlive=1ms", "keepAlive", "it must be a positive time of at least 1s and of at most 9h"],
    ["tls://127.0.0.1:0?cert=/nope&key=/nope", "cert", nope],
    [`tls://127.0.0.1:0?cert=${import.meta.filename}&key=/nope`, "cert", `${import.meta.filename} has no certificate`],
    ["udp://127.0.0.1:0?allow=x", "allow", '"x" is no network'],
    ["udp://127.0.0.1:0?multicast=127.0.0.1", "multicast", 'the system refuses the group "127.0.0.1"'],
    ["udp://127.0.0.1:0?multicastInterface=nope", "multicastInterface", 'the system refuses "nope"'],
    ["unix:@messages?peers=5000000000", "peers", 'it must be "any", "same-user" or numbers'],
    ["unixgram:@messages?mode=600", "mode", "@messages is an abstract name"]
  ]

  it.live.each(urls)("is named with the URL and the variable: %s", ([url, option, problem]) =>
    Effect.gen(function* () {
      const said = `Invalid option ${option} of ${url}: ${problem}`
      const begins = (text: string, start: string) => assert.strictEqual(text.slice(0, start.length), start)
      begins(yield* line({ LISTEN: url }), `LISTEN: ${said}`)
      begins(yield* line({ LISTEN: `memory:messages,${url}` }), `LISTEN: ${said}`)
      begins(yield* line({ ECHO_LISTEN: url }, { prefix: "ECHO" }), `ECHO_LISTEN: ${said}`)
      // No variable has said so.
      begins(yield* line({}, { listen: url }), said)
    })
  )

  it.live("is not named where the program has it", () =>
    Effect.gen(function* () {
      const LISTEN = "tcp://127.0.0.1:0?noDelay=true"
      assert.match(
        yield* line({ LISTEN }, { tcp: { allow: ["x"] } }),
        /^Invalid option allow of tcp:\/\/127\.0\.0\.1:0\?noDelay=true: "x" is no network/
      )
      assert.match(
        yield* line({ LISTEN }, { maxPeerWait: "31s" }),
        /^Invalid option maxPeerWait of Echo: it must be a time of at most 30s, not "31s"/
      )
    })
  )

  it.live("is named where metrics are asked for", () =>
    Effect.gen(function* () {
      const told = Layer.build(NodeServer.metrics()).pipe(
        Effect.provide(
          ConfigProvider.layer(ConfigProvider.fromEnv({ env: { METRICS_LISTEN: "tcp://127.0.0.1:0?allow=x" } }))
        ),
        Effect.scoped,
        Effect.flip
      )
      assert.match(
        lineOf(yield* told),
        /^METRICS_LISTEN: Invalid option allow of tcp:\/\/127\.0\.0\.1:0\?allow=x: "x" is no network/
      )
    })
  )
})

describe("a policy that cannot run the handlers", () => {
  const handler: Server.HandlerOf<typeof Echo> = () => Effect.succeed(Response.empty)

  const refused = [
    ["process", Echo.serve(Session.make(() => Effect.succeed(handler))), "a Session keeps state for each connection"],
    ["pool:2", Echo.serve(handler, { shares: "counts" }), "each worker would have counts of its own"],
    ["keyed", Echo.serve(handler), "Echo declares no key to keep requests in order by"],
    ["thread:1", Echo.serve(handler), "a worker is this program started again"]
  ] as const

  it.live.each(refused)("is named with the server and the variable: %s", ([policy, served, problem]) =>
    Effect.gen(function* () {
      const said = (env: Record<string, string>, options: NodeServer.LayerConfigOptions = {}) =>
        Layer.build(Layer.provide(served, NodeServer.layerConfig(Echo, { listen, ...options }))).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
          Effect.scoped,
          Effect.flip,
          Effect.map(lineOf)
        )
      const expected = `POLICY: Cannot run handlers of Echo under the policy "${policy}": ${problem}`
      assert.strictEqual((yield* said({ POLICY: policy })).slice(0, expected.length), expected)
      const prefixed = yield* said({ ECHO_POLICY: policy }, { prefix: "ECHO" })
      assert.strictEqual(prefixed.slice(0, expected.length + 5), `ECHO_${expected}`)
      // Where the program has chosen it no variable is to blame.
      const chosen = Result.getOrThrow(NodePolicy.parse(policy))
      const own = yield* Effect.provideService(said({}), Echo.policy, chosen)
      assert.strictEqual(`POLICY: ${own}`.slice(0, expected.length), expected)
    })
  )

  it.effect("is named with its variable where it has no effect", () =>
    Effect.gen(function* () {
      const said: Array<unknown> = []
      const logger = Logger.make(({ message }) => void said.push(...[message].flat()))
      yield* Layer.build(
        Layer.provide(
          Echo.serve(handler, { policy: Policy.sequential }),
          NodeServer.layerConfig(Echo, { listen, prefix: "ECHO" })
        )
      ).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ECHO_POLICY: "fiber:8" } }))),
        Effect.scoped,
        Effect.provide(Logger.layer([logger]))
      )
      assert.include(
        said,
        "Echo: it is served under sequential, the policy that its program names; the configured fiber:8 (ECHO_POLICY) has no effect"
      )
    })
  )
})

describe("an address that this very program has", () => {
  class Other extends Server.Service<Other>()("Other", { protocol: Protocol.lines() }) {}

  const first = (url: string) =>
    Effect.map(Layer.build(NodeServer.layer(Echo, url)), (context) => String(Context.get(context, Echo).address))

  const failing = <Self>(tag: Server.Tag<Self, string, string>, url: string) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(tag, url)))), lineOf)

  const portOf = (address: string) => address.slice(address.lastIndexOf(":") + 1)

  const twice =
    "address in use by this very program, which provides Echo twice; make its layer once, and provide that one"

  it.live.each([
    "tcp://127.0.0.1:0",
    "tcp://[::1]:0",
    "tcp://0.0.0.0:0",
    "tcp://localhost:0",
    "udp://127.0.0.1:0",
    "udp://localhost:0",
    `unix://${directory()}/s`,
    `unix:@messages-${process.pid}`,
    "memory:held"
  ])("is said to be its own: %s", (url) =>
    Effect.gen(function* () {
      const address = yield* first(url)
      // Where a name is two addresses, it may be the one that is in use.
      const bound = (text: string) =>
        text.replace(
          /^(Cannot bind udp:\/\/)127\.0\.0\.1/,
          address.startsWith("udp://localhost") ? "$1localhost" : "$&"
        )
      assert.strictEqual(bound(yield* failing(Echo, address)), `Cannot bind ${address}: ${twice}`)
      assert.strictEqual(
        bound(yield* failing(Other, address)),
        `Cannot bind ${address}: address in use by Echo of this very program; choose another one for Other (with a prefix, each server has its own variables)`
      )
    }).pipe(Effect.scoped)
  )

  it.live.each([
    ["tcp://127.0.0.1:0", "tcp://0.0.0.0"],
    ["tcp://0.0.0.0:0", "tcp://127.0.0.1"],
    ["tcp://[::]:0", "tcp://[::1]"],
    ["tcp://127.0.0.1:0", "tcp://localhost"]
  ])("is said to be its own where two are not the same and overlap: %s, %s", ([one, other]) =>
    Effect.gen(function* () {
      const port = portOf(yield* first(one))
      assert.strictEqual(yield* failing(Echo, `${other}:${port}`), `Cannot bind ${other}:${port}: ${twice}`)
    }).pipe(Effect.scoped)
  )

  it.live("is said to be its own where one of them is still being bound", () =>
    Effect.gen(function* () {
      const address = yield* Effect.scoped(first("tcp://localhost:0"))
      const both = Effect.all([Effect.scoped(Effect.flip(first(address))), first(address)], { concurrency: 2 })
      // Either of them may be the first.
      const said = Effect.raceFirst(
        Effect.map(both, ([error]) => lineOf(error)),
        Effect.map(Effect.flip(both), (error) => lineOf(error))
      )
      assert.include(yield* said, twice)
    }).pipe(Effect.scoped)
  )

  it.live("is said to be that of the same server", () =>
    Effect.gen(function* () {
      const port = portOf(yield* Effect.scoped(first("tcp://127.0.0.1:0")))
      assert.strictEqual(
        yield* failing(Echo, `tcp://0.0.0.0:${port},tcp://127.0.0.1:${port}`),
        `Cannot bind tcp://127.0.0.1:${port}: address in use by another endpoint of Echo, tcp://0.0.0.0:${port}; leave one of them out`
      )
    })
  )

  it.live("is nobody's any more when its server has stopped, and never one of another kind", () =>
    Effect.gen(function* () {
      const address = yield* Effect.scoped(first("tcp://127.0.0.1:0"))
      yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer()
          server.listen({ host: "127.0.0.1", port: Number(portOf(address)) }, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      yield* first(`udp://127.0.0.1:${portOf(address)}`)
      assert.strictEqual(
        yield* failing(Echo, address),
        `Cannot bind ${address}: address in use; stop what listens there, or choose another (port 0 takes any free one)`
      )
    }).pipe(Effect.scoped)
  )
})

describe("what nobody should read", () => {
  it.effect.each([
    ["tcp://bob:hunter2@127.0.0.1:9000", "tcp://***@127.0.0.1:9000"],
    ["tls://127.0.0.1:0?cert=a&key=b&passphrase=hunter2", "tls://127.0.0.1:0?cert=a&key=b&passphrase=***"]
  ])("is in no line and in no cause: %s", ([url, shown]) =>
    Effect.gen(function* () {
      const built = Layer.build(NodeServer.layerConfig(Echo)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { LISTEN: url } }))),
        Effect.scoped
      )
      const error = yield* Effect.flip(built)
      assert.include(lineOf(error), `LISTEN: Invalid endpoint "${shown}": `)
      assert.notInclude(JSON.stringify(error), "hunter2")
    })
  )
})
