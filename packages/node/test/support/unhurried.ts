/** A server that says when it is at work and when it is told to stop, and answers only then, after a while. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"

class Unhurried extends Server.Service<Unhurried>()("Unhurried", { protocol: Protocol.lines() }) {}

const told = Effect.callback<void>((resume) => void process.once("SIGTERM", () => resume(Effect.void)))

const UnhurriedLive = Unhurried.serve(({ body }) =>
  Console.log(`working on ${body}`).pipe(
    Effect.andThen(told),
    Effect.andThen(Console.log("told to stop")),
    Effect.andThen(Effect.sleep("500 millis")),
    Effect.as(Response.make(body))
  )
)

Layer.merge(UnhurriedLive, Unhurried.announce).pipe(Layer.provide(NodeServer.layerConfig(Unhurried)), NodeServer.launch)
