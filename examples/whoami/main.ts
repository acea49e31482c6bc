/**
 * Answers each line with the name of the worker that took it: `<worker>: <line>`.
 *
 *   POLICY=sequential DELAY="200 millis" node examples/whoami/main.ts
 *
 * In another terminal, `seq 10 | socat -t10 - tcp:127.0.0.1:9000` takes two seconds and shows one worker. With
 * `POLICY=fiber` it takes a fifth of a second and shows ten, with `POLICY=pool:2` two processes, with `POLICY=process` ten.
 * Under `POLICY=keyed` only equal lines wait for each other. `DELAY` is waited for; `WORK` keeps the CPU busy.
 */
import { Protocol, Response, Server, Worker } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Config, Duration, Effect, Layer } from "effect"

class Whoami extends Server.Service<Whoami>()("Whoami", { protocol: Protocol.lines(), key: ({ body }) => body }) {}

const settings = Config.all({
  delay: Config.Duration("DELAY").pipe(Config.withDefault(Duration.zero)),
  work: Config.Duration("WORK").pipe(Config.withDefault(Duration.zero))
})

const WhoamiLive = Layer.unwrap(
  Effect.map(settings, ({ delay, work }) =>
    Whoami.serve((request) =>
      Effect.gen(function* () {
        const worker = yield* Worker.name
        if (!Duration.isZero(delay)) yield* Effect.sleep(delay)
        yield* burn(Duration.toMillis(work))
        return Response.make(`${worker}: ${request.body}`)
      })
    )
  )
)

const burn = (millis: number) =>
  Effect.sync(() => {
    for (const end = performance.now() + millis; performance.now() < end;) continue
  })

Layer.merge(WhoamiLive, Whoami.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Whoami, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
