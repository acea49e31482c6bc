/**
 * A Redis server in memory, for redis-cli and every other client of Redis: strings, lists, hashes, expiry, channels, MULTI.
 *
 *   LISTEN=tcp://127.0.0.1:6379 node examples/redis/main.ts
 *
 * In another terminal:
 *
 *   redis-cli set name Ada ex 60        # OK
 *   redis-cli incr visits               # (integer) 1
 *   redis-cli subscribe news            # and, in a third one: redis-cli publish news hello
 *   redis-benchmark -q -t set,get -P 16
 *   redis-cli -3 info clients           # over LISTEN=unix:///tmp/redis.sock with -s /tmp/redis.sock
 *
 * Its keys are in one process: POLICY=pool and PREFORK=2 end the start, and say why. MAX_STORE (256MiB) bounds them.
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Redis, RedisLive } from "./server.ts"

Layer.merge(RedisLive, Redis.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Redis, { listen: "tcp://127.0.0.1:6379" })),
  NodeServer.launch
)
