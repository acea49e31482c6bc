/**
 * A Redis server in memory. Importing this starts nothing: the tests and `main.ts` place it.
 *
 * Every command is done at once, so what one connection does is whole before another does something: that is what makes
 * `EXEC` atomic. All keys are in one process. A policy of workers, or copies of the program, would each have some of their
 * own, and the start says so.
 */
import { Policy, Response, Server, ServerError, Session } from "@socketserver/core"
import * as Settings from "@socketserver/core/Settings"
import { Resp } from "@socketserver/protocols"
import { Clock, Config, Effect, Layer, Result } from "effect"
import { randomBytes } from "node:crypto"
import { Channels } from "./channels.ts"
import { Client, type Shared } from "./client.ts"
import { byName } from "./connection.ts"
import { Backlogs } from "./outgoing.ts"
import { Store } from "./store.ts"

export class Redis extends Server.Service<Redis>()("Redis", { protocol: Resp.protocol() }) {}

/**
 * How much keys may take, about, before nothing more is added (`OOM …`). Queued commands and subscriptions may take a
 * quarter of it beside them.
 */
const maxStore = Config.String("MAX_STORE").pipe(
  Config.withDefault("256MiB"),
  Effect.flatMap((text) => Effect.fromResult(Result.mapError(Settings.size(text), invalid)))
)

const invalid = (problem: string) =>
  new ServerError.ServerError({ reason: new ServerError.InvalidOption({ option: "MAX_STORE", problem }) })

const shared = Effect.gen(function* () {
  const store = new Store(yield* Clock.Clock, yield* maxStore)
  const services = yield* Effect.context<never>()
  const server = yield* Redis
  const state: Shared = {
    store,
    channels: new Channels(),
    backlogs: new Backlogs(Effect.runForkWith(services)),
    clients: new Map(),
    startedAt: store.now(),
    runId: randomBytes(20).toString("hex"),
    stats: { connections: 0, commands: 0, perSecond: 0, input: 0, output: 0 },
    rejected: () => Object.values(Effect.runSync(server.refusals)).reduce((sum, count) => sum + count, 0),
    time: store.now()
  }
  // What is gone is seen when somebody asks for it; this is for what nobody asks for any more.
  const sweep: Effect.Effect<void> = Effect.suspend(() =>
    store.sweep() ? Effect.andThen(Effect.yieldNow, sweep) : Effect.void
  )
  yield* Effect.forkScoped(
    Effect.forever(Effect.andThen(Effect.sleep("100 millis"), Effect.andThen(tick(state), sweep)))
  )
  return state
})

/** Notes the time, and once a second how many commands there were. */
const tick = (state: Shared): Effect.Effect<void> => {
  const { stats, store } = state
  let [since, before] = [state.time, stats.commands]
  return Effect.sync(() => {
    state.time = store.now()
    if (state.time - since < 1_000) return
    stats.perSecond = Math.round(((stats.commands - before) * 1_000) / (state.time - since))
    since = state.time
    before = stats.commands
  })
}

const serving = (state: Shared, chosen: Policy.Policy | undefined) =>
  Redis.serve(
    Session.make((connection) =>
      Effect.gen(function* () {
        const client = new Client(connection, state, byName)
        yield* Effect.addFinalizer(() => Effect.sync(() => client.end()))
        return (request) => {
          const reply = client.answer(request.body)
          if (client.closes) return Effect.succeed(Response.andClose(Response.make(reply)))
          return reply === Resp.ok ? ok : Effect.succeed(Response.make(reply))
        }
      })
    ),
    {
      // No command waits for anything: one after the other is as good as any, and costs least.
      ...(chosen === undefined && { policy: Policy.sequential }),
      shares: "keys, subscriptions and transactions",
      onUndecodable: Resp.onUndecodable,
      onTurnedAway: () => Response.make(Resp.error("ERR max number of clients reached"))
    }
  )

const ok = Effect.succeed(Response.make(Resp.ok))

export const RedisLive = Layer.unwrap(
  Effect.gen(function* () {
    const chosen = (yield* Redis.policy) ?? (yield* Policy.Policy)
    return serving(yield* shared, chosen)
  })
)
