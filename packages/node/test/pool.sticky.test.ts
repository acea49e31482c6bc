/** Pools whose workers have the state of connections. */
import { assert, describe, it } from "@effect/vitest"
import type { Outcome } from "@socketserver/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { setUpKind } from "../src/internal/worker/channel/calls.ts"
import { Pool } from "../src/internal/worker/parent/pool.ts"
import type { PoolOptions } from "../src/internal/worker/parent/options.ts"
import { Asked, AskedConnection } from "./support/askedPool.ts"
import { options } from "./support/poolOptions.ts"
import { ManualTick } from "./support/manualTick.ts"
import { ScriptedWorker } from "./support/scriptedWorker.ts"

const told = Promise.resolve()

const setup = (some: Partial<PoolOptions> = {}) => {
  const workers: Array<ScriptedWorker> = []
  const unreleased: Array<string> = []
  const tick = new ManualTick()
  const pool = new Pool(
    { ...options, ...some },
    {
      service: "Test",
      shutdown: Effect.void,
      unreleased: (error) => void unreleased.push(error.message),
      sticky: true,
      start: () => {
        const worker = new ScriptedWorker()
        workers.push(worker)
        return worker.child(`worker-${workers.length}`)
      },
      context: Context.empty(),
      tick
    }
  )
  Effect.runFork(pool.open)
  let connections = 0
  return {
    pool,
    workers,
    /** What the state of connections has died of. */
    unreleased,
    /** Lets so many milliseconds pass. */
    pass: (millis: number) => tick.advance(millis),
    /** A peer connects; the set-up of its connection is named. */
    connect: async (name: string) => {
      const connection = new AskedConnection(++connections)
      const call = new Asked(name, connection, setUpKind)
      pool.setUp(call)
      await told
      return { connection, call }
    },
    ask: async (name: string, connection: AskedConnection) => {
      const call = new Asked(name, connection)
      pool.submit(call)
      await told
      return call
    }
  }
}

describe("a pool whose workers have the state of connections", () => {
  it("gives each connection to who has fewest, and all its requests to that one", async () => {
    const { ask, connect, workers } = setup()
    const [one, two] = workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    const a = await connect("A")
    const b = await connect("B")
    assert.deepStrictEqual([one.holds, two.holds], ["A", "B"])
    one.answer("A")
    two.answer("B")
    for (const name of "123") await ask(name, a.connection)
    await ask("4", b.connection)
    assert.deepStrictEqual([one.holds, two.holds], ["123", "4"])
    two.answer("4")
    await told
    // Who has nothing to do takes nothing of another's.
    assert.deepStrictEqual([one.holds, two.holds], ["123", ""])
    // A connection that has ended is nobody's any more.
    a.connection.end()
    await connect("C")
    assert.strictEqual(one.holds, "123C")
  })

  it("lets connections and their requests wait until a worker is ready", async () => {
    const { ask, connect, workers } = setup({ max: 1 })
    const [one] = workers as [ScriptedWorker]
    const { call, connection } = await connect("A")
    const first = await ask("1", connection)
    await ask("2", connection)
    assert.strictEqual(one.holds, "")
    one.ready()
    await told
    assert.strictEqual(one.holds, "A12")
    one.answer("A")
    one.answer("1")
    assert.deepStrictEqual([call.end, first.end], ["answered", "answered"])
  })

  it("loses with a worker the connections that it had, with all that waits for them", async () => {
    const { ask, connect, workers } = setup()
    const [one, two] = workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    const a = await connect("A")
    const b = await connect("B")
    const lost = [await ask("1", a.connection), await ask("2", a.connection)]
    const kept = await ask("3", b.connection)
    one.crash()
    await told
    for (const { end } of lost) assert.strictEqual((end as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    assert.deepStrictEqual([a.connection.isClosed, b.connection.isClosed], [true, false])
    assert.strictEqual(two.holds, "B3")
    two.answer("3")
    assert.strictEqual(kept.end, "answered")
    // What still comes on it has nowhere to go.
    const late = await ask("4", a.connection)
    assert.strictEqual((late.end as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    // Another one was started in its place.
    assert.strictEqual(workers.length, 3)
  })

  it("keeps a worker beyond its number of requests while it has connections, and gives it no more of them", async () => {
    const { ask, connect, workers } = setup({ recycle: 1 })
    const [one, two] = workers as [ScriptedWorker, ScriptedWorker]
    one.ready()
    two.ready()
    const a = await connect("A")
    one.answer("A")
    for (const name of "12") {
      await ask(name, a.connection)
      assert.strictEqual(one.holds, name)
      one.answer(name)
    }
    await connect("B")
    await connect("C")
    assert.deepStrictEqual([one.holds, two.holds], ["", "BC"])
    a.connection.end()
    await told
    assert.strictEqual(workers.length, 3)
  })

  it("kills a worker that does not let go of the set-up of a connection that has ended", async () => {
    const { connect, pass, workers } = setup({ max: 1 })
    const [one] = workers as [ScriptedWorker]
    one.ready()
    const done = await connect("A")
    one.answer("A")
    done.connection.end()
    await told
    pass(10_000)
    assert.isFalse(one.isKilled)
    const stuck = await connect("B")
    stuck.connection.end()
    await told
    assert.strictEqual(one.cancelled.length, 1)
    pass(9_999)
    assert.isFalse(one.isKilled)
    pass(1)
    assert.isTrue(one.isKilled)
  })

  it("lets nothing wait for a set-up that no worker will do", async () => {
    const { ask, connect, pass, workers } = setup({ max: 1, retries: 2 })
    const { call, connection } = await connect("A")
    const waiting = await ask("1", connection)
    for (let starts = 1; starts <= 5; starts++) {
      workers.at(-1)?.crash()
      pass(10_000)
    }
    for (const { end } of [call, waiting]) assert.strictEqual((end as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
  })
})

describe("the state of a connection that dies in its worker as it is released", () => {
  it("is told of, also by a worker that is about to end", async () => {
    const { connect, pool, unreleased, workers } = setup({ max: 1 })
    const [worker] = workers as [ScriptedWorker]
    worker.ready()
    const { connection } = await connect("A")
    worker.answer("A")
    connection.end()
    worker.cannotRelease(connection.id, "it is gone")
    assert.deepStrictEqual(unreleased, ["it is gone"])
    const closed = Effect.runPromise(pool.close)
    worker.cannotRelease(connection.id, "so is this")
    assert.isFalse(worker.isKilled)
    worker.crash()
    await closed
    assert.deepStrictEqual(unreleased, ["it is gone", "so is this"])
  })
})

describe("a connection that ends before a worker has it", () => {
  it("is given to none any more", async () => {
    const { connect, workers } = setup()
    const { connection } = await connect("A")
    connection.end()
    const [one] = workers as [ScriptedWorker]
    one.ready()
    await told
    assert.strictEqual(one.holds, "")
  })

  it("leaves nothing behind", async () => {
    const { ask, connect, pool } = setup()
    const { connection } = await connect("A")
    await ask("1", connection)
    connection.end()
    const { affinity } = pool as never as { affinity: { held: Map<unknown, unknown> } }
    assert.strictEqual(affinity.held.size, 0)
  })
})

describe("a request that nobody waits for when its connection gets a worker", () => {
  it("is given to none", async () => {
    const { ask, connect, pool, workers } = setup({ each: 4 })
    const { connection } = await connect("A")
    const cancelled = await ask("1", connection)
    await ask("2", connection)
    pool.cancel(cancelled)
    const [one] = workers as [ScriptedWorker]
    one.ready()
    await told
    assert.strictEqual(one.holds, "A2")
  })
})

describe("requests of a connection for which no worker can be started", () => {
  it("make room in the queue when they are given up", async () => {
    const { ask, connect, pass, pool, workers } = setup({ max: 1, queue: 1 })
    const { connection } = await connect("A")
    const call = await ask("1", connection)
    assert.isTrue(pool.room.isFull())
    for (let i = 0; i < 5; i++) {
      workers.at(-1)!.crash()
      pass(10_000)
    }
    assert.strictEqual((call.end as Outcome.WorkerCrashed)._tag, "WorkerCrashed")
    assert.isFalse(pool.room.isFull())
  })
})
