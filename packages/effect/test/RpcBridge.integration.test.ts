import { assert, describe, it } from "@effect/vitest"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Stream from "effect/Stream"
import { Api } from "../../../examples/rpc/api.ts"
import { example, listening, node, printed, serving } from "../../node/test/support/programs.ts"
import { directory, selfSigned } from "./support.ts"

const home = directory()
const made = selfSigned(home)

const calling = (port: string, options?: Parameters<typeof RpcClient.layerProtocolSocket>[0]) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      RpcClient.layerProtocolSocket(options).pipe(
        Layer.provide(NodeSocket.layerNet({ host: "127.0.0.1", port: Number(port) })),
        Layer.provide(RpcSerialization.layerNdjson)
      )
    )
    return yield* Effect.provideContext(RpcClient.make(Api), context)
  })

describe("examples/rpc", () => {
  it.live.each([
    { POLICY: "fiber", worker: /^fiber-\d+$/ },
    { POLICY: "sequential", worker: /^sequential$/ },
    { POLICY: "connection", worker: /^fiber-\d+$/ },
    { POLICY: "thread:2", worker: /^thread-\d+$/ },
    { POLICY: "pool:2", worker: /^\d+$/ },
    { POLICY: "process:2", worker: /^\d+$/ }
  ])("answers its client under $POLICY", ({ POLICY, worker }) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("rpc", { POLICY })
      const said = yield* printed(node("examples/rpc/client.ts", { CONNECT: `127.0.0.1:${port}` }))
      const [, by] = /^Add: 3\nCount: 1 2 3 4 5\nWhoAmI: 127\.0\.0\.1:\d+, by (\S+)\n$/.exec(said) ?? [said, said]
      assert.match(String(by), worker)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live.each([
    { LISTEN: "tcp://[::1]:0", CONNECT: (port: string) => `tcp://[::1]:${port}` },
    {
      LISTEN: `tls://127.0.0.1:0?cert=${made.cert}&key=${made.key}`,
      CONNECT: (port: string) => `tls://localhost:${port}?ca=${made.cert}`
    },
    { LISTEN: `unix://${home}/url`, CONNECT: () => `unix://${home}/url` },
    { LISTEN: `unix://${home}/path`, CONNECT: () => `${home}/path` }
  ])("answers its client at $LISTEN", ({ CONNECT, LISTEN }) =>
    Effect.gen(function* () {
      const server = yield* example("rpc", { LISTEN })
      const [, address = ""] = yield* server.prints(/^listening on (\S+)\n/)
      const [, port = ""] = /:(\d+)$/.exec(address) ?? []
      const said = yield* printed(node("examples/rpc/client.ts", { CONNECT: CONNECT(port) }))
      assert.match(said, /^Add: 3\nCount: 1 2 3 4 5\nWhoAmI: \S+, by fiber-\d+\n$/)
    })
  )

  it.live("says in a line what its client cannot connect to", () =>
    Effect.gen(function* () {
      const client = yield* node("examples/rpc/client.ts", { CONNECT: "udp://127.0.0.1:9000" })
      assert.deepStrictEqual(yield* client.end, { code: 1, signal: null })
      assert.match(
        client.all,
        /^CONNECT: "udp:\/\/127.0.0.1:9000" has a scheme [^\n]*"udp"; it is HOST:PORT, tcp:[^\n]*\n$/
      )
      assert.strictEqual(client.stdout, "")
    })
  )

  it.live("answers a client whose call has ended a worker", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("rpc", { POLICY: "pool:2" })
      const said = yield* printed(node("examples/rpc/client.ts", { CONNECT: `127.0.0.1:${port}` }, ["crash"]))
      assert.match(said, /^Crash: .*\nAdd: 3\nCount: 1 2 3 4 5\nWhoAmI: /)
    })
  )

  it.live.each([
    { how: "calls, fiber", POLICY: "fiber", path: "examples/rpc/main.ts", completed: 26 },
    { how: "calls, pool:2", POLICY: "pool:2,each=32", path: "examples/rpc/main.ts", completed: 26 },
    { how: "connections", POLICY: "connection", path: "packages/effect/test/support/connections.ts", completed: 1 }
  ])("loses none of 20 calls and 5 streams to SIGTERM: $how", ({ POLICY, completed, path }) =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(node(path, { POLICY, DELAY: "200 millis" }))
      const api = yield* calling(port)
      const calls = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) => Effect.forkChild(api.Add({ a: i, b: 1 }), { startImmediately: true })
      )
      const streams = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.forkChild(Stream.runCollect(api.Count({ to: 5 })), { startImmediately: true })
      )
      // What is asked for on a connection is read before what is asked for on it later.
      assert.strictEqual((yield* api.WhoAmI()).peer.startsWith("127.0.0.1:"), true)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(
        yield* Effect.forEach(calls, Fiber.join),
        Array.from({ length: 20 }, (_, i) => i + 1)
      )
      assert.deepStrictEqual(
        yield* Effect.forEach(streams, Fiber.join),
        Array.from({ length: 5 }, () => [1, 2, 3, 4, 5])
      )
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.match(server.all, new RegExp(`stopped Calls in \\d+ ms: ${completed} completed, 0 interrupted`))
    })
  )

  it.live("answers four calls of more than a second, two at a time, to a client that pings each half second", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("rpc", { MAX_PIPELINED: "2", DELAY: "1200 millis" })
      const api = yield* calling(port, { pingInterval: "500 millis" })
      const sums = yield* Effect.forEach([1, 2, 3, 4], (b) => api.Add({ a: 0, b }), { concurrency: "unbounded" })
      assert.deepStrictEqual(sums, [1, 2, 3, 4])
    })
  )
})
