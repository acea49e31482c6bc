import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"

/** What a store says of a key: a token was taken, one is there later, or it cannot be asked and this holds instead. */
export type Answer =
  | { readonly _tag: "Taken"; readonly left: number }
  | { readonly _tag: "Early"; readonly millis: number }
  | { readonly _tag: "Unavailable"; readonly instead: number }

/** How tokens come: so many at once, one after the other such time. */
export interface Pace {
  readonly atOnce: number
  readonly millis: number
}

/**
 * Those who wait for a token, in a line for each key. A store says when the next token
 * is there, and that to all who ask; who stands in line knows when its own is there. It asks
 * for it then, and whoever could not have it in time is refused at once, unasked.
 *
 * Nothing is reserved in the store: who leaves the line has taken nothing. Others may
 * have the token that somebody here has waited for: all wait longer then, and whoever that is
 * too long for is refused.
 *
 * A line is there while somebody stands in it, or asks.
 */
export class TokenLines {
  private readonly ask: (key: string) => Effect.Effect<Answer>
  private readonly pace: Pace
  private readonly maxDelay: number
  private readonly lines = new Map<string, Line>()

  constructor(ask: (key: string) => Effect.Effect<Answer>, pace: Pace, maxDelay: number) {
    this.ask = ask
    this.pace = pace
    this.maxDelay = maxDelay
  }

  /** How many keys somebody waits for. */
  get size(): number {
    return this.lines.size
  }

  /** Takes a token, at once or after a wait, which is 0; or says below 0 how long that would have taken. */
  take(key: string): Effect.Effect<number> {
    // Nobody stands in a line: there is no wait.
    if (this.maxDelay === 0)
      return Effect.map(
        Effect.suspend(() => this.ask(key)),
        outcomeOf
      )
    // Whoever has come into a line leaves it.
    return Effect.uninterruptibleMask((restore) =>
      Effect.clockWith((clock) => {
        const waiter = new Waiter(clock, this.maxDelay)
        if (this.lines.get(key)?.isEmpty === false) return this.wait(key, waiter, undefined, restore)
        // It may be that there is a token.
        return Effect.flatMap(restore(this.question(key)), (answer) =>
          answer._tag === "Early" ? this.wait(key, waiter, answer.millis, restore) : Effect.succeed(outcomeOf(answer))
        )
      })
    )
  }

  private wait(
    key: string,
    waiter: Waiter,
    millis: number | undefined,
    restore: (effect: Effect.Effect<number>) => Effect.Effect<number>
  ): Effect.Effect<number> {
    let line = this.lines.get(key)
    if (line === undefined) this.lines.set(key, (line = new Line(this.pace)))
    const joined = line
    joined.join(waiter, millis)
    return Effect.onExit(restore(this.inLine(key, joined, waiter)), () =>
      Effect.sync(() => {
        joined.leave(waiter)
        if (joined.isOver) this.lines.delete(key)
      })
    )
  }

  private inLine(key: string, line: Line, waiter: Waiter): Effect.Effect<number> {
    return Effect.flatMap(line.turn(waiter), (turn) =>
      turn !== "ask"
        ? Effect.succeed(turn)
        : Effect.flatMap(this.question(key), (answer) => {
            if (answer._tag === "Early") {
              line.back(waiter, answer.millis)
              return this.inLine(key, line, waiter)
            }
            if (answer._tag === "Taken") line.took(waiter, answer.left)
            return Effect.succeed(outcomeOf(answer))
          })
    )
  }

  /** Where the store does not answer, whoever stands in line finds out by himself: no token is known of. */
  private question(key: string): Effect.Effect<Answer> {
    return Effect.onExit(
      Effect.suspend(() => this.ask(key)),
      (exit) => {
        const isNone = Exit.isSuccess(exit) ? exit.value._tag === "Unavailable" : Cause.hasDies(exit.cause)
        return isNone ? Effect.sync(() => this.lines.get(key)?.all()) : Effect.void
      }
    )
  }
}

const outcomeOf = (answer: Answer): number =>
  answer._tag === "Taken" ? 0 : answer._tag === "Early" ? -answer.millis : answer.instead

class Line {
  private readonly pace: Pace
  /** Who stands in line, the one who came first at its head. */
  private waiters: Array<Waiter> = []
  /** How many of it ask the store. */
  private asking = 0
  /** When the next tokens are there. */
  private nextAt = 0

  constructor(pace: Pace) {
    this.pace = pace
  }

  get isEmpty(): boolean {
    return this.waiters.length === 0
  }

  get isOver(): boolean {
    return this.isEmpty && this.asking === 0
  }

  /** One comes; who has asked knows after how long there is a token. */
  join(waiter: Waiter, millis: number | undefined): void {
    const now = waiter.now()
    if (this.isEmpty && millis !== undefined) this.nextAt = now + millis
    if (this.hasRoom(waiter, now)) this.waiters.push(waiter)
  }

  /** One has asked, and others have what it has waited for: it stands where it stood, and all wait longer. */
  back(waiter: Waiter, millis: number): void {
    const now = waiter.now()
    this.asking--
    waiter.turn = undefined
    this.nextAt = now + millis
    const at = this.waiters.findIndex(({ number }) => number > waiter.number)
    const { waiters } = this
    waiters.splice(at < 0 ? waiters.length : at, 0, waiter)
    this.waiters = []
    const late: Array<Waiter> = []
    for (const each of waiters) (this.hasRoom(each, now) ? this.waiters : late).push(each)
    this.wake(late)
  }

  /** One has its token, and leaves so many, for whoever does not ask already. */
  took(waiter: Waiter, left: number): void {
    this.asked(waiter)
    this.wake(this.next(Math.floor(left) - this.asking))
  }

  /** One goes, whether it was its turn or not; who stands behind it moves up. */
  leave(waiter: Waiter): void {
    this.asked(waiter)
    const at = this.waiters.indexOf(waiter)
    if (at < 0) return
    this.waiters.splice(at, 1)
    if (at === 0) this.waiters[0]?.wake()
  }

  /** All ask now. */
  all(): void {
    this.wake(this.next(this.waiters.length))
  }

  /** Until it is the turn of one who stands in line. The head looks at the clock for all. */
  turn(waiter: Waiter): Effect.Effect<Turn> {
    return Effect.suspend(() => {
      waiter.sleep()
      const isHead = () => waiter.turn === undefined && this.waiters[0] === waiter
      const now = waiter.now()
      if (isHead()) this.pass(now)
      if (waiter.turn !== undefined) return Effect.succeed(waiter.turn)
      const rest = isHead() ? Effect.timeoutOption(waiter.woken, Math.ceil(this.nextAt - now)) : waiter.woken
      return Effect.flatMap(rest, () => this.turn(waiter))
    })
  }

  /** Those ask whose tokens are there. */
  private pass(now: number): void {
    const passed: Array<Waiter> = []
    while (!this.isEmpty && this.nextAt <= now + rounding) {
      passed.push(...this.next(this.pace.atOnce))
      this.nextAt += this.pace.millis
    }
    if (passed.length > 0) this.wake(passed)
  }

  /** So many ask, once they are woken. */
  private next(most: number): ReadonlyArray<Waiter> {
    const next = this.waiters.splice(0, Math.max(0, most))
    this.asking += next.length
    for (const waiter of next) waiter.turn = "ask"
    return next
  }

  /** What is woken goes on at once, and may come back here: all is as it shall be before. */
  private wake(waiters: ReadonlyArray<Waiter>): void {
    const [head] = this.waiters
    for (const waiter of waiters) waiter.wake()
    head?.wake()
  }

  private asked(waiter: Waiter): void {
    if (waiter.turn !== "ask") return
    waiter.turn = 0
    this.asking--
  }

  /** Whether one may stand at the end of those in line; it is refused where that takes too long. */
  private hasRoom(waiter: Waiter, now: number): boolean {
    const { atOnce, millis } = this.pace
    const at = Math.max(now, this.nextAt + Math.floor(this.waiters.length / atOnce) * millis)
    if (at <= waiter.until + rounding) return true
    waiter.turn = -Math.max(1, Math.ceil(at - now - rounding))
    return false
  }
}

/** It asks the store; or what becomes of it, unasked. */
type Turn = "ask" | number

class Waiter {
  /** Who comes first has the lower one. */
  readonly number = ++numbers
  /** Until when it waits. */
  readonly until: number
  turn: Turn | undefined
  private readonly clock: Clock.Clock
  private readonly latch = Latch.makeUnsafe(false)

  constructor(clock: Clock.Clock, maxDelay: number) {
    this.clock = clock
    this.until = this.now() + maxDelay
  }

  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  wake(): void {
    this.latch.openUnsafe()
  }

  sleep(): void {
    this.latch.closeUnsafe()
  }

  get woken(): Effect.Effect<void> {
    return this.latch.await
  }
}

let numbers = 0

/** What is no more than that is none, in milliseconds. */
const rounding = 1e-6
