/**
 * Effect's RPC on our server: calls are requests, and Effect's own clients ask for them.
 *
 *   LISTEN=tcp://127.0.0.1:9000 POLICY=pool:2 node examples/rpc/main.ts
 *
 * In another terminal, `node examples/rpc/client.ts` adds, counts, and asks who it is: the peer, and the worker that has
 * answered. `node examples/rpc/client.ts crash` ends that worker: one call has failed, and the next is answered. Without
 * workers it ends the program. With `DELAY="3 seconds"` calls take that long; a SIGTERM meanwhile loses none.
 *
 * By hand, a line each way:
 *
 *   echo '{"_tag":"Request","id":1,"tag":"Add","payload":{"a":1,"b":2},"headers":[]}' | socat -t5 - tcp:127.0.0.1:9000
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Calls, CallsLive } from "./server.ts"

Layer.merge(CallsLive, Calls.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Calls, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
