/**
 * Ours: `ours.ts <protocol> <handler>`, with `LISTEN` and `POLICY` from the environment.
 * With `METRICS` its metrics are read each second, as Prometheus would, with
 * `METRICS=durations` also how long requests take.
 */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { certificate } from "../certificate.ts"

const [protocol = "lines", handler = "at once"] = process.argv.slice(2)
const listen = (process.env["LISTEN"] ??= "tcp://127.0.0.1:0")
const { METRICS } = process.env
const options = {
  ...(listen.startsWith("tls") && { tls: certificate() }),
  ...(METRICS === "durations" && { durations: true })
}
// Imported where it is wanted: an older commit has none.
const beside =
  METRICS === undefined
    ? Layer.empty
    : Layer.unwrap(
        Effect.map(
          Effect.promise(() => import("@socketserver/core/Metrics")),
          (Metrics) => {
            const reading = Effect.delay(Effect.map(Metrics.snapshot, Metrics.format), "1 second")
            return Layer.effectDiscard(Effect.forkScoped(Effect.forever(reading)))
          }
        )
      )

const Order = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  tags: Schema.Array(Schema.String),
  price: Schema.Number
})

const handlers = {
  "at once": <A>({ body }: { readonly body: A }) => Effect.succeed(Response.make(body)),
  yields: <A>({ body }: { readonly body: A }) => Effect.as(Effect.yieldNow, Response.make(body)),
  generator: <A>({ body }: { readonly body: A }) =>
    Effect.gen(function* () {
      const answer = yield* Effect.succeed(body)
      return Response.make(answer)
    }),
  "generator made once": Effect.fnUntraced(function* <A>({ body }: { readonly body: A }) {
    const answer = yield* Effect.succeed(body)
    return Response.make(answer)
  })
}
const answer = handlers[handler as keyof typeof handlers]

const largest = { maxFrameBytes: 2 << 20 }

const launch = {
  lines: () => {
    class Echo extends Server.Service<Echo>()("Echo", {
      protocol: Protocol.lines(),
      key: ({ body }) => body.slice(0, 6)
    }) {}
    return Layer.merge(Echo.serve(answer), Echo.announce).pipe(Layer.provide(NodeServer.layerConfig(Echo, options)))
  },
  frames: () => {
    class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lengthPrefixed(largest) }) {}
    return Layer.merge(Echo.serve(answer), Echo.announce).pipe(Layer.provide(NodeServer.layerConfig(Echo, options)))
  },
  json: () => {
    class Echo extends Server.Service<Echo>()("Echo", {
      protocol: Protocol.schema(Protocol.ndjson(), { request: Order, response: Order })
    }) {}
    return Layer.merge(Echo.serve(answer), Echo.announce).pipe(Layer.provide(NodeServer.layerConfig(Echo, options)))
  },
  connection: () => {
    class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.connection() }) {}
    const EchoLive = Echo.serve(({ body }) =>
      Effect.as(Effect.ignore(Stream.runForEach(body.stream, body.write)), Response.empty)
    )
    return Layer.merge(EchoLive, Echo.announce).pipe(Layer.provide(NodeServer.layerConfig(Echo, options)))
  },
  broadcast: () => {
    class Room extends Server.Service<Room>()("Room", { protocol: Protocol.lines() }) {}
    const RoomLive = Room.serve(({ body }) =>
      Effect.gen(function* () {
        const server = yield* Room
        yield* Effect.forEach(yield* server.connections, (one) => Effect.ignore(one.push(body)), { discard: true })
        return Response.empty
      })
    )
    return Layer.merge(RoomLive, Room.announce).pipe(Layer.provide(NodeServer.layerConfig(Room, options)))
  }
}

NodeServer.launch(Layer.merge(launch[protocol as keyof typeof launch](), beside))
