/**
 * Counts what other programs send (statsd, with the tags and types of DogStatsD), and prints it each `FLUSH`.
 *
 *   FLUSH=2s LISTEN=udp://127.0.0.1:8125,tcp://127.0.0.1:8125 node examples/statsd/main.ts
 *
 * In another terminal:
 *
 *   printf 'hits:1|c\nhits:1|c|@0.1\nanswer:12|ms\nanswer:18|ms\nqueue:7|g\nusers:ada|s' | socat - udp:127.0.0.1:8125
 *   printf 'hits:1|c|#env:prod\nqueue:-2|g\nnothing\n' | socat - tcp:127.0.0.1:8125
 *
 * What was counted since the last time is a line for each metric, sorted, and what is left is printed at the stop:
 *
 *   answer timer count=2 min=12 mean=15 max=18
 *   hits counter 11
 *   hits{env:prod} counter 1
 *   queue gauge 5
 *   statsd.bad_lines_seen counter 1
 *   users set 1
 *
 * It counts in memory, and so in one process: a POLICY of workers, or PREFORK, ends the start with a line that says so.
 * It keeps at most 10,000 metrics, and 100,000 values of sets; what is beyond is counted as `statsd.dropped`.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Counter, CounterLive } from "./server.ts"

Layer.mergeAll(CounterLive, Counter.announce, Counter.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Counter, { listen: "udp://127.0.0.1:8125" })),
  NodeServer.launch
)
