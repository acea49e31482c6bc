/**
 * A server that says how it does, on a port of its own.
 *
 *   POLICY=fiber node examples/metrics/main.ts
 *
 * In another terminal, after `echo hello | socat - tcp:127.0.0.1:9000`:
 *
 *   curl http://127.0.0.1:9464/metrics     # socketserver_requests_total{…,outcome="Completed"} 1
 *   curl http://127.0.0.1:9464/ready       # ready
 *
 * With `PREFORK=2` whoever of the two is asked answers for both. `METRICS_LISTEN=unix:///tmp/metrics.sock` has it elsewhere:
 * `curl --unix-socket /tmp/metrics.sock http://localhost/metrics`. `promtool check metrics` is content with what it says.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Shout, ShoutLive } from "./server.ts"

Layer.mergeAll(ShoutLive, Shout.announce, NodeServer.metrics()).pipe(
  Layer.provide(NodeServer.layerConfig(Shout, { listen: "tcp://127.0.0.1:9000", durations: true })),
  NodeServer.launch
)
