/** What all copies of a program have counted, as one: whoever asks one of them is told of all. */
import * as Metrics from "@socketserver/core/Metrics"
import type * as Metric from "effect/Metric"
import { ofThisProcess, type Packed, pack, unpack } from "../metrics/packed.ts"
import type { Tick } from "../worker/channel/tick.ts"

type Snapshots = ReadonlyArray<Metric.Metric.Snapshot>

/** A copy that can be asked. */
export interface Measured {
  /** Asks it for what it has counted. */
  readonly measure: () => void
}

/**
 * Asks all copies, and adds up what they say. One that says nothing in time counts
 * with what it has said last, and one that has ended with the last of it, so that
 * no sum ever falls.
 */
export class Measures<Copy extends Measured> {
  private readonly tick: Tick
  private readonly own: () => Snapshots
  /** What each of those that are there has said last. */
  private readonly known = new Map<Copy, Snapshots>()
  /** What those have counted that have ended. */
  private gone: Snapshots = []
  private waiting: Array<(all: ReadonlyArray<Packed>) => void> = []
  /** Who has not answered yet. */
  private missing: Set<Copy> | undefined = undefined
  private callOff: () => void = () => {}
  /** Whether anybody has ever asked: then a copy's last words are worth something. */
  isAsked = false

  constructor(tick: Tick, own: () => Snapshots = ofThisProcess) {
    this.tick = tick
    this.own = own
  }

  /** It can be asked from now on. */
  came(copy: Copy): void {
    if (!this.known.has(copy)) this.known.set(copy, [])
  }

  /** It has ended: what it has counted stays, what it had does not. */
  left(copy: Copy): void {
    const last = this.known.get(copy)
    if (last === undefined) return
    this.known.delete(copy)
    this.gone = Metrics.merge([this.gone, last.filter(({ type }) => type !== "Gauge")])
    this.answered(copy)
  }

  /** A copy says what it has counted. */
  measured(copy: Copy, own: ReadonlyArray<Packed>): void {
    if (!this.known.has(copy)) return
    this.known.set(copy, unpack(own))
    this.answered(copy)
  }

  /** Calls back with what all have counted. Those who ask meanwhile are told the same. */
  gather(then: (all: ReadonlyArray<Packed>) => void): void {
    this.isAsked = true
    this.waiting.push(then)
    if (this.missing !== undefined) return
    this.missing = new Set(this.known.keys())
    this.callOff = this.tick.after(patienceMillis, () => this.tell())
    for (const copy of this.missing) copy.measure()
    if (this.missing?.size === 0) this.tell()
  }

  private answered(copy: Copy): void {
    if (this.missing?.delete(copy) === true && this.missing.size === 0) this.tell()
  }

  private tell(): void {
    this.callOff()
    this.missing = undefined
    const { waiting } = this
    this.waiting = []
    const all = pack(Metrics.merge([this.own(), this.copies, this.gone, ...this.known.values()]))
    for (const then of waiting) then(all)
  }

  private get copies(): Snapshots {
    const description = "Copies of the program."
    const state = { value: this.known.size }
    return [{ id: "socketserver_copies", type: "Gauge", description, attributes: undefined, state }]
  }
}

/** How long one may take that does something else. */
const patienceMillis = 1_000
