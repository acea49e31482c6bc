import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import { turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

// A fiber yields after this many operations, that is between any two lines of what waits; fewer than four livelock.
const few = Array.from({ length: 37 }, (_, i) => 4 + i)

describe("a policy whose fiber yields anywhere", () => {
  it.effect.each(few)("loses no wake-up, at %i operations", (ops) => {
    const echo = ({ body }: Request.Request<string>) => Effect.succeed(Response.make(body))
    // Each answer makes room for one more request, which arrives in the same turn.
    const server = MemoryServer.layer(Lines, { maxPipelined: 1 })
    return Effect.gen(function* () {
      const client = yield* Lines.rawClient
      // Nobody else asks, so that nobody else wakes the policy up.
      yield* client.write(new TextEncoder().encode("x\n".repeat(40)))
      for (let i = 0; i < 20; i++) yield* turns
      assert.strictEqual((yield* (yield* Lines).counts).Completed, 40)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Lines.serve(echo, { policy: Policy.sequential }), server)),
      Effect.provideService(Scheduler.MaxOpsBeforeYield, ops)
    )
  })
})
