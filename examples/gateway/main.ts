/**
 * A gateway for devices: JSON after its length, a login first, answers that overtake each other, commands unasked.
 *
 *   GATEWAY_SECRET=anything LISTEN=tcp://127.0.0.1:9000 POLICY=pool:2 node examples/gateway/main.ts
 *
 * In another terminal, `python3 examples/gateway/device.py 9000` logs in, gets its commands, and asks for two averages
 * at once: under `fiber` that of fewer values comes first, under `sequential` that which was asked for first. Under every
 * policy the answers are the same. Where others can listen, serve `tls://`.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Gateway, GatewayLive } from "./server.ts"

Layer.mergeAll(GatewayLive, Gateway.announce, Gateway.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Gateway, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
