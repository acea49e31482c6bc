/** A server whose requests end in the ways that are logged, with all that logs them. */
import { Middleware, Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer, Logger } from "effect"

class Outputs extends Server.Service<Outputs>()("Outputs", { protocol: Protocol.lines({ maxFrameBytes: 100 }) }) {}

const handler: Server.HandlerOf<typeof Outputs> = ({ body, connection }) => {
  switch (body) {
    case "die":
      return Effect.die(new Error("a bug \u001b[31m"))
    case "late":
      return Effect.as(Effect.sleep("1 hour"), Response.make("never"))
    case "wait":
      return Effect.andThen(
        Effect.logInfo("waiting"),
        Effect.onInterrupt(Effect.never, () => Effect.logInfo(`interrupted by ${connection.endedBy}`))
      )
    default:
      return Effect.succeed(Response.make(body))
  }
}

const json = process.env["JSON"] === "yes" ? Logger.layer([Logger.withConsoleError(Logger.formatJson)]) : Layer.empty

Layer.mergeAll(
  Outputs.serve(
    Middleware.logging(Middleware.timeout(handler, process.env["WAITS"] === "yes" ? "1 hour" : "200 millis"))
  ),
  Outputs.announce,
  Outputs.logOutcomes
).pipe(Layer.provide(NodeServer.layerConfig(Outputs)), Layer.provide(json), NodeServer.launch)
