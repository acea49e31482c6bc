/** A rate that several programs count in a Redis server of the system (Debian: redis-server), also while that is away. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RateLimiter from "effect/persistence/RateLimiter"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { start } from "../../node/test/support/programs.ts"
import * as RateLimit from "../src/RateLimit.ts"
import { directory, until } from "./support.ts"

const isMissing = spawnSync("redis-server", ["--version"], { stdio: "ignore" }).error !== undefined
if (isMissing) {
  const reason = "redis-server is missing: apt-get install --no-install-recommends redis-server"
  if (process.env["CI"]) throw new Error(reason)
  console.warn(`skipped: ${reason}`)
}

const home = directory()
let sockets = 0

/** Where a server of Redis is, which does not begin by itself. */
const place = Effect.sync(() => {
  const path = join(home, `${++sockets}.sock`)
  const args = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", home]
  const begin = Effect.tap(start("redis-server", args), (server) => server.prints(/Ready to accept connections/i))
  return { path, begin }
})

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

/** A program with a connection of its own to the store: it says what was answered, and how many it has refused. */
const program = (path: string, options: Partial<RateLimit.Rate> = {}) =>
  Effect.gen(function* () {
    const limiter = yield* Layer.build(
      RateLimiter.layer.pipe(
        Layer.provide(RateLimiter.layerStoreRedis()),
        // What cannot be asked now is not asked later.
        Layer.provide(NodeRedis.layer({ socket: { path, tls: false }, disableOfflineQueue: true })),
        Layer.provide(Logger.layer([]))
      )
    )
    const live = Layer.unwrap(
      Effect.map(RateLimiter.RateLimiter, (limiter) =>
        Echo.serve(
          RateLimit.middleware<string, string>(limiter, {
            limit: 3,
            per: "1 hour",
            key: ({ body }) => body,
            onLimited: () => Response.make("later"),
            ...options
          })(({ body }) => Effect.succeed(Response.make(body)))
        )
      )
    )
    const context = yield* Layer.build(
      live.pipe(
        Layer.provideMerge(MemoryServer.layer(Echo)),
        Layer.provide(Layer.succeedContext(limiter)),
        Layer.provide(Logger.layer([]))
      )
    )
    const client = yield* Effect.provideContext(Echo.client, context)
    const refused = Effect.provideContext(
      Effect.flatMap(Echo, ({ refusals }) => Effect.map(refusals, ({ RateLimit }) => RateLimit)),
      context
    )
    return { ask: (line: string) => Effect.orDie(client.send(line)), refused }
  })

describe.skipIf(isMissing)("a rate in Redis", () => {
  it.live.each(["token-bucket", "fixed-window"] as const)("is that of all programs together, by key: %s", (algorithm) =>
    Effect.gen(function* () {
      const { begin, path } = yield* place
      yield* begin
      const one = yield* program(path, { algorithm })
      const other = yield* program(path, { algorithm })
      assert.deepStrictEqual([yield* one.ask("a"), yield* other.ask("a"), yield* one.ask("a")], ["a", "a", "a"])
      assert.deepStrictEqual(
        [yield* other.ask("a"), yield* one.ask("a"), yield* other.ask("b")],
        ["later", "later", "b"]
      )
      assert.deepStrictEqual([yield* one.refused, yield* other.refused], [1, 1])
      // A prefix is a rate of its own.
      const apart = yield* program(path, { algorithm, prefix: "apart:" })
      assert.strictEqual(yield* apart.ask("a"), "a")
    })
  )

  it.live("outlives the programs that have counted", () =>
    Effect.gen(function* () {
      const { begin, path } = yield* place
      yield* begin
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { ask } = yield* program(path)
          assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], () => ask("a")), ["a", "a", "a"])
        })
      )
      const { ask } = yield* program(path)
      assert.strictEqual(yield* ask("a"), "later")
    })
  )

  it.live.each([
    { whenUnavailable: undefined, during: "a" },
    { whenUnavailable: "refuse" as const, during: "later" }
  ])("is taken up again once its server is back: $during meanwhile", ({ during, whenUnavailable }) =>
    Effect.gen(function* () {
      const { begin, path } = yield* place
      const first = yield* begin
      const { ask } = yield* program(path, { whenUnavailable })
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3, 4], () => ask("a")), ["a", "a", "a", "later"])
      yield* first.signal("SIGKILL")
      yield* first.end
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3, 4, 5], () => ask("a")), [
        during,
        during,
        during,
        during,
        during
      ])
      yield* begin
      // It has forgotten everything, and its client comes back when it does.
      if (during === "later") yield* until(Effect.map(ask("a"), (answer) => answer === "a"))
      else yield* until(Effect.map(ask("a"), (answer) => answer === "later"))
      assert.strictEqual(yield* ask("b"), "b")
    })
  )
})
