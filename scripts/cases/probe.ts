/** The programs that the cases start: `PROGRAM` says which. */
import { Middleware, Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { ConfigProvider, Data, Effect, Layer, Logger, Stream } from "effect"

const env = (name: string): string => process.env[name] ?? ""

const protocols = {
  lines: () => Protocol.lines(),
  terminated: () => Protocol.lines({ unterminated: "malformed" }),
  delimited: () => Protocol.text(Protocol.delimited("\n")),
  lengthPrefixed: () => Protocol.text(Protocol.lengthPrefixed())
} as const

class Probe extends Server.Service<Probe>()("Probe", {
  protocol: protocols[(process.env["FRAMES"] ?? "lines") as keyof typeof protocols]()
}) {}

class Json extends Server.Service<Json>()("Json", { protocol: Protocol.ndjson() }) {}
class Accounts extends Server.Service<Accounts>()("Accounts", { protocol: Protocol.lines() }) {}
class Prices extends Server.Service<Prices>()("Prices", { protocol: Protocol.lines() }) {}
class Copied extends Server.Service<Copied>()("Accounts", { protocol: Protocol.lines() }) {}

class NoDatabase extends Data.TaggedError("NoDatabase")<{ readonly host: string }> {}
class Wrapped extends Data.TaggedError("Wrapped")<{ readonly cause: unknown }> {}

const element = Stream.succeed("y".repeat(2_000))

const handlers: Record<string, Server.HandlerOf<typeof Probe>> = {
  echo: ({ body }) => Effect.succeed(Response.make(body)),
  peer: ({ peer }) => Effect.succeed(Response.make(peer.name)),
  pid: () => Effect.sync(() => Response.make(`${process.pid}`)),
  big: ({ body }) => Effect.succeed(Response.make("x".repeat(Number(body)))),
  page: () => Effect.succeed(Response.make("x".repeat(16_384))),
  sleep: ({ body }) => Effect.as(Effect.sleep(Number(body)), Response.make(body)),
  held: ({ body }) => Effect.as(Effect.sleep(Number(body)), Response.make(`${process.pid}`)),
  log: ({ body }) => Effect.as(Effect.logInfo("a request"), Response.make(body)),
  never: Middleware.timeout(() => Effect.never, "200 millis"),
  /** Streams: without an end, or a hundred kilobytes. */
  stream: ({ body }) =>
    Effect.succeed(
      body === "endless"
        ? Response.stream(Stream.forever(element))
        : body === "stream"
          ? Response.stream(Stream.take(Stream.forever(element), 50))
          : Response.make(body)
    ),
  loop: ({ body }) =>
    Effect.sync(() => {
      while (body === "loop") continue
      return Response.make(body)
    })
}

/** One server, whose handler `ACT` names. */
const served = Layer.mergeAll(
  Probe.serve(handlers[process.env["ACT"] ?? "echo"]!),
  Probe.announce,
  process.env["OUTCOMES"] === undefined ? Layer.empty : Probe.logOutcomes
).pipe(Layer.provide(NodeServer.layerConfig(Probe)))

const bug = () => Effect.die(new Error("a bug"))

const starts: Record<string, Effect.Effect<never, unknown>> = {
  tagged: Effect.fail(new NoDatabase({ host: "db.example" })),
  wrapped: Effect.fail(new Wrapped({ cause: new Error("ECONNREFUSED 192.0.2.1:5432") })),
  promise: Effect.tryPromise(() => Promise.reject(new Error("no route"))),
  plain: Effect.fail({ _tag: "Plain", code: 5 })
}

const programs: Record<string, () => Layer.Layer<never, unknown>> = {
  served: () => served,
  json: () =>
    Layer.merge(
      Json.serve(({ body }) => Effect.succeed(Response.make(body))),
      Json.announce
    ).pipe(Layer.provide(NodeServer.layerConfig(Json))),
  /** Two servers whose handlers die, and a log for machines. */
  two: () =>
    Layer.mergeAll(Accounts.serve(bug), Prices.serve(bug), Accounts.announce, Prices.announce).pipe(
      Layer.provide([NodeServer.layer(Accounts, "tcp://127.0.0.1:0"), NodeServer.layer(Prices, "tcp://127.0.0.1:0")]),
      Layer.provide(Logger.layer([Logger.consoleJson]))
    ),
  /** A copied declaration that has kept its key. */
  copied: () =>
    Layer.mergeAll(Accounts.serve(bug), Copied.serve(bug)).pipe(
      Layer.provide([NodeServer.layer(Accounts, "tcp://127.0.0.1:0"), NodeServer.layer(Copied, "tcp://127.0.0.1:0")])
    ),
  /** What serves it was left out. */
  forgotten: () => Probe.announce.pipe(Layer.provide(NodeServer.layerConfig(Probe))),
  /** What sets it is no environment. */
  provider: () =>
    served.pipe(
      Layer.provide(
        ConfigProvider.layer(ConfigProvider.fromEnv({ env: { LISTEN: "tcp://127.0.0.1:0", PREFORK: "2" } }))
      )
    ),
  fails: () => Layer.effectDiscard(starts[env("HOW")]!)
}

NodeServer.launch(programs[process.env["PROGRAM"] ?? "served"]!() as Layer.Layer<never>)
