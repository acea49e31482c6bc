import { assert, describe, it } from "@effect/vitest"
import { Endpoint, Protocol, Response, Server } from "@socketserver/core"
import { NodePolicy, NodeServer } from "@socketserver/node"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines(), key: ({ body }) => body }) {}
class Other extends Server.Service<Other>()("Other", { protocol: Protocol.lines() }) {}

type Env = Record<string, string>

/** Builds a server from an environment, for the rest of the test. */
const build = <A, E>(layer: Layer.Layer<A, E>, env: Env) =>
  Layer.build(layer).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))

/** The message of the error that a server ends with. */
const message = (env: Env, options?: NodeServer.LayerConfigOptions) =>
  Effect.gen(function* () {
    const built = yield* Effect.result(Effect.scoped(build(NodeServer.layerConfig(Echo, options), env)))
    assert(Result.isFailure(built), `it was built from ${JSON.stringify(env)}`)
    return (built.failure as Config.ConfigError).message
  })

const places = Endpoint.forms.join(", ")
const policies = `Accepted: ${NodePolicy.forms.filter((form) => !form.startsWith("and")).join(", ")}`

describe("NodeServer.layer", () => {
  it.effect("takes an endpoint as text or as a value", () =>
    Effect.gen(function* () {
      for (const endpoint of ["memory:as-text", Endpoint.memory("as-value")]) {
        const context = yield* build(NodeServer.layer(Echo, endpoint), {})
        assert.strictEqual(String(Context.get(context, Echo).address), String(endpoint))
      }
    })
  )

  it.live("reports the port that the system chose", () =>
    Effect.gen(function* () {
      const context = yield* build(NodeServer.layer(Echo, "tcp://127.0.0.1:0"), {})
      assert.match(String(Context.get(context, Echo).address), /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/)
    })
  )

  it.effect("fails with what is wrong with its endpoint", () =>
    Effect.gen(function* () {
      const built = yield* Effect.result(build(NodeServer.layer(Echo, "udq://127.0.0.1:9000"), {}))
      assert(Result.isFailure(built))
      assert.strictEqual(built.failure.reason._tag, "InvalidEndpoint")
      assert.strictEqual(
        built.failure.message,
        `Invalid endpoint "udq://127.0.0.1:9000": unknown scheme "udq"; did you mean "udp"? Accepted: ${places}`
      )
    })
  )
})

describe("NodeServer.layerConfig", () => {
  it.effect("listens where LISTEN says", () =>
    Effect.gen(function* () {
      const context = yield* build(NodeServer.layerConfig(Echo, { listen: "memory:unused" }), {
        LISTEN: "memory:from-env"
      })
      assert.strictEqual(String(Context.get(context, Echo).address), "memory:from-env")
    })
  )

  it.effect("listens where its options say if LISTEN does not", () =>
    Effect.gen(function* () {
      const context = yield* build(NodeServer.layerConfig(Echo, { listen: "memory:from-options" }), {})
      assert.strictEqual(String(Context.get(context, Echo).address), "memory:from-options")
    })
  )

  it.effect("runs each of two servers as its own prefix says", () =>
    Effect.gen(function* () {
      const env = {
        ECHO_LISTEN: "memory:echo",
        ECHO_POLICY: "sequential",
        OTHER_LISTEN: "memory:other",
        OTHER_POLICY: "connection:3",
        LISTEN: "nonsense",
        POLICY: "nonsense"
      }
      const both = Layer.merge(
        NodeServer.layerConfig(Echo, { prefix: "ECHO" }),
        NodeServer.layerConfig(Other, { prefix: "OTHER" })
      )
      const context = yield* build(both, env)
      assert.strictEqual(String(Context.get(context, Echo).address), "memory:echo")
      assert.strictEqual(String(Context.get(context, Other).address), "memory:other")
      assert.strictEqual(Context.get(context, Echo.policy)?.name, "sequential")
      assert.strictEqual(Context.get(context, Other.policy)?.name, "connection:3")
    })
  )

  it.effect("serves under the policy that POLICY names", () =>
    Effect.gen(function* () {
      for (const [POLICY, most] of [
        ["sequential", 1],
        ["fiber:2", 2],
        ["connection", 3],
        ["keyed", 1]
      ] as const) {
        const gate = yield* Latch.make()
        const enough = yield* Latch.make()
        let running = 0
        const served = Echo.serve((request) =>
          Effect.suspend(() => {
            if (++running === most) enough.openUnsafe()
            return Effect.as(gate.await, Response.make(request.body))
          })
        ).pipe(Layer.provideMerge(NodeServer.layerConfig(Echo, { listen: "memory:policy" })))
        yield* Effect.gen(function* () {
          const context = yield* build(served, { POLICY })
          const clients = yield* Effect.provide(Effect.all([Echo.client, Echo.client, Echo.client]), context)
          yield* Effect.forEach(clients, (client) => client.write("a"))
          yield* enough.await
          yield* Effect.yieldNow
          assert.strictEqual(running, most, POLICY)
          yield* gate.open
          assert.deepStrictEqual(yield* Effect.forEach(clients, (client) => client.take), ["a", "a", "a"])
        }).pipe(Effect.scoped)
      }
    })
  )

  it.effect("limits connections to MAX_CONNECTIONS, whatever its options say", () =>
    Effect.gen(function* () {
      const layer = NodeServer.layerConfig(Echo, { listen: "memory:limited", maxConnections: 100 })
      const context = yield* build(layer, { MAX_CONNECTIONS: "1" })
      const server = Context.get(context, Echo)
      const [_, second] = yield* Effect.provide(Effect.all([Echo.client, Echo.client]), context)
      yield* Effect.exit(second.take)
      assert.deepStrictEqual([(yield* server.connections).length, (yield* server.counts).Refused], [1, 1])
    })
  )

  it.effect.each([
    ["DRAIN_TIMEOUT", "drainMillis", "7s", 7_000],
    ["START_TIMEOUT", "startMillis", "7s", 7_000],
    ["FIRST_BYTE_TIMEOUT", "firstByteMillis", "7s", 7_000],
    ["FRAME_TIMEOUT", "frameMillis", "7s", 7_000],
    ["WRITE_TIMEOUT", "writeMillis", "7s", 7_000],
    ["IDLE_TIMEOUT", "idleMillis", "7s", 7_000],
    ["REQUEST_TIMEOUT", "requestMillis", "7s", 7_000],
    ["LOGIN_TIMEOUT", "loginMillis", "7s", 7_000],
    ["MAX_LIFETIME", "lifetimeMillis", "7s", 7_000],
    ["PLACE_TIMEOUT", "placeMillis", "7s", 7_000],
    ["SENDER_TIMEOUT", "senderMillis", "7s", 7_000],
    ["MAX_SENDERS", "maxSenders", "7", 7],
    ["MAX_CONNECTIONS", "maxConnections", "7", 7],
    ["MAX_CONNECTIONS_PER_PEER", "maxConnectionsPerPeer", "7", 7],
    ["MAX_PIPELINED", "maxPipelined", "7", 7],
    ["MAX_BUFFERED", "maxBuffered", "7KiB", 7_168],
    ["MAX_MEMORY", "maxMemory", "7MiB", 7_340_032],
    ["MAX_REPLY", "maxReply", "7KiB", 7_168]
  ] as const)("has %s for its %s, whatever its options say", ([name, limit, text, value]) =>
    Effect.gen(function* () {
      const times = { drainTimeout: "1h", startTimeout: "1h", placeTimeout: "1h", frameTimeout: "1h" } as const
      const others = { writeTimeout: "1h", loginTimeout: "1h", idleTimeout: "1h", maxMemory: "1GiB" } as const
      const layer = NodeServer.layerConfig(Echo, { listen: "memory:configured", ...times, ...others })
      const { control } = Context.get(yield* build(layer, { [name]: text }), Echo)
      assert.strictEqual((yield* control.limits)[limit], value)
    })
  )

  describe("fails before it binds anything", () => {
    const valid = { LISTEN: "memory:x" }

    it.effect.each([
      [{ LISTEN: "foo://x" }, `LISTEN: Invalid endpoint "foo://x": unknown scheme "foo". Accepted: ${places}`],
      [
        { LISTEN: "tls://127.0.0.1:9443?noDelay=true&cert=own.pem" },
        `LISTEN: Invalid endpoint "tls://127.0.0.1:9443?noDelay=true&cert=own.pem": key is missing, and TLS needs it; write tls://127.0.0.1:9443?noDelay=true&cert=own.pem&key=FILE`
      ],
      [
        { LISTEN: "fd://3?minVersion=TLSv1.3" },
        `LISTEN: Invalid endpoint "fd://3?minVersion=TLSv1.3": cert and key are missing, and TLS needs both; write fd://3?minVersion=TLSv1.3&cert=FILE&key=FILE`
      ],
      [{ LISTEN: "" }, `LISTEN is not set. Accepted: ${places}`],
      [{}, `LISTEN is not set. Accepted: ${places}`],
      [
        { ...valid, POLICY: "nonsense" },
        `POLICY: Invalid policy "nonsense": there is no policy "nonsense". ${policies}`
      ],
      [
        { ...valid, POLICY: "fiber:0" },
        `POLICY: Invalid policy "fiber:0": the size must be a positive integer, not "0". Accepted: fiber[:max], and for all`
      ],
      [{ ...valid, IDLE_TIMEOUT: "30" }, 'IDLE_TIMEOUT: it must be a positive time, not "30"; write "30s", or "off"'],
      [{ ...valid, IDLE_TIMEOUT: "0s" }, 'IDLE_TIMEOUT: it must be a positive time, not "0s"; write "30s", or "off"'],
      [{ ...valid, DRAIN_TIMEOUT: "soon" }, 'DRAIN_TIMEOUT: it must be a time, not "soon"; write "30s"'],
      [{ ...valid, MAX_CONNECTIONS: "0" }, `MAX_CONNECTIONS: "0" is not a positive integer`],
      [{ ...valid, MAX_PIPELINED: "-3" }, `MAX_PIPELINED: "-3" is not a positive integer`]
    ] as ReadonlyArray<readonly [Env, string]>)("from %j", ([env, expected]) =>
      Effect.gen(function* () {
        assert.include(yield* message(env), expected)
        // The same with a prefix, under its whole name.
        const prefixed = Object.fromEntries(Object.entries(env).map(([name, value]) => [`ECHO_${name}`, value]))
        assert.include(yield* message(prefixed, { prefix: "ECHO" }), `ECHO_${expected}`)
      })
    )

    it.effect.each(["MAX_CONNECTIONS", "MAX_PIPELINED", "DRAIN_TIMEOUT", "IDLE_TIMEOUT"])(
      "from a %s that is no number or duration, and names it with its value",
      (name) =>
        Effect.gen(function* () {
          const said = yield* message({ ...valid, [name]: "soon" })
          assert.include(said, name)
          assert.include(said, "soon")
          const prefixed = yield* message({ ECHO_LISTEN: "memory:x", [`ECHO_${name}`]: "soon" }, { prefix: "ECHO" })
          assert.include(prefixed, `ECHO_${name}`)
        })
    )

    it.effect.each(["DRAIN_TIMEOUT", "IDLE_TIMEOUT"])("from a %s that is negative", (name) =>
      Effect.gen(function* () {
        assert.include(yield* message({ ...valid, [name]: "-5 seconds" }), name)
      })
    )

    it.effect("if two servers want the same place", () =>
      Effect.gen(function* () {
        yield* build(NodeServer.layerConfig(Echo), { LISTEN: "memory:taken" })
        const built = yield* Effect.result(build(NodeServer.layerConfig(Other), { LISTEN: "memory:taken" }))
        assert(Result.isFailure(built))
        assert.match(built.failure.message, /^Cannot bind memory:taken: address in use/)
      })
    )
  })
})

/** What is warned of once a program is whole. */
const warned = (env: Env, ...all: ReadonlyArray<NodeServer.LayerConfigOptions>) =>
  Effect.gen(function* () {
    const said: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") said.push(...[message].flat())
    })
    const tags = [Echo, Other] as const
    const layers = all.map((options, i) => NodeServer.layerConfig(tags[i] as typeof Echo, options))
    yield* Effect.gen(function* () {
      yield* build(Layer.mergeAll(Layer.empty, ...layers), env)
      // Every one of them has something to say; then whether somebody says more.
      while (said.length === 0) yield* Effect.yieldNow
      for (let i = 0; i < 100; i++) yield* Effect.yieldNow
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
    return said
  })

describe("a variable that nothing reads", () => {
  const listen = { listen: "memory:misspelt" }
  const prefixed = { ...listen, prefix: "REDIS" }
  const meant = (name: string, other: string) => `${name} is set, and no server reads it; did you mean ${other}?`

  it.live.each([
    [{ MAX_CONECTIONS: "3" }, listen, "MAX_CONNECTIONS"],
    [{ IDEL_TIMEOUT: "3s" }, listen, "IDLE_TIMEOUT"],
    [{ POLCIY: "fiber" }, listen, "POLICY"],
    [{ PREFROK: "2" }, listen, "PREFORK"],
    [{ REDIS_MAX_CONNECTION: "3" }, prefixed, "REDIS_MAX_CONNECTIONS"],
    [{ RDIS_POLICY: "fiber" }, prefixed, "REDIS_POLICY"]
  ] as ReadonlyArray<readonly [Env, NodeServer.LayerConfigOptions, string]>)(
    "is told of where it is nearly one that is read: %j",
    ([env, options, other]) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* warned(env, options), [meant(Object.keys(env)[0] as string, other)])
      })
  )

  it.live("is told of once, and never one that another server reads", () =>
    Effect.gen(function* () {
      const env = {
        A1_LISTEN: "memory:a",
        B1_LISTEN: "memory:b",
        A1_POLICE: "x",
        PATH: "x",
        LISTENING: "x",
        POLIC: "x"
      }
      assert.deepStrictEqual(yield* warned(env, { prefix: "A1" }, { prefix: "B1" }), [meant("A1_POLICE", "A1_POLICY")])
    })
  )
})
