/** Pools with workers that do as `host.ts` does, in all orders in which it can happen, and what must hold at every step. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { bytesOf, Claims, memoryCells } from "../src/internal/worker/channel/claims.ts"
import { Ask, factsBytes, FrameReader, FrameWriter, readFacts, Tell } from "../src/internal/worker/channel/frames.ts"
import type { Child, End } from "../src/internal/worker/parent/child.ts"
import { type PoolOptions, slotsOf } from "../src/internal/worker/parent/options.ts"
import { Pool } from "../src/internal/worker/parent/pool.ts"
import { Asked, AskedConnection } from "./support/askedPool.ts"
import { options as defaults } from "./support/poolOptions.ts"
import { ManualTick } from "./support/manualTick.ts"
import { randomOf } from "./support/random.ts"

type Action = () => void

interface Call {
  readonly id: number
  readonly text: string
  readonly slot: number
}

interface Laws {
  /** Whether its handler cannot end yet: it has more to send than it may keep, and its turn has not come. */
  readonly isHeld: (text: string) => boolean
  readonly begins: (text: string) => void
}

/** A worker, as the steps that it can take. */
class Simulated {
  readonly outbox: Array<readonly [kind: number, id: number, body?: string]> = [[Tell.ready, 0]]
  readonly began: Array<string> = []
  isDead = false
  isEnding = false
  /** What it has written its claim of, and not yet looked whether it may begin it. */
  half: Call | undefined = undefined
  readonly child: Child
  private readonly cells: ReturnType<typeof memoryCells>
  private readonly inbox: Array<Action> = []
  private readonly running = new Map<number, string>()
  private readonly waiting: Array<Call> = []
  private unclaimed: number | undefined = undefined
  private readonly each: number
  private readonly laws: Laws
  private onBytes: (bytes: Uint8Array) => void = () => {}
  private onEnd: (end: End) => void = () => {}

  constructor(options: PoolOptions, name: string, laws: Laws) {
    this.each = options.each
    this.laws = laws
    this.cells = memoryCells(new SharedArrayBuffer(bytesOf(slotsOf(options))))
    const reader = new FrameReader({
      onFrame: (kind, id, body) => {
        if (this.isDead) return
        const text = body.subarray(factsBytes).toString()
        if (kind === Ask.request) {
          const { claim } = readFacts(body)
          this.inbox.push(() => {
            this.waiting.push({ id, text, slot: claim - 1 })
          })
        }
        if (kind === Ask.cancel) this.inbox.push(() => this.cancel(id))
        if (kind === Ask.stop) this.inbox.push(() => void (this.isEnding = true))
      }
    })
    this.child = {
      name,
      claims: new Claims(this.cells),
      kill: () => void (this.isDead = true),
      onEnd: (ended) => void (this.onEnd = ended),
      link: {
        start: ({ onBytes }) => void (this.onBytes = onBytes),
        send: (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
        whenSent: (sent) => sent(),
        close: () => {}
      }
    }
  }

  /** What it could do next. */
  get actions(): ReadonlyArray<Action> {
    if (this.isDead) return []
    const { half } = this
    const actions: Array<Action> = [...this.running].flatMap(([id, text]) =>
      this.laws.isHeld(text) ? [] : () => this.free(id)
    )
    // It reads nothing between its looks at a claim.
    if (this.inbox.length > 0 && half === undefined) actions.push(() => this.inbox.splice(0).forEach((read) => read()))
    if (half !== undefined) actions.push(() => this.decide(half))
    else if (this.unclaimed === undefined && this.waiting.length > 0 && this.running.size < this.each)
      actions.push(() => this.want())
    if (this.isEnding && this.running.size === 0 && this.inbox.length === 0)
      actions.push(() => void (this.isDead = true))
    return actions
  }

  /** Some of what it has said arrives. */
  deliver(frames: number): void {
    const writer = new FrameWriter(
      (parts, bytes) => this.onBytes(Buffer.concat(parts, bytes)),
      () => {}
    )
    for (const frame of this.outbox.splice(0, frames)) writer.add(...frame)
    writer.flush()
  }

  end(): void {
    this.onEnd({ exitCode: undefined, signal: "SIGKILL", reason: undefined })
  }

  // The two halves of `Claims.claim`.
  private want(): void {
    const call = this.waiting.shift() as Call
    this.cells.write(2 * call.slot, call.id)
    this.half = call
  }

  private decide(call: Call): void {
    this.half = undefined
    if (this.cells.read(2 * call.slot + 1) !== call.id) {
      this.laws.begins(call.text)
      this.began.push(call.text)
      this.running.set(call.id, call.text)
      return
    }
    this.cells.write(2 * call.slot, 0)
    this.outbox.push([Tell.dropped, call.id])
    this.unclaimed = call.id
  }

  private cancel(id: number): void {
    if (this.unclaimed === id) this.unclaimed = undefined
    const index = this.waiting.findIndex((call) => call.id === id)
    if (index === -1) return void (this.running.has(id) && this.free(id))
    this.waiting.splice(index, 1)
    this.outbox.push([Tell.dropped, id])
  }

  private free(id: number): void {
    this.running.delete(id)
    this.outbox.push([Tell.done, id, "0"], [Tell.freed, id])
  }
}

interface Inside {
  readonly queue: { readonly size: number; readonly line: Turns; readonly waiting: ReadonlyMap<Asked, true> }
  readonly crew: { readonly workers: ReadonlySet<{ readonly calls: InsideCalls }> }
}

interface Turns {
  readonly peers: ReadonlyMap<string, ReadonlyMap<object, ReadonlyArray<Asked>>>
  readonly returned: ReadonlyArray<Asked>
  readonly connections: number
}

interface InsideCalls {
  readonly taken: number
  readonly prefetchedIds: ReadonlyMap<number, true>
  readonly contested: ReadonlySet<number>
  readonly calls: ReadonlyMap<number, Asked>
  readonly slots: { readonly taken: ReadonlyMap<number, number>; readonly free: ReadonlyArray<number> }
}

/** An assertion takes far longer than a comparison, and there are millions of them. */
const same = (found: unknown, expected: unknown, says: string): void => {
  if (found !== expected) assert.strictEqual(found, expected, says)
}

const run = async (seed: number) => {
  const random = randomOf(seed)
  const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(random() * list.length)] as A
  const fixed = random() < 0.6
  const options: PoolOptions = {
    ...defaults,
    fixed,
    max: pick([1, 2, 3]),
    spares: fixed ? 0 : pick([0, 1]),
    recycle: fixed ? pick([Infinity, Infinity, 2, 5]) : pick([2, 5, 10]),
    each: fixed ? pick([1, 1, 2]) : 1,
    // Here no time passes: what is quick is all of it.
    prefetchQuick: pick([4, 4, 6, 16]),
    queue: pick([3, 1_024]),
    startMillis: 1e8,
    graceMillis: 1e8,
    retries: random() < 0.3 ? 1 : 0
  }
  const crashes = random() < 0.6
  const connections = Array.from({ length: pick([1, 2, 3, 8]) }, (_, i) => new AskedConnection(i + 1, pick(["a", "b"])))
  const streams = pick([0, 0.3, 0.7])
  const held = new Set<string>()
  const calls: Array<Asked> = []
  /** Those of the same connection that came before it and have no end. */
  const before = (text: string) => {
    const call = calls[Number(text)] as Asked
    return calls
      .slice(0, Number(text))
      .filter(({ connection, isFinished }) => connection === call.connection && !isFinished)
  }
  const laws: Laws = {
    isHeld: (text) => held.has(text) && !(calls[Number(text)] as Asked).isFinished && before(text).length > 0,
    begins: (text) => {
      if ((calls[Number(text)] as Asked).isFinished || died) return
      for (const earlier of before(text)) {
        const has = [...handles].some(({ calls: { calls, contested, prefetchedIds } }) =>
          [...calls].some(([id, call]) => call === earlier && !prefetchedIds.has(id) && !contested.has(id))
        )
        const begun = workers.some(({ began }) => began.includes(earlier.text))
        if (!begun && !has) assert.fail(`${text} begins before ${earlier.text}: ${says}`)
      }
    }
  }
  // What a worker had not begun when it died begins after what others have begun meanwhile.
  let died = false
  const workers: Array<Simulated> = []
  const ended = new Set<Simulated>()
  const pool = new Pool(options, {
    service: "Test",
    shutdown: Effect.void,
    unreleased: () => {},
    sticky: false,
    start: () => {
      const worker = new Simulated(options, `worker-${workers.length}`, laws)
      workers.push(worker)
      return worker.child
    },
    context: Context.empty(),
    tick: new ManualTick()
  })
  Effect.runFork(pool.open)
  const {
    queue,
    crew: { workers: handles }
  } = pool as unknown as Inside
  const says = `seed ${seed}, ${JSON.stringify(options)}`

  const check = () => {
    const waiting = calls.filter((call) => queue.waiting.has(call)).length
    const ahead = [...handles].flatMap((handle) =>
      [...handle.calls.prefetchedIds.keys()].map((id) => handle.calls.calls.get(id) as Asked)
    )
    same(queue.size, waiting, says)
    const lanes = [...queue.line.peers.values()].flatMap((of) => [...of].map(([, lane]) => lane))
    same(lanes.length, queue.line.connections, says)
    const all = [...lanes.flat(), ...queue.line.returned, ...ahead]
    same(all.filter((call) => !call.isFinished).length, waiting, says)
    for (const { calls } of handles) {
      same(calls.taken, calls.calls.size - calls.prefetchedIds.size, says)
      if (calls.taken > options.each) assert.isAtMost(calls.taken, options.each, says)
      if (calls.prefetchedIds.size > 0) same(calls.taken, options.each, says)
      same(calls.slots.free.length + calls.slots.taken.size, slotsOf(options), says)
    }
  }

  /** What could happen next, anywhere. */
  const possible = (): ReadonlyArray<Action> => {
    const actions: Array<Action> = []
    for (const worker of workers) {
      if (ended.has(worker)) continue
      actions.push(...worker.actions)
      if (worker.outbox.length > 0) actions.push(() => worker.deliver(1 + Math.floor(random() * worker.outbox.length)))
      else if (worker.isDead) actions.push(() => (ended.add(worker), worker.end()))
    }
    const live = calls.filter((call) => !call.isFinished)
    const alive = workers.filter((worker) => !worker.isDead)
    if (calls.length >= 60) return actions
    if (!pool.room.isFull())
      actions.push(() => {
        for (let n = pick([1, 1, 3, 6]); n > 0; n--) {
          const call = new Asked(String(calls.length), pick(connections))
          if (random() < streams) held.add(call.text)
          calls.push(call)
          pool.submit(call)
        }
      })
    if (live.length > 0 && random() < 0.3) actions.push(() => pool.cancel(pick(live)))
    if (crashes && alive.length > 0 && random() < 0.06) {
      actions.push(() => {
        died = true
        pick(alive).isDead = true
      })
    }
    return actions
  }

  const { order } = pool as unknown as {
    readonly order: Readonly<Record<"ahead" | "connections", Map<object, unknown>>>
  }
  for (;;) {
    const actions = possible()
    if (actions.length === 0) {
      // What was sent may not have left yet.
      await new Promise(setImmediate)
      if (possible().length === 0) break
      continue
    }
    pick(actions)()
    // What a turn sends leaves at its end, which may be after more than one of these.
    if (random() < 0.5) await Promise.resolve()
    check()
  }
  for (const call of calls) {
    const began = workers.filter((worker) => worker.began.includes(call.text)).length
    assert.isTrue(call.isFinished, `${call.text} hangs: ${says}`)
    assert.isAtMost(began, 1 + call.crashes, says)
    if (call.end === "answered") assert.isAbove(began, 0, says)
    // A worker may be killed after it has claimed, and before it begins.
    const crashed = typeof call.end !== "string" && call.crashes === 0
    if (crashed && began === 0)
      assert.isTrue(
        workers.some(({ half }) => half?.text === call.text),
        `${call.text}: ${says}`
      )
  }
  for (const worker of workers) assert.isAtMost(worker.began.length, options.recycle, says)
  assert.deepStrictEqual([queue.size, order.ahead.size, order.connections.size], [0, 0, 0], says)
  for (const { calls } of handles) {
    assert.deepStrictEqual(
      [calls.prefetchedIds.size, calls.calls.size, calls.slots.taken.size, calls.taken],
      [0, 0, 0, 0],
      says
    )
  }
  if (fixed) assert.strictEqual(handles.size, options.max, says)
  return calls.map(({ end }) => (typeof end === "string" ? end : end._tag))
}

describe("a pool", () => {
  it("keeps its promises in whatever order things happen", { timeout: 300_000 }, async () => {
    const ends = new Map<string, number>()
    for (let seed = 1; seed <= Number(process.env["SEEDS"] ?? 400); seed++) {
      for (const end of await run(seed)) ends.set(end, (ends.get(end) ?? 0) + 1)
    }
    // All of it has happened, and not just once.
    for (const end of ["answered", "nothing yet", "WorkerCrashed"]) {
      assert.isAbove(ends.get(end) ?? 0, 50, end)
    }
  })
})
