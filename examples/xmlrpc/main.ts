/**
 * XML-RPC over HTTP, for clients in any language.
 *
 *   LISTEN=tcp://127.0.0.1:8000 node examples/xmlrpc/main.ts
 *
 * In another terminal:
 *
 *   python3 -c 'from xmlrpc.client import ServerProxy
 *   server = ServerProxy("http://127.0.0.1:8000")
 *   print(server.add(2, 3), server.echo(["any", {"value": 1.5}]), server.system.methodHelp("divide"))'
 *
 * `divide(1, 0)` raises a `Fault`. `PREFORK=2` runs two copies; a `POLICY` of workers is an error of the start, since
 * HTTP runs where its layer is.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Calls, CallsLive } from "./server.ts"

Layer.merge(CallsLive, Calls.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Calls, { listen: "tcp://127.0.0.1:8000" })),
  NodeServer.launch
)
