/** Requests in workers that wait for what their peers say. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import * as Protocol from "@socketserver/core/Protocol"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Simulation from "@socketserver/core/Simulation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as SimulatedWorkers from "../src/SimulatedWorkers.ts"

/** `ask ID`, which waits for `tell ID`. */
class Asking extends Server.Service<Asking>()("Asking", {
  protocol: Protocol.control(
    Protocol.correlated(Protocol.lines(), { id: (line: string) => line.split(" ")[1] as string }),
    { is: (line) => line.startsWith("tell"), to: (line) => line.split(" ")[1] }
  )
}) {}

const work = ({ body }: Request.Request<string>) =>
  body.startsWith("ask quick")
    ? Effect.succeed(Response.make(body))
    : Effect.as(Request.awaitPeer(Stream.runHead(Request.controls())), Response.make(body))

describe("a request in a worker that waits for what its peer says", () => {
  it.effect("lets its connection make room, in a server that is full, and goes on when it hears it", () =>
    Effect.gen(function* () {
      yield* SimulatedWorkers.prepare(Asking, work, "ask quick\n")
      const served = Asking.serve(work, { policy: SimulatedWorkers.make(Asking, work, { size: 1 }) })
      const program = Effect.gen(function* () {
        const heard = yield* Network.connect(Asking)
        yield* heard.write("ask 1\n")
        yield* Effect.sleep("2 seconds")
        yield* heard.write("tell 1\n")
        const answer = yield* heard.receives("ask 1\n")
        yield* heard.write("ask 2\n")
        yield* Effect.sleep("2 seconds")
        const next = yield* Network.connect(Asking)
        yield* next.write("ask quick\n")
        return [answer, (yield* heard.end).received, yield* next.receives("quick\n")] as const
      })
      const { ended, exit } = yield* Simulation.run(
        program.pipe(
          Effect.scoped,
          Effect.provide(Layer.provideMerge(served, MemoryServer.layer(Asking, { maxConnections: 1 }))),
          Effect.provideService(References.MinimumLogLevel, "None")
        ) as never
      )
      assert.strictEqual(ended, "done")
      if (exit?._tag !== "Success") throw new Error(String(exit?.cause))
      assert.deepStrictEqual(exit.value as unknown, ["ask 1\n", "ask 1\n", "ask quick\n"])
    })
  )
})
