import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type { Place } from "../Simulation.ts"
import type { Loop } from "./loop.ts"
import { Random } from "./random.ts"

interface Event {
  /** In whole microseconds: with floats, `now + (at - now)` is not `at`, and bytes overtake each other. */
  readonly at: number
  readonly seq: number
  run: (() => void) | undefined
}

/**
 * Virtual time, with one queue and one log. As Node's loop does, a turn takes what
 * is due, then the immediates that there are; microtasks come after each callback.
 * Time passes only when nothing else can be done.
 */
export class World implements Loop {
  readonly seed: number
  readonly lines: Array<string> | undefined
  turns = 0
  /** Looks at what has to hold after each turn. */
  readonly watchers: Array<() => void> = []
  /** Look before something that has come is handed over. */
  readonly readers: Array<(label: string) => void> = []
  /** Say who has places that are not a policy's. */
  readonly placing: Array<() => ReadonlyArray<Place>> = []
  readonly shares: Loop["shares"]
  /** What has happened that does not happen in every run. */
  readonly seen = new Set<string>()
  private micros = 0
  private hashed = 0x811c9dc5
  private seq = 0
  private readonly heap: Array<Event> = []
  private readonly soons: Array<() => void> = []
  private immediates: Array<{ f: (() => void) | undefined }> = []
  private readonly shuffle: Random | undefined

  constructor(options: {
    readonly seed: number
    readonly shuffle: boolean
    readonly trace: boolean
    readonly shares: Loop["shares"]
  }) {
    this.seed = options.seed
    this.shares = options.shares
    this.shuffle = options.shuffle ? new Random(options.seed, "shuffle") : undefined
    this.lines = options.trace ? [] : undefined
  }

  readonly sometimes = (what: string): void => void this.seen.add(what)

  readonly reads = (label: string): void => {
    for (const look of this.readers) look(label)
  }

  readonly now = (): number => this.micros / 1_000

  readonly random = (label: string): Random => new Random(this.seed, label)

  readonly soon = (f: () => void): void => void this.soons.push(f)

  readonly after = (millis: number, f: () => void): (() => void) => {
    const at = this.micros + Math.max(0, Math.round(millis * 1_000))
    const event: Event = { at, seq: this.seq++, run: f }
    this.push(event)
    return () => {
      event.run = undefined
    }
  }

  /** Calls `f` when what is due by now is done. */
  readonly afterTurn = (f: () => void): (() => void) => {
    const entry: { f: (() => void) | undefined } = { f }
    this.immediates.push(entry)
    return () => {
      entry.f = undefined
    }
  }

  /** The one log: its hash stands for all that has happened. */
  readonly log = (line: string): void => {
    let hash = this.hashed
    for (let i = 0; i < line.length; i++) hash = Math.imul(hash ^ line.charCodeAt(i), 0x01000193)
    this.hashed = Math.imul(hash ^ this.micros, 0x01000193) >>> 0
    this.lines?.push(`${this.now().toFixed(3).padStart(10)} ${line}`)
  }

  get hash(): string {
    return this.hashed.toString(16).padStart(8, "0")
  }

  /** Does all that can be done without time passing, or until it is done. */
  settle(isDone: () => boolean, maxTurns: number): "done" | "idle" | "busy" {
    this.drain()
    for (;;) {
      if (isDone()) return "done"
      if (this.isIdle) return "idle"
      if (this.turns >= maxTurns) return "busy"
      this.turn()
    }
  }

  /** Lets time pass to what happens next; `false` where nothing will ever happen. */
  pass(): boolean {
    this.drop()
    const next = this.heap[0]
    if (next === undefined) return false
    if (next.at > this.micros) this.micros = next.at
    return true
  }

  private get isIdle(): boolean {
    this.drop()
    const next = this.heap[0]
    return this.immediates.length === 0 && (next === undefined || next.at > this.micros)
  }

  private turn(): void {
    this.turns++
    for (;;) {
      this.drop()
      const next = this.heap[0]
      if (next === undefined || next.at > this.micros) break
      this.pop()
      next.run?.()
      this.drain()
    }
    const { immediates, shuffle } = this
    this.immediates = []
    // Each dispatcher posts its own, so that any order is legal.
    if (shuffle !== undefined) {
      for (let i = immediates.length - 1; i > 0; i--) {
        const j = shuffle.int(0, i)
        const other = immediates[i] as (typeof immediates)[number]
        immediates[i] = immediates[j] as (typeof immediates)[number]
        immediates[j] = other
      }
    }
    for (const { f } of immediates) {
      f?.()
      this.drain()
    }
    for (const look of this.watchers) look()
  }

  private drain(): void {
    for (let f = this.soons.shift(); f !== undefined; f = this.soons.shift()) f()
  }

  readonly scheduler: Scheduler.Scheduler = new Scheduler.MixedScheduler("async", this.afterTurn)

  readonly clock: Clock.Clock = {
    currentTimeMillisUnsafe: this.now,
    currentTimeMillis: Effect.sync(this.now),
    currentTimeNanosUnsafe: () => this.nanos(),
    currentTimeNanos: Effect.sync(() => this.nanos()),
    monotonicTimeNanosUnsafe: () => this.nanos(),
    monotonicTimeNanos: Effect.sync(() => this.nanos()),
    sleep: (duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      if (!Number.isFinite(millis)) return Effect.never
      return Effect.callback<void>((resume) => Effect.sync(this.after(millis, () => resume(Effect.void))))
    }
  }

  private nanos(): bigint {
    return BigInt(this.micros) * 1_000n
  }

  private drop(): void {
    while (this.heap.length > 0 && (this.heap[0] as Event).run === undefined) this.pop()
  }

  private push(event: Event): void {
    const { heap } = this
    let i = heap.push(event) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (isBefore(heap[parent] as Event, event)) break
      heap[i] = heap[parent] as Event
      i = parent
    }
    heap[i] = event
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++
      if (isBefore(last, heap[child] as Event)) break
      heap[i] = heap[child] as Event
      i = child
    }
    heap[i] = last
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq)
