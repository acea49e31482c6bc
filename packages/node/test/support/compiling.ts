/** Answers each line with where Node keeps what it compiles, and what the environment says of that. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"
import { getCompileCacheDir } from "node:module"

class Compiling extends Server.Service<Compiling>()("Compiling", { protocol: Protocol.lines() }) {}

const told = Effect.sync(() =>
  Response.make(`${getCompileCacheDir() ?? "nowhere"} ${process.env["NODE_COMPILE_CACHE"] ?? "unset"}`)
)

Layer.merge(
  Compiling.serve(() => told),
  Compiling.announce
).pipe(Layer.provide(NodeServer.layerConfig(Compiling)), NodeServer.launch)
