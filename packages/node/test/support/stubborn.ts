/** A server whose handlers never end: they wait (`HANDLER=waits`), or cannot even be interrupted. */
import { Protocol, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"

class Stubborn extends Server.Service<Stubborn>()("Stubborn", { protocol: Protocol.lines() }) {}

const forever = process.env["HANDLER"] === "waits" ? Effect.never : Effect.uninterruptible(Effect.never)

const StubbornLive = Stubborn.serve((request) => Effect.andThen(Console.log(`handling ${request.body}`), forever))

Layer.merge(StubbornLive, Stubborn.announce).pipe(Layer.provide(NodeServer.layerConfig(Stubborn)), NodeServer.launch)
