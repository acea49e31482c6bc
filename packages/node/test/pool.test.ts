import { assert, describe, it } from "@effect/vitest"
import type { Outcome } from "@socketserver/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Backoff } from "../src/internal/worker/parent/backoff.ts"
import type { PoolOptions } from "../src/internal/worker/parent/options.ts"
import { NoRoom } from "../src/internal/worker/parent/child.ts"
import { Pool } from "../src/internal/worker/parent/pool.ts"
import { Asked, AskedConnection } from "./support/askedPool.ts"
import { options } from "./support/poolOptions.ts"
import { ManualTick } from "./support/manualTick.ts"
import { ScriptedWorker } from "./support/scriptedWorker.ts"

const setup = (some: Partial<PoolOptions> = {}, room = Infinity) => {
  const workers: Array<ScriptedWorker> = []
  const tick = new ManualTick()
  const pool = new Pool(
    { ...options, ...some },
    {
      service: "Test",
      shutdown: Effect.void,
      unreleased: () => {},
      sticky: false,
      start: () => {
        if (workers.filter((worker) => !worker.hasEnded).length >= room) throw new NoRoom("there is no room")
        const worker = new ScriptedWorker()
        workers.push(worker)
        return worker.child(`worker-${workers.length}`)
      },
      context: Context.empty(),
      tick
    }
  )
  Effect.runFork(pool.open)
  const calls = new Map<string, Asked>()
  return {
    pool,
    workers,
    tick,
    /** Lets so many milliseconds pass. */
    pass: (millis: number) => tick.advance(millis),
    timers: () => tick.pending,
    /** Asks for what is named by each character. */
    ask: async (names: string) => {
      for (const name of names) {
        const call = new Asked(name)
        calls.set(name, call)
        pool.submit(call)
      }
      await told
    },
    cancel: async (name: string) => {
      pool.cancel(calls.get(name) as Asked)
      await told
    },
    end: (name: string) => calls.get(name)?.end
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
    assert.strictEqual(worker.holds, "")
    worker.ready()
    await told
    assert.strictEqual(worker.holds, "abcde")
    for (const name of "abcde") worker.answer(name)
    await told
    assert.strictEqual(worker.holds, "fgh")
    await close(test)
  })

  it("is given ahead again after there was nothing to do", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    await test.ask("a")
    worker.answer("a")
    await test.ask("bcdefgh")
    assert.strictEqual(worker.holds, "bcde")
    worker.answer("b")
    await told
    assert.strictEqual(worker.holds, "cdefg")
    await close(test)
  })

  it("has no more ahead once that is 256 KiB", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    for (const name of "abcdef") {
      const call = new Asked(name)
      call.weight = 200_000
      test.pool.submit(call)
    }
    await told
    assert.strictEqual(worker.holds, "abc")
    worker.answer("a")
    worker.answer("b")
    await told
    assert.strictEqual(worker.holds, "cde")
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
    assert.strictEqual(one.holds, "abcd")
    assert.isTrue(one.claim("b"))
    two.ready()
    await told
    assert.strictEqual(two.holds, "c")
    assert.isFalse(one.claim("c"))
    two.answer("c")
    await told
    assert.strictEqual(two.holds, "d")
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
    assert.strictEqual(two.holds, "")
    one.drop("b")
    await told
    assert.strictEqual(two.holds, "b")
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
    assert.strictEqual(two.holds, "cd")
    assert.strictEqual((test.end("b") as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    await close(test)
  })

  it("is given to nobody when nobody waits for it, and makes room in the queue", async () => {
    const test = setup({ max: 1, queue: 2 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("ab")
    assert.isFalse(test.pool.room.isFull())
    await test.ask("c")
    assert.isTrue(test.pool.room.isFull())
    const room = Effect.runFork(test.pool.room.free)
    await test.cancel("b")
    assert.isFalse(test.pool.room.isFull())
    await Effect.runPromise(Fiber.join(room))
    assert.deepStrictEqual(one.cancelled, [one.given[1]?.id])
    await test.ask("e")
    assert.strictEqual(one.holds, "abce")
    assert.isFalse(one.claim("b"))
    one.drop("b")
    one.answer("a")
    one.answer("c")
    one.answer("e")
    assert.deepStrictEqual(["c", "e"].map(test.end), ["answered", "answered"])
    await close(test)
  })

  it("is given to nobody when nobody waits for it, though both had wanted it and neither had it", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    await test.ask("abc")
    const [has, other] = one.holds.includes("c") ? [one, two] : [two, one]
    has.wants("c")
    await test.cancel("c")
    assert.isFalse(has.claim("c"))
    // It has not said so yet.
    other.answer(other.holds)
    await told
    assert.strictEqual(other.holds, "")
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
    assert.strictEqual(two.holds, "b")
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
    assert.isTrue(one.claim("a"))
    const ahead = one.holds.slice(1)
    for (let i = 0; i < 5; i++) {
      two.answer((two.given[0] as { readonly text: string }).text)
      await told
    }
    assert.isAbove(ahead.length, 0)
    for (const name of ahead) assert.isFalse(one.claim(name), name)
    // They are before all others.
    assert.include(two.holds, ahead[0] as string)
    await close(test)
  })

  it("is no more than a worker is to handle, and others than those are not started for it", async () => {
    const test = setup({ max: 1, recycle: 3 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("abcdef")
    assert.strictEqual(one.holds, "abc")
    assert.strictEqual(test.workers.length, 1)
    for (const name of "abc") one.answer(name)
    await told
    assert.strictEqual(test.workers.length, 2)
    await close(test)
  })

  it("comes back, the oldest first, also if only one of many gets on", async () => {
    const test = setup({ max: 4 })
    const quick = test.workers[3] as ScriptedWorker
    for (const worker of test.workers) worker.ready()
    await test.ask("abcdefghijklmnopqrstuvwxyz")
    const late = test.workers.slice(0, 3)
    for (const worker of late) assert.isTrue(worker.claim(worker.holds[0] as string))
    const ahead = [...late.map((worker) => worker.holds.slice(1)).join("")].toSorted()
    assert.isAbove(ahead.length, 3)
    for (let i = 0; i < 5; i++) {
      quick.answer(quick.holds[0] as string)
      await told
    }
    const handled: Array<string> = []
    for (let i = 0; i < 4 + ahead.length; i++) {
      handled.push(quick.holds[0] as string)
      quick.answer(quick.holds[0] as string)
      await told
    }
    assert.includeMembers(handled, ahead)
    assert.deepStrictEqual(
      handled.filter((name) => ahead.includes(name)),
      ahead
    )
    await close(test)
  })

  it("is taken back from one that is late, and given to others that are not", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    await test.ask("ab")
    assert.isTrue(one.claim("a"))
    for (const name of "cdefgh") {
      two.answer(two.holds[0] as string)
      await test.ask(name)
    }
    await test.ask("ijkl")
    assert.strictEqual(one.holds, "a")
    assert.strictEqual(two.holds, "hijk")
    await close(test)
  })
})

describe("whoever has nothing at work", () => {
  const one = async (some: Partial<PoolOptions> = {}) => {
    const test = setup({ max: 1, ...some })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    const settled = async () => {
      await told
      worker.dropCancelled()
      await told
    }
    return {
      ...test,
      worker,
      ask: async (names: string, connection: AskedConnection) => {
        for (const name of names) test.pool.submit(new Asked(name, connection))
        await settled()
      },
      pass: async (millis: number) => {
        test.pass(millis)
        await settled()
      },
      /** Does all that there is, one after the other; in which order. */
      work: async () => {
        let done = ""
        for (; worker.holds !== ""; await settled()) {
          done += worker.holds[0]
          worker.answer(worker.holds[0] as string)
        }
        return done
      }
    }
  }

  it.each([
    ["another peer", "two"],
    ["another connection of the same peer", "one"]
  ])("waits for no more than one of those that have more ahead: %s", async (_, peer) => {
    const test = await one()
    await test.ask("abcdefgh", new AskedConnection(1, "one"))
    const before = test.worker.holds
    assert.match(before, /^abcd/)
    await test.ask("x", new AskedConnection(2, peer))
    await test.pass(24)
    assert.strictEqual(test.worker.holds, before)
    await test.pass(1)
    assert.include([1, 2], test.worker.holds.indexOf("x"))
    // Nothing is lost, and each begins as it came.
    const done = await test.work()
    assert.strictEqual(done.replace("x", ""), "abcdefgh")
    await close(test)
  })

  it("is not overtaken again and again by others that come later", async () => {
    const test = await one()
    await test.ask("abcdefgh", new AskedConnection(1, "one"))
    for (const [i, name] of [..."uvwxyz"].entries()) {
      await test.ask(name, new AskedConnection(2 + i, name))
      await test.pass(25)
    }
    const done = await test.work()
    assert.strictEqual(done.replaceAll(/[a-h]/g, ""), "uvwxyz")
    assert.strictEqual(done.replaceAll(/[u-z]/g, ""), "abcdefgh")
    assert.isAtMost(done.indexOf("z"), 8, done)
    await close(test)
  })

  it("takes nothing from those that have one each, nor from what has begun", async () => {
    const test = await one()
    for (const [i, name] of [..."abcd"].entries()) await test.ask(name, new AskedConnection(1 + i, name))
    const before = test.worker.holds
    assert.match(before, /^abc/)
    await test.ask("x", new AskedConnection(9, "x"))
    await test.pass(100)
    assert.strictEqual(test.worker.holds, before)
    await close(test)
    const other = await one({ each: 4 })
    await other.ask("abcdefgh", new AskedConnection(1, "one"))
    for (const name of "abcdef") assert.isTrue(other.worker.claim(name), name)
    await other.ask("x", new AskedConnection(2, "two"))
    await other.pass(100)
    assert.match(other.worker.holds, /^abcdef/)
    await close(other)
  })

  it("has nobody look when nobody waits", async () => {
    const test = await one()
    const timers = test.timers()
    await test.ask("a", new AskedConnection(1, "one"))
    assert.strictEqual(test.timers(), timers)
    await test.ask("bcdefgh", new AskedConnection(1, "one"))
    assert.strictEqual(test.timers(), timers + 1)
    await test.pass(25)
    assert.strictEqual(test.timers(), timers + 1)
    await test.work()
    await test.pass(25)
    assert.strictEqual(test.timers(), timers)
    await close(test)
  })
})

describe("a worker that ends", () => {
  it("costs nothing that it has not begun, whether it had its turn or not", async () => {
    const test = setup({ max: 1 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("z")
    one.answer("z")
    await test.ask("ab")
    one.crash()
    const two = test.workers[1] as ScriptedWorker
    two.ready()
    await told
    assert.strictEqual(two.holds, "ab")
    await close(test)
  })

  it("and had given a request back costs nothing, though it said so to nobody", async () => {
    const test = setup()
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    await test.ask("ab")
    assert.isTrue(one.claim("a"))
    one.wants("b")
    // It has nothing to do: the parent wants it as well, and sees that the worker does.
    two.ready()
    assert.isFalse(one.claim("b"))
    one.crash()
    await told
    assert.strictEqual(two.holds, "b")
    assert.strictEqual((test.end("a") as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    await close(test)
  })

  it("before it has done anything, again and again, ends what waits for it", async () => {
    const test = setup({ max: 1, startMillis: 1_000_000 })
    await test.ask("a")
    for (let i = 0; i < 5; i++) {
      const worker = test.workers.at(-1) as ScriptedWorker
      worker.ready()
      await told
      assert.strictEqual(worker.holds, "a")
      worker.crash()
      test.pass(10_000)
      assert.strictEqual(test.workers.length, i + 2)
    }
    assert.strictEqual((test.end("a") as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    await close(test)
  })
})

describe("a worker that is killed over a request", () => {
  it("is given nothing more, and loses what it has not begun at once", async () => {
    const test = setup({ max: 1, deadlineMillis: 20 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("ab")
    assert.isTrue(one.claim("a"))
    test.pass(30)
    assert.isTrue(one.isKilled)
    assert.isFalse(one.claim("b"))
    // Its answer was on the way already.
    one.answer("a")
    await test.ask("c")
    assert.strictEqual(one.holds, "b")
    one.crash()
    const two = test.workers[1] as ScriptedWorker
    two.ready()
    await told
    assert.strictEqual(two.holds, "bc")
    assert.strictEqual(test.end("a"), "answered")
    await close(test)
  })
})

describe("a request that is cancelled after its turn has come", () => {
  it("leaves its place to the next", async () => {
    const test = setup({ max: 1 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("a")
    await test.cancel("a")
    await test.ask("b")
    one.drop("a")
    assert.strictEqual(one.holds, "b")
    one.answer("b")
    assert.strictEqual(test.end("b"), "answered")
    await close(test)
  })

  it("does not begin if it has not, and counts as one that its worker has handled", async () => {
    const test = setup({ max: 1, recycle: 2 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("ab")
    one.answer("a")
    // Another is started, for this one has had its two.
    await test.ask("c")
    assert.strictEqual(test.workers.length, 2)
    await test.cancel("b")
    assert.isFalse(one.claim("b"))
    one.drop("b")
    const two = test.workers[1] as ScriptedWorker
    two.ready()
    await test.ask("d")
    assert.strictEqual(one.holds, "")
    assert.strictEqual(two.holds, "cd")
    await close(test)
  })
})

describe("processes that start", () => {
  it("begin a moment after each other, where others start on all cores", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, startsAtOnce: 2 })
    assert.lengthOf(test.workers, 1)
    await test.ask("abcdef")
    assert.lengthOf(test.workers, 2)
    test.pass(199)
    assert.lengthOf(test.workers, 2)
    test.pass(1)
    assert.lengthOf(test.workers, 3)
    test.pass(600)
    assert.lengthOf(test.workers, 6)
    test.pass(1_000)
    assert.lengthOf(test.workers, 6)
    await close(test)
  })

  it("begin no more once the pool is closed", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, startsAtOnce: 2 })
    await test.ask("abc")
    assert.lengthOf(test.workers, 2)
    await close(test)
    assert.strictEqual(test.timers(), 0)
  })

  it("begin as far from each other as the cores take for what the last one has taken", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, startsAtOnce: 2 })
    test.workers[0]?.ready(500)
    await test.ask("abcdef")
    // One works; the places of two that start are taken at once.
    assert.lengthOf(test.workers, 3)
    test.pass(499)
    assert.lengthOf(test.workers, 3)
    test.pass(1)
    assert.lengthOf(test.workers, 4)
    await close(test)
  })

  it("are not kept waiting by what an earlier start took, once a later one took less", async () => {
    const test = setup({ fixed: false, max: 40, recycle: 1, startsAtOnce: 2 })
    test.workers[0]?.ready(5_000)
    await test.ask("abcdef")
    assert.lengthOf(test.workers, 3)
    test.workers[1]?.ready(100)
    await told
    assert.lengthOf(test.workers, 4)
    test.pass(1_000)
    assert.isAbove(test.workers.length, 4)
    await close(test)
  })

  it("begin a whole millisecond later where less is left of their moment", async () => {
    const test = setup({ fixed: false, max: 12, recycle: 1, startsAtOnce: 3 })
    test.tick.least = 1
    await test.ask("abc")
    test.pass(133)
    await test.ask("d")
    assert.lengthOf(test.workers, 3)
    test.pass(1)
    assert.lengthOf(test.workers, 4)
    await close(test)
  })

  it("wait for none that take far longer than their work does", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, startsAtOnce: 2 })
    await test.ask("abcde")
    test.pass(200)
    assert.lengthOf(test.workers, 3)
    // Those that started first wait for something.
    test.pass(600)
    assert.lengthOf(test.workers, 5)
    test.pass(10_000)
    assert.lengthOf(test.workers, 5)
    await test.ask("fg")
    assert.lengthOf(test.workers, 7)
    await close(test)
  })

  it("wait for no moment where they are spares, and nobody waits", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, spares: 4, startsAtOnce: 2 })
    for (let turn = 0; turn < 4; turn++) await told
    assert.lengthOf(test.workers, 4)
    await close(test)
  })

  it("wait for no moment once the cores have no other", async () => {
    const test = setup({ fixed: false, max: 8, recycle: 1, startsAtOnce: 2 })
    await test.ask("abcd")
    assert.lengthOf(test.workers, 2)
    for (const worker of test.workers.slice(0, 2)) worker.ready()
    await told
    assert.lengthOf(test.workers, 4)
    await close(test)
  })
})

describe("a pool for which the system has no room", () => {
  it("waits for one of its workers to end, and starts the next soon", async () => {
    const test = setup({ fixed: false, max: 4, recycle: 1 }, 1)
    const [first] = test.workers as [ScriptedWorker]
    await test.ask("abc")
    // However often there is none: nobody has failed.
    for (let i = 0; i < 60; i++) test.pass(100)
    first.ready()
    await told
    assert.strictEqual(first.holds, "a")
    for (const name of "abc") {
      const worker = test.workers.at(-1) as ScriptedWorker
      if (name !== "a") worker.ready()
      await told
      worker.answer(name)
      worker.crash()
      await told
      test.pass(100)
      await told
      assert.strictEqual(test.end(name), "answered")
    }
    assert.lengthOf(test.workers, 3)
    await close(test)
  })
})

describe("what a pool knows of connections and workers", () => {
  type Known = { workers: Set<unknown> }
  const known = (pool: Pool) =>
    (pool as never as { connections: { known: { values: () => Iterable<Known> }; heard: Map<unknown, Set<unknown>> } })
      .connections

  it("is no worker that has ended, though a connection lasts", async () => {
    const test = setup({ max: 1, recycle: 1 })
    const connection = new AskedConnection(7)
    for (let i = 0; i < 5; i++) {
      const worker = test.workers.at(-1) as ScriptedWorker
      worker.ready()
      test.pool.submit(new Asked("a", connection))
      await told
      worker.answer("a")
      worker.crash()
      await told
    }
    for (const { workers } of known(test.pool).known.values()) assert.strictEqual(workers.size, 0)
    await close(test)
  })

  it("is no connection that has ended, though a worker lasts", async () => {
    const test = setup({ max: 1 })
    const [worker] = test.workers as [ScriptedWorker]
    worker.ready()
    for (let i = 0; i < 5; i++) {
      const connection = new AskedConnection(i)
      test.pool.submit(new Asked("a", connection))
      await told
      worker.answer("a")
      connection.end()
    }
    for (const heard of known(test.pool).heard.values()) assert.strictEqual(heard.size, 0)
    await close(test)
  })
})

describe("the wait before the next start", () => {
  it("is doubled once for all that fail together", () => {
    const tick = new ManualTick()
    const backoff = new Backoff(tick)
    const round = () => Array.from({ length: 4 }, () => backoff.failed("no", true, () => {}))
    assert.deepStrictEqual(round(), [100, 100, 100, 100])
    tick.advance(100)
    assert.deepStrictEqual(round(), [200, 200, 200, 200])
    assert.isFalse(backoff.isHopeless)
  })
})

describe("a pool whose workers cannot all be started", () => {
  it("starts the next soon where the last one has just ended, whose descriptors are not closed yet", async () => {
    const test = setup({ fixed: false, max: 4, recycle: 1 }, 1)
    const [first] = test.workers as [ScriptedWorker]
    first.ready()
    await test.ask("a")
    first.answer("a")
    first.crash()
    first.hasEnded = false
    await test.ask("b")
    test.pass(850)
    assert.lengthOf(test.workers, 1)
    first.hasEnded = true
    test.pass(100)
    assert.lengthOf(test.workers, 2)
    await close(test)
  })

  it("has what waits wait on where one is ready, however many starts fail", async () => {
    const test = setup({ max: 2 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("abcdefgh")
    assert.isTrue(one.claim("a"))
    for (let i = 0; i < 8; i++) {
      test.workers.at(-1)!.crash()
      test.pass(10_000)
    }
    assert.isAbove(test.workers.length, 6)
    for (const name of "abcdefgh") assert.strictEqual(test.end(name), "nothing yet")
    for (const name of "abcdefgh") {
      one.answer(name)
      await told
      assert.strictEqual(test.end(name), "answered")
    }
    await close(test)
  })
})

describe("a worker that has answered in time", () => {
  it("is not killed over that request", async () => {
    const test = setup({ max: 1, deadlineMillis: 20 })
    const [one] = test.workers as [ScriptedWorker]
    one.ready()
    await test.ask("a")
    test.pass(10)
    one.answer("a")
    test.pass(100)
    assert.isFalse(one.isKilled)
    await close(test)
  })
})
