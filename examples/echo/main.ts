/**
 * Returns every byte it gets.
 *
 *   LISTEN=tcp://127.0.0.1:9000 POLICY=fiber node examples/echo/main.ts
 *
 * In another terminal, `printf 'Hello, world' | socat - tcp:127.0.0.1:9000` prints `Hello, world`. Ctrl-C stops the server.
 */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.bytes() }) {}

const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

Layer.merge(EchoLive, Echo.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Echo, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
