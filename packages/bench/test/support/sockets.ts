/**
 * Prints how many bytes each datagram over UDP, or short connection to a Unix socket, leaves in the server's old
 * generation. `measure.ts` starts it, with `udp` or `unix` and the flags. The peers are a thread, whose heap is its own.
 */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as UdpServer from "@socketserver/node/UdpServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { leftByEach } from "./oldGeneration.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const isUdp = process.argv[2] === "udp"
const folder = mkdtempSync(join(tmpdir(), "guard-"))
const transport = isUdp ? UdpServer.layer(Echo) : UnixServer.layer(Echo, { path: join(folder, "socket") })
const serve = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

const left = Effect.gen(function* () {
  const { address } = yield* Echo
  const peers = new Worker(new URL("socketPeers.ts", import.meta.url), { workerData: String(address) })
  const pass = (count: number) =>
    new Promise<void>((resolve, reject) => {
      peers.once("message", () => resolve())
      peers.once("error", reject)
      peers.postMessage(count)
    })
  const each = yield* Effect.promise(() => leftByEach(isUdp ? 50_000 : 20_000, pass))
  yield* Effect.promise(() => peers.terminate())
  return each
})

console.log(await Effect.runPromise(Effect.provide(left, Layer.provideMerge(serve, transport))))
rmSync(folder, { recursive: true })
