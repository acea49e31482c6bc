import { assert, describe, it } from "@effect/vitest"
import type { Connection, Outcome, Protocol } from "@socketserver/core"
import * as Remote from "@socketserver/core/Remote"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Ask, Tell, writeFacts } from "../src/internal/worker/frames.ts"
import type { Job } from "../src/internal/worker/jobs.ts"
import type { PoolOptions } from "../src/internal/worker/options.ts"
import { Pool } from "../src/internal/worker/pool.ts"
import { ScriptedWorker } from "./support/scriptedWorker.ts"

const connection = {
  id: 1,
  openedAt: 0,
  listener: "memory://test",
  peer: { transport: "memory", name: "test" },
  close: Effect.void,
  [Remote.onEndKey as unknown as symbol]: () => {}
} as unknown as Connection.Ref<never>

/** A request as far as a pool sees one. */
class Asked implements Job {
  readonly connection = connection
  readonly context = Context.empty()
  readonly id = undefined
  readonly occupies = true
  readonly canRetry = true
  settled = false
  waits = false
  crashes = 0
  end: string | Outcome.WorkerCrashed = "nothing yet"
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  begin({ claim, tell }: Parameters<Job["begin"]>[0]): void {
    const facts = { connection: 1, request: 1, receivedAt: 0, bytesRead: 0, bytesWritten: 0, inFlight: 1, claim }
    tell(Ask.request, writeFacts(facts, this.text))
  }

  onFrame(kind: number): void {
    if (kind === Tell.done) this.settle("answered")
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.settle(crash)
  }

  onRefused(reason: string): void {
    this.settle(reason)
  }

  private settle(end: string | Outcome.WorkerCrashed): void {
    assert.isFalse(this.settled, `${this.text} has two ends`)
    this.settled = true
    this.end = end
  }
}

const options: PoolOptions = {
  policy: "process:2",
  kind: "process",
  max: 2,
  fixed: true,
  spares: 0,
  recycle: Infinity,
  each: 1,
  ahead: 4,
  queue: 1_024,
  memoryMb: undefined,
  deadlineMillis: Infinity,
  startMillis: 10_000,
  graceMillis: 10_000,
  retries: 0,
  entry: undefined,
  bundle: false
}

const setup = (some: Partial<PoolOptions> = {}) => {
  const workers: Array<ScriptedWorker> = []
  const pool = new Pool(
    { ...options, ...some },
    {
      service: "Test",
      codec: {} as Protocol.Codec<unknown, never>,
      shutdown: Effect.void,
      pinned: false,
      start: () => {
        const worker = new ScriptedWorker()
        workers.push(worker)
        return worker.body(`worker-${workers.length}`)
      },
      context: Context.empty()
    }
  )
  Effect.runFork(pool.open)
  const jobs = new Map<string, Asked>()
  return {
    pool,
    workers,
    /** Asks for what is named by each character. */
    ask: async (names: string) => {
      for (const name of names) {
        const job = new Asked(name)
        jobs.set(name, job)
        pool.submit(job)
      }
      await told
    },
    cancel: async (name: string) => {
      pool.cancel(jobs.get(name) as Job)
      await told
    },
    end: (name: string) => jobs.get(name)?.end
  }
}

/** Frames leave at the end of a turn. */
const told = Promise.resolve()

const close = async ({ pool, workers }: Pick<ReturnType<typeof setup>, "pool" | "workers">) => {
  const closed = Effect.runPromise(pool.close)
  for (const worker of workers) worker.crash()
  await closed
}

describe("a busy worker", () => {
  it("has its next four ahead, whatever came first: it, or what it is to do", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    await test.ask("abcdefgh")
    assert.deepStrictEqual(worker.holds, [])
    worker.ready()
    await told
    assert.deepStrictEqual(worker.holds, ["a", "(b)", "(c)", "(d)", "(e)"])
    for (const name of "abcde") worker.answer(name)
    await told
    assert.deepStrictEqual(worker.holds, ["(f)", "(g)", "(h)"])
    await close(test)
  })

  it("is given ahead again after there was nothing to do", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    await test.ask("a")
    worker.answer("a")
    await test.ask("bcdefgh")
    assert.deepStrictEqual(worker.holds, ["b", "(c)", "(d)", "(e)"])
    worker.answer("b")
    await told
    assert.deepStrictEqual(worker.holds, ["(c)", "(d)", "(e)", "(f)", "(g)"])
    await close(test)
  })

  it("is sent several at a time, before it runs dry", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    await test.ask("abcdefghijkl")
    const held: Array<number> = []
    for (const name of "abcdefgh") {
      worker.answer(name)
      await told
      held.push(worker.holds.length)
    }
    assert.isAtLeast(Math.min(...held), 3)
    assert.deepStrictEqual(new Set(held), new Set([4, 5]))
    await close(test)
  })
})

describe("what a worker was given ahead", () => {
  it("is taken back by another that has nothing to do, unless it was claimed", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    await test.ask("abcd")
    assert.deepStrictEqual(one.holds, ["a", "(b)", "(c)", "(d)"])
    assert.isTrue(one.claim("b"))
    two.ready()
    await told
    assert.deepStrictEqual(two.holds, ["c"])
    assert.isFalse(one.claim("c"))
    two.answer("c")
    await told
    assert.deepStrictEqual(two.holds, ["d"])
    one.drop("c")
    one.drop("d")
    one.answer("a")
    one.answer("b")
    two.answer("d")
    for (const name of "abcd") assert.strictEqual(test.end(name), "answered")
    await close(test)
  })

  it("waits again where both wanted it and neither has it", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    await test.ask("ab")
    assert.isTrue(one.claim("b"))
    two.ready()
    await told
    assert.deepStrictEqual(two.holds, [])
    one.drop("b")
    await told
    assert.deepStrictEqual(two.holds, ["b"])
    await close(test)
  })

  it("is lost in a crash only if it was claimed, and then it is as any other", async () => {
    const test = setup({ max: 1 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("abcd")
    one.answer("a")
    assert.isTrue(one.claim("b"))
    one.crash()
    await told
    const two = test.workers[1] as ScriptedWorker
    two.ready()
    await told
    assert.deepStrictEqual(two.holds, ["c", "(d)"])
    assert.strictEqual((test.end("b") as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    await close(test)
  })

  it("is given to nobody when nobody waits for it, and makes room in the queue", async () => {
    const test = setup({ max: 1, queue: 2 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("abcd")
    assert.strictEqual(test.end("d"), "more than 2 requests wait for a worker")
    await test.cancel("b")
    assert.deepStrictEqual(one.cancelled, [one.given[1]?.id])
    await test.ask("e")
    assert.deepStrictEqual(one.holds, ["a", "(b)", "(c)", "(e)"])
    assert.isFalse(one.claim("b"))
    one.drop("b")
    one.answer("a")
    one.answer("c")
    one.answer("e")
    assert.deepStrictEqual(["c", "e"].map(test.end), ["answered", "answered"])
    await close(test)
  })

  it("goes to another when its worker stops", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    await test.ask("ab")
    one.giveBack("b")
    two.ready()
    await told
    assert.deepStrictEqual(two.holds, ["b"])
    one.answer("a")
    await close(test)
  })

  it("is refused when the pool closes", async () => {
    const test = setup({ max: 1 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("ab")
    const closed = Effect.runPromise(test.pool.close)
    one.answer("a")
    one.giveBack("b")
    one.crash()
    await closed
    assert.strictEqual(test.end("b"), "the server has stopped")
  })

  it("comes back when others have each done four and its worker none", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    await test.ask("abcdefghijklmnopqrst")
    assert.deepStrictEqual(one.holds.slice(0, 1), ["a"])
    const ahead = one.holds.slice(1)
    for (let i = 0; i < 5; i++) {
      two.answer((two.given[0] as { readonly text: string }).text)
      await told
    }
    assert.isAbove(ahead.length, 0)
    for (const name of ahead) assert.isFalse(one.claim(name.slice(1, 2)), name)
    // They are before all others.
    const [first] = ahead
    assert.include(two.holds, first)
    await close(test)
  })

  it("is no more than a worker is to handle, and others than those are not started for it", async () => {
    const test = setup({ max: 1, recycle: 3 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("abcdef")
    assert.deepStrictEqual(one.holds, ["a", "(b)", "(c)"])
    assert.strictEqual(test.workers.length, 1)
    for (const name of "abc") one.answer(name)
    await told
    assert.strictEqual(test.workers.length, 2)
    await close(test)
  })
})
