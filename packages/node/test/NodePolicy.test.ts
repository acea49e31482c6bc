import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, type Policy, Protocol, Response, Server, Session } from "@socketserver/core"
import { NodePolicy, WorkerPolicy } from "@socketserver/node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

describe("NodePolicy.parse", () => {
  it.each([
    ["sequential", "sequential", "sequential"],
    ["fiber:64,timeout=1 second", "fiber:64,timeout=1s", "fiber"],
    ["connection:3", "connection:3", "fiber"],
    ["keyed", "keyed", "fiber"],
    ["keyed:8,timeout=250ms", "keyed:8,timeout=250ms", "fiber"],
    ["thread", "thread", "thread"],
    ["thread:2", "thread:2", "thread"],
    ["thread:2,each=4", "thread:2,each=4", "thread"],
    ["process", "process", "process"],
    ["process:40,spares=2", "process", "process"],
    ["process:2", "process:2", "process"],
    ["process:10,spares=0", "process:10,spares=0", "process"],
    ["process,deadline=30s,timeout=10s", "process,deadline=30s,timeout=10s", "process"],
    ["pool", "pool", "process"],
    ["pool:2", "pool:2", "process"],
    ["pool:2,recycle=100,queue=10", "pool:2,recycle=100,queue=10", "process"],
    [
      "pool:2, each=3, recycle=7, queue=9, memory=256, deadline=5 seconds, idempotent=true, bundle=true",
      "pool:2,each=3,recycle=7,queue=9,memory=256,deadline=5s,idempotent=true,bundle=true",
      "process"
    ],
    ["pool:2,timeout=1 second,onPeerGone=finish", "pool:2,timeout=1s,onPeerGone=finish", "process"]
  ])("takes %s", (text, name, worker) => {
    const policy = Result.getOrThrow(NodePolicy.parse(text))
    assert.deepStrictEqual([policy.name, policy.worker], [name, worker])
    // The name of a policy is a policy again.
    assert.strictEqual(Result.getOrThrow(NodePolicy.parse(policy.name)).name, name)
  })

  it.each([
    ["process:0", 'the size must be a positive integer, not "0"'],
    ["process,spares=-1", 'spares must be an integer of 0 or more, not "-1"'],
    ["process,max=10", 'there is no option "max"; the number stands behind the name, write "process:10"'],
    ["process:2,max=3", 'there is no option "max"; the number stands behind the name, write "process:3"'],
    ["pool,size=3", 'there is no option "size"; the number stands behind the name, write "pool:3"'],
    ["pool:2,spares=3", 'there is no option "spares"'],
    // The old spelling of a pool.
    [
      "process:4,each=3",
      'process is a process for each request and has no "each"; processes that are reused are a pool, write "pool:4,each=3"'
    ],
    [
      "process:4,memory=256,recycle=1000",
      'process is a process for each request and has no "recycle"; processes that are reused are a pool, write "pool:4,memory=256,recycle=1000"'
    ],
    [
      "process,max=10,spares=0,recycle=3",
      'process is a process for each request and has no "recycle"; processes that are reused are a pool, write "pool:10,recycle=3"'
    ],
    ["thread,deadline=soon", 'deadline must be a positive time, not "soon"; write "30s"'],
    ["thread,idempotent=yes", 'idempotent is true or false, not "yes"'],
    ["fiber,queue=3", 'there is no option "queue"'],
    ["process,queue=1,queue=2", "queue is given twice"],
    ["fork", 'there is no policy "fork"'],
    ["threads:2", 'there is no policy "threads"; did you mean "thread"?'],
    ["Pool", 'there is no policy "Pool"; did you mean "pool"?']
  ])("says what is wrong with %s, and which forms there are", (text, problem) => {
    const parsed = NodePolicy.parse(text)
    assert(Result.isFailure(parsed))
    const { accepted = [], message } = parsed.failure
    const rest = problem.endsWith("?") ? "" : `. Accepted: ${accepted.join(", ")}`
    assert.strictEqual(message, `Invalid policy ${JSON.stringify(text)}: ${problem}${rest}`)
    assert.isTrue(accepted.every((form) => NodePolicy.forms.includes(form)))
  })

  it("shows the options of the policy that is there, or else the names", () => {
    const accepted = (text: string) => {
      const parsed = NodePolicy.parse(text)
      assert(Result.isFailure(parsed))
      return parsed.failure.accepted
    }
    const all = "and for all of them: ,timeout=DURATION ,onPeerGone=cancel|finish"
    const workers = NodePolicy.forms.find((form) => form.startsWith("and for thread, pool and process:")) as string
    assert.deepStrictEqual(accepted("fiber,queue=3"), ["fiber[:max]", all])
    assert.deepStrictEqual(accepted("process,each=x"), ["process[:max]", "and for process: ,spares=N", workers, all])
    assert.deepStrictEqual(accepted("fork"), [
      "sequential",
      "fiber[:max]",
      "connection[:max]",
      "keyed[:max]",
      "thread[:size]",
      "pool[:size]",
      "process[:max]"
    ])
  })

  it("is what a variable is read with", () => {
    const provider = ConfigProvider.fromEnv({ env: { POLICY: "pool:3" } })
    assert.strictEqual(Effect.runSync(NodePolicy.config("POLICY").parse(provider)).name, "pool:3")
    assert.strictEqual(Effect.runSync(NodePolicy.config("OTHER").parse(provider)).name, "fiber")
    const wrong = Effect.runSyncExit(
      NodePolicy.config("POLICY").parse(ConfigProvider.fromEnv({ env: { POLICY: "pool:x" } }))
    )
    assert.strictEqual(wrong._tag, "Failure")
  })
})

describe("WorkerPolicy", () => {
  class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

  it.effect.each([
    [WorkerPolicy.process({ max: 0 }), "process:0", "max must be a positive integer, not 0; leave it out for 40"],
    [
      WorkerPolicy.process({ spares: -1 }),
      "process,spares=-1",
      "spares must be an integer of 0 or more, not -1; leave it out for 2"
    ],
    [
      WorkerPolicy.thread({ size: 1.5 }),
      "thread:1.5",
      "size must be a positive integer, not 1.5; leave it out for as many as there are cores"
    ],
    [
      WorkerPolicy.pool({ size: 2, each: 0 }),
      "pool:2,each=0",
      "each must be a positive integer, not 0; leave it out for 1"
    ],
    [
      WorkerPolicy.pool({ recycle: 0.5 }),
      "pool,recycle=0.5",
      "recycle must be a positive integer, not 0.5; leave it out for never"
    ],
    [
      WorkerPolicy.pool({ queue: -1 }),
      "pool,queue=-1",
      "queue must be a positive integer, not -1; leave it out for 1024"
    ],
    [
      WorkerPolicy.thread({ memory: 0 }),
      "thread,memory=0",
      "memory must be a positive integer, not 0; leave it out for what V8 chooses"
    ],
    [
      WorkerPolicy.process({ deadline: 0 }),
      "process,deadline=0ms",
      "deadline must be a positive time, not 0; leave it out for none"
    ],
    [
      WorkerPolicy.thread({ deadline: "soon" as never }),
      "thread,deadline=soon",
      "deadline must be a positive time, not soon; leave it out for none"
    ],
    [
      WorkerPolicy.thread({ startTimeout: -1 }),
      "thread",
      "startTimeout must be a positive time, not -1; leave it out for 30 seconds"
    ],
    [WorkerPolicy.pool({ gracePeriod: -1 }), "pool", "gracePeriod must be a time, not -1; leave it out for 1 second"]
  ] as const)(
    "made with an option that cannot be used is refused before anything is served: %#",
    ([policy, name, problem]) =>
      Effect.gen(function* () {
        const served = Layer.provide(
          Lines.serve(() => Effect.succeed(Response.empty), { policy }),
          MemoryServer.layer(Lines)
        )
        const error = yield* Effect.flip(Effect.scoped(Layer.build(served)))
        assert.strictEqual(error._tag, "PolicyError")
        assert.strictEqual(error.message, `Cannot run handlers of Lines under the policy "${name}": ${problem}`)
      })
  )

  const session = Session.make<string, string>(() =>
    Effect.succeed((request) => Effect.succeed(Response.make(request.body)))
  )

  it("does not compile with a session where each request has a process of its own", () => {
    Lines.serve(session, { policy: WorkerPolicy.thread() })
    Lines.serve(session, { policy: WorkerPolicy.pool() })
    // @ts-expect-error: there is nothing to keep its state in
    Lines.serve(session, { policy: WorkerPolicy.process() })
    // @ts-expect-error: neither is there here
    Lines.run(session, { policy: WorkerPolicy.process() })
  })

  it.effect("says so before the first request where types cannot see it", () =>
    Effect.gen(function* () {
      const unseen: Policy.Policy = WorkerPolicy.process()
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(Layer.provide(Lines.serve(session, { policy: unseen }), MemoryServer.layer(Lines))))
      )
      assert.match(error.message, /under the policy "process": a Session keeps state for each connection/)
    })
  )
})
