import { assert, describe, it } from "@effect/vitest"
import { Policy, Protocol, Response, Server } from "@socketserver/core"
import { NodePolicy, WorkerPolicy } from "@socketserver/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

describe("NodePolicy.parse", () => {
  it.each([
    ["sequential", "sequential", "sequential"],
    ["fiber:64,timeout=1 second", "fiber:64,timeout=1000 millis", "fiber"],
    ["thread", "thread", "thread"],
    ["thread:2", "thread:2", "thread"],
    ["thread:2,each=4", "thread:2,each=4", "thread"],
    ["process", "process", "process"],
    ["process,max=40,spares=2", "process", "process"],
    ["process,max=10,spares=0,recycle=3", "process,max=10,spares=0,recycle=3", "process"],
    ["process:2", "process:2", "process"],
    ["process:2,recycle=100,queue=10", "process:2,recycle=100,queue=10", "process"],
    [
      "process:2, memory=256, deadline=5 seconds, idempotent=true, bundle=true",
      "process:2,memory=256,deadline=5000 millis,idempotent=true,bundle=true",
      "process"
    ],
    ["process:2,timeout=1 second,onPeerGone=finish", "process:2,timeout=1000 millis,onPeerGone=finish", "process"]
  ])("takes %s", (text, name, worker) => {
    const policy = Result.getOrThrow(NodePolicy.parse(text))
    assert.deepStrictEqual([policy.name, policy.worker], [name, worker])
    // The name of a policy is a policy again.
    assert.strictEqual(Result.getOrThrow(NodePolicy.parse(policy.name)).name, name)
  })

  it.each([
    ["process:0", 'the size must be a positive integer, not "0"'],
    ["process,max=0", 'max must be a positive integer, not "0"'],
    ["process,spares=-1", 'spares must be an integer of 0 or more, not "-1"'],
    ["process:2,max=3", 'there is no option "max"'],
    ["process,each=3", 'there is no option "each"'],
    ["thread,deadline=soon", 'deadline is a duration such as "5 seconds", not "soon"'],
    ["thread,idempotent=yes", 'idempotent is true or false, not "yes"'],
    ["fiber,queue=3", 'there is no option "queue"'],
    ["process,queue=1,queue=2", "queue is given twice"],
    ["fork", 'there is no policy "fork"']
  ])("says what is wrong with %s, and which forms there are", (text, problem) => {
    const parsed = NodePolicy.parse(text)
    assert(Result.isFailure(parsed))
    assert.strictEqual(
      parsed.failure.message,
      `Invalid policy ${JSON.stringify(text)}: ${problem}. Accepted: ${NodePolicy.forms.join(", ")}`
    )
  })

  it("is what a variable is read with", () => {
    const provider = ConfigProvider.fromEnv({ env: { POLICY: "process:3" } })
    assert.strictEqual(Effect.runSync(NodePolicy.config("POLICY").parse(provider)).name, "process:3")
    assert.strictEqual(Effect.runSync(NodePolicy.config("OTHER").parse(provider)).name, "fiber")
    const wrong = Effect.runSyncExit(
      NodePolicy.config("POLICY").parse(ConfigProvider.fromEnv({ env: { POLICY: "process:x" } }))
    )
    assert.strictEqual(wrong._tag, "Failure")
  })
})

describe("WorkerPolicy", () => {
  it("has bounded defaults", () => {
    assert.strictEqual(WorkerPolicy.process().name, "process")
    assert.match(WorkerPolicy.processes().name, /^process:\d+$/)
    assert.throws(() => WorkerPolicy.process({ max: 0 }), RangeError)
    assert.throws(() => WorkerPolicy.thread({ size: 1.5 }), RangeError)
    assert.throws(() => WorkerPolicy.processes({ queue: -1 }), RangeError)
  })

  // A protocol that only the server can speak: nothing crosses with it.
  const { client: _, ...serverOnly } = Protocol.lines()
  class OneSided extends Server.Service<OneSided>()("OneSided", {
    protocol: serverOnly as unknown as Protocol.Protocol<string, string>
  }) {}
  const echo: Server.HandlerOf<typeof OneSided> = (request) => Effect.succeed(Response.make(request.body))

  it("does not compile with a protocol that cannot cross", () => {
    OneSided.serve(echo, { policy: Policy.fiber() })
    // @ts-expect-error - requests of this protocol cannot be sent to a worker
    OneSided.serve(echo, { policy: WorkerPolicy.process() })
    // @ts-expect-error - neither can they here
    OneSided.run(echo, { policy: WorkerPolicy.thread() })
  })

  it.effect("says so before the first request where types cannot see it", () =>
    Effect.gen(function* () {
      const { MemoryServer } = yield* Effect.promise(() => import("@socketserver/core"))
      const unseen: Policy.Policy = WorkerPolicy.process()
      const error = yield* Effect.flip(
        Effect.scoped(
          Layer.build(Layer.provide(OneSided.serve(echo, { policy: unseen }), MemoryServer.layer(OneSided)))
        )
      )
      assert.match(
        error.message,
        /^Cannot run handlers under the policy "process": the protocol lines has no client's side/
      )
    })
  )
})
