/**
 * Returns every byte it gets, and says each step of it.
 *
 *   node examples/traced-echo/main.ts
 *
 * In another terminal, `printf 'Hello, world' | socat - tcp:127.0.0.1:9000`. This one then shows waiting, verify,
 * process, finish, setup, handle, recv, finish and close, in that order; Ctrl-C adds shutdown.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { EchoServer, EchoServerLive } from "./server.ts"

EchoServerLive.pipe(
  Layer.provide(EchoServer.announce),
  Layer.provide(NodeServer.layerConfig(EchoServer, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
