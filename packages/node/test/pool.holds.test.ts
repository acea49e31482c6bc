/** Replies that nobody reads, and the workers that they hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type { PoolOptions } from "../src/internal/worker/parent/options.ts"
import { Pool } from "../src/internal/worker/parent/pool.ts"
import { Asked, AskedConnection } from "./support/askedPool.ts"
import { options } from "./support/poolOptions.ts"
import { ManualTick } from "./support/manualTick.ts"
import { ScriptedWorker } from "./support/scriptedWorker.ts"

const setup = async (some: Partial<PoolOptions> = {}) => {
  const workers: Array<ScriptedWorker> = []
  const tick = new ManualTick()
  const pool = new Pool(
    { ...options, max: 1, ...some },
    {
      service: "Test",
      shutdown: Effect.void,
      unreleased: () => {},
      sticky: false,
      start: () => {
        const worker = new ScriptedWorker()
        workers.push(worker)
        return worker.child(`worker-${workers.length}`)
      },
      context: Context.make(Logger.CurrentLoggers, new Set()) as Context.Context<never>,
      tick
    }
  )
  Effect.runFork(pool.open)
  for (const worker of workers) worker.ready()
  const ask = async (name: string, connection?: AskedConnection) => {
    const call = new Asked(name, connection)
    pool.submit(call)
    await Promise.resolve()
    return call
  }
  return { pool, workers, tick, ask }
}

/** A reply that is more than its peer reads. */
const unread = async ({ ask, workers }: Awaited<ReturnType<typeof setup>>) => {
  const call = await ask("a")
  assert.isTrue((workers[0] as ScriptedWorker).claim("a"))
  call.wire.bytesWritten = 1_000
  call.wire.bytesUnsent = 500
  call.waits(true)
  return call
}

describe("a worker that has started in time", () => {
  it("has as long as it likes after that", async () => {
    const test = await setup()
    test.tick.advance(1_000_000)
    assert.isFalse(test.workers[0]?.isKilled)
  })
})

describe("a reply that nobody reads", () => {
  it("keeps its worker for as long as nobody else wants that", async () => {
    const test = await setup()
    const call = await unread(test)
    test.tick.advance(1_000_000)
    assert.isFalse(call.wire.isReset)
  })

  it("keeps its worker for as long as only its own connection wants more of that", async () => {
    const test = await setup()
    const connection = new AskedConnection(7)
    const call = await test.ask("a", connection)
    assert.isTrue((test.workers[0] as ScriptedWorker).claim("a"))
    call.wire.bytesUnsent = 500
    call.waits(true)
    await test.ask("b", connection)
    test.tick.advance(1_000_000)
    assert.isFalse(call.wire.isReset)
    await test.ask("c")
    test.tick.advance(10_000)
    assert.isTrue(call.wire.isReset)
  })

  it("is looked at in time though times are no whole numbers", async () => {
    const test = await setup({ placeMillis: 100 })
    const call = await unread(test)
    // Of six times a hundred half of the least time is left that passes.
    test.tick.least = 1
    const other = await test.ask("b")
    for (const millis of [...Array.from({ length: 11 }, () => 50), 49.5]) {
      test.tick.advance(millis)
      call.wire.bytesWritten += 1
    }
    test.pool.cancel(other)
    assert.isFalse(call.wire.isReset)
    await test.ask("c")
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("costs its connection after the time for that, from when somebody waits", async () => {
    const test = await setup()
    const call = await unread(test)
    test.tick.advance(100_000)
    await test.ask("b")
    test.tick.advance(9_999)
    assert.isFalse(call.wire.isReset)
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("costs nothing when who waited does so no more, and is not charged with that time again", async () => {
    const test = await setup()
    const call = await unread(test)
    test.pool.cancel(await test.ask("b"))
    test.tick.advance(9_000)
    await test.ask("c")
    test.tick.advance(9_999)
    assert.isFalse(call.wire.isReset)
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("has six times as long while its peer reads", async () => {
    const test = await setup()
    const call = await unread(test)
    await test.ask("b")
    for (let seconds = 0; seconds < 59; seconds++) {
      test.tick.advance(1_000)
      call.wire.bytesWritten++
    }
    test.tick.advance(999)
    assert.isFalse(call.wire.isReset)
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("has six times as long while it waits for its turn, and its peer has read what there is", async () => {
    const test = await setup()
    const call = await unread(test)
    call.wire.bytesUnsent = 0
    await test.ask("b")
    test.tick.advance(59_999)
    assert.isFalse(call.wire.isReset)
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("is charged for the time alone in which it holds its worker, however often it goes on", async () => {
    const test = await setup()
    const call = await unread(test)
    await test.ask("b")
    for (let i = 0; i < 7; i++) {
      call.waits(false)
      test.tick.advance(100_000)
      call.waits(true)
      test.tick.advance(8_000)
    }
    assert.isFalse(call.wire.isReset)
    test.tick.advance(4_000)
    assert.isTrue(call.wire.isReset)
  })

  it("is let go of when its worker is done with it", async () => {
    const test = await setup()
    const call = await unread(test)
    await test.ask("b")
    const [worker] = test.workers as [ScriptedWorker]
    worker.answer("a")
    test.tick.advance(100_000)
    assert.isFalse(call.wire.isReset)
  })

  it("gives back what its worker has ahead, where there are others", async () => {
    const test = await setup({ max: 2 })
    const [one, two] = test.workers as [ScriptedWorker, ScriptedWorker]
    const call = await unread(test)
    call.waits(false)
    for (const name of "bcdefgh") await test.ask(name)
    assert.isTrue(two.claim("b"))
    const ahead = one.holds.slice(1)
    assert.isAbove(ahead.length, 0)
    call.waits(true)
    for (const name of ahead) assert.isFalse(one.claim(name), name)
    // It is given nothing ahead while it waits.
    two.answer("b")
    await Promise.resolve()
    assert.strictEqual(one.holds.slice(1), ahead)
  })
})

describe("what a worker that is held had ahead", () => {
  it("has no turn before others that wait, but its own", async () => {
    const test = await setup({ max: 2 })
    const [first, second] = test.workers as [ScriptedWorker, ScriptedWorker]
    const greedy = new AskedConnection(7, "greedy")
    const calls = []
    for (const name of "abcdefghij") calls.push(await test.ask(name, greedy))
    assert.isTrue(first.claim("a") && second.claim("b"))
    // Both wait for who reads slowly, again and again, and what they have ahead comes back.
    for (let times = 0; times < 5; times++) {
      for (const call of calls.slice(0, 2)) {
        for (const waiting of [true, false]) {
          call.waits(waiting)
          test.tick.advance(1)
          for (const worker of [first, second]) worker.dropCancelled()
        }
      }
    }
    await test.ask("q", new AskedConnection(8, "quiet"))
    // A worker begins the first of what it has that nobody took back.
    const begun: Array<string> = []
    second.answer("b")
    for (let times = 0; times < 4; times++) {
      await Promise.resolve()
      second.dropCancelled()
      const next = [...second.holds].find((name) => second.claim(name))
      if (next === undefined) break
      begun.push(next)
      second.answer(next)
    }
    assert.isAtMost(begun.indexOf("q"), 1, begun.join(""))
    assert.include(begun, "q")
  })
})

describe("a reply that is read a little again and again", () => {
  it("costs its connection after just six times as long in all", async () => {
    const test = await setup()
    const call = await unread(test)
    await test.ask("b")
    for (let i = 0; i < 7; i++) {
      test.tick.advance(8_000)
      call.waits(false)
      test.tick.advance(1_000)
      call.waits(true)
    }
    test.tick.advance(3_999)
    assert.isFalse(call.wire.isReset)
    test.tick.advance(1)
    assert.isTrue(call.wire.isReset)
  })

  it("costs nothing while its worker goes on, whoever comes meanwhile", async () => {
    const test = await setup()
    const call = await unread(test)
    await test.ask("b")
    test.tick.advance(5_000)
    call.waits(false)
    await test.ask("c")
    test.tick.advance(1_000_000)
    assert.isFalse(call.wire.isReset)
  })
})
