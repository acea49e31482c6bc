/** A server that counts, and tells what it has counted. Importing this starts nothing: the test and `main.ts` place it. */
import { Response, Server } from "@socketserver/core"
import * as Settings from "@socketserver/core/Settings"
import { Statsd } from "@socketserver/protocols"
import { Config, ConfigProvider, Console, Context, Effect, Layer, Schedule } from "effect"
import { type Bounds, Totals } from "./totals.ts"

export class Counter extends Server.Service<Counter>()("Statsd", {
  protocol: Statsd.protocol(),
  key: ({ peer }) => peer.name
}) {}

/** What all requests add to. */
export class Counted extends Context.Service<Counted, Totals>()("Counted") {}

const serving = Counter.serve(
  ({ body }) =>
    Effect.map(Counted, (totals) => {
      totals.add(body)
      return Response.empty
    }),
  { shares: "counts" }
)

/** How often it tells. */
const flush = Config.mapEffect(Config.withDefault(Config.String("FLUSH"), "10s"), (text) =>
  Effect.mapError(Effect.fromResult(Settings.duration(text)), (problem) => invalid(`FLUSH ${problem}`))
)

const invalid = (message: string) => new Config.ConfigError(new ConfigProvider.SourceError({ message }))

/** Counts, and tells each `FLUSH`, and what is left at its end: when its server has stopped. */
export const counting = (bounds: Bounds) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const totals = new Totals(bounds)
      const tell = Effect.suspend(() => Effect.forEach(totals.flush(), (line) => Console.log(line), { discard: true }))
      const interval = yield* flush
      const telling = Layer.effectDiscard(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => tell)
          yield* Effect.forkScoped(Effect.repeat(Effect.andThen(Effect.sleep(interval), tell), Schedule.forever))
        })
      )
      return Layer.provide(Layer.merge(serving, telling), Layer.succeed(Counted, totals))
    })
  )

export const CounterLive = counting({ maxMetrics: 10_000, maxMembers: 100_000 })
