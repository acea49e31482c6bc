/** A server whose workers and copies end by themselves as soon as they are ready. What starts them hears from it, too. */
import { Protocol, Response, Server } from "@socketserver/core"
import * as Remote from "@socketserver/core/Remote"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"

export class Restless extends Server.Service<Restless>()("Restless", { protocol: Protocol.lines() }) {}

const RestlessLive = Restless.serve((request) => Effect.succeed(Response.make(request.body)))

/** When this program has had next to nothing to do for a while, it has said that it is ready. */
const whenQuiet = (f: () => void) => {
  let last = performance.eventLoopUtilization()
  let quiet = 0
  setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(last)
    last = performance.eventLoopUtilization()
    quiet = utilization < 0.1 ? quiet + 1 : 0
    if (quiet === 3) f()
  }, 20)
}

const ends = Layer.effectDiscard(
  Effect.gen(function* () {
    const isWorker = (yield* Remote.host) !== undefined
    if (process.env["ENDS"] === "copies" ? Remote.copyId() !== 0 : isWorker) whenQuiet(() => process.exit(9))
  })
)

if (import.meta.main) {
  // As programs do that tell a process manager that they are there.
  for (const message of ["ready", null, 1]) process.send?.(message)
  Layer.mergeAll(RestlessLive, Restless.announce, ends).pipe(
    Layer.provide(NodeServer.layerConfig(Restless)),
    NodeServer.launch
  )
}
