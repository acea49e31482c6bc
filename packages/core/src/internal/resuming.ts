import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import { Deque } from "./deque.ts"
import { Passing } from "./passing.ts"
import { Rounds } from "./rounds.ts"
import type { Flushable, Tick } from "./tick.ts"
import { Turn, type TurnContext } from "./turn.ts"

/** Whose handlers they are: a connection. */
export interface Owner {
  /** What they have left to do, since one of them yielded for the first time. */
  readonly handlers: { resumptions?: Resumptions | undefined }
  /** All with the same one are as one connection: the datagrams of a sender. */
  readonly flow?: string | undefined
  /** Whose it is: those of one peer share its turns. */
  readonly peerKey: string
}

/** Output that may wait for more of the same connection. */
export interface Gathered extends Flushable {
  /** For how many turns it has waited. */
  turnsWaited: number
}

/**
 * The scheduler of a server's handlers: what goes on in a turn of the event loop
 * once it has yielded. It takes half of a turn at most, so that the event loop
 * reads and others begin, however many have yielded at once.
 *
 * Connections have turns in it: those that had nothing left to do a little each,
 * so that whoever asks for little does not wait behind who asks for much; then,
 * with what time is left, those that had more. What a turn does not suffice for waits
 * by peer: from then on peers have turns, and in those of a peer its connections.
 *
 * All that resume together reply together. With a dispatcher for each fiber, which
 * is what Effect does, each reply would be a write of its own: four times the CPU
 * per request at 16 outstanding (`pnpm bench`, "yields once"). Where a connection
 * has more requests than begin in a turn, and handlers are quick, its replies wait a
 * few turns for those that follow: a write costs as much as several of them.
 */
export class Resuming implements Scheduler.Scheduler {
  private readonly context: TurnContext & { readonly tick: Tick }
  private readonly base: Scheduler.Scheduler
  private readonly turn: Turn
  /** Whose handler runs now, or has run last: what it starts is its connection's. */
  private current: Owner | undefined = undefined
  /** The fiber that is known of. */
  private running: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** What something has started that is no handler. */
  private readonly others: Owner = { handlers: {}, peerKey: "" }
  /** Those that had nothing left to do: of them those that have come since the last turn, and those that it did not suffice for. */
  private readonly fresh = new Deque<Resumptions>()
  private readonly waiting = new Rounds<Resumptions>()
  /** Those that had more. */
  private readonly older = new Rounds<Resumptions>()
  /** Those that wait longer than a turn, by their flow. */
  private readonly flows = new Passing<string, Resumptions>()
  /** Whether a turn has not sufficed for all that had come before it. */
  private isBehind = false
  private visited: Resumptions | undefined = undefined
  private gathered: Array<Gathered> = []
  /** Whether turns come soon, and what has been done in this one was quick, and it ends. */
  private gathering = false
  private armed = false

  constructor(context: Resuming["context"]) {
    this.context = context
    this.base = context.tick.base
    this.turn = new Turn(context)
  }

  get executionMode(): "sync" | "async" {
    return this.base.executionMode
  }

  /**
   * Asked before each operation of a fiber, so it is known whose runs, whatever it resumes from: a
   * timer, a promise, or another's handler. One that starts now belongs to whom its parent does.
   */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (fiber !== this.running) this.runs(fiber)
    return this.base.shouldYield(fiber)
  }

  private runs(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.running = fiber
    this.current = (fiber.currentDispatcher as Resumptions).owner
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const owner = this.current ?? this.others
    return (owner.handlers.resumptions ??= new Resumptions(this, owner))
  }

  /** Where that waits which is left to do of `resumptions`: with what else there is of its flow. */
  queueOf(resumptions: Resumptions): Resumptions {
    const { flow } = resumptions
    return flow === undefined || this.flows.size === 0 ? resumptions : (this.flows.get(flow) ?? resumptions)
  }

  /** Whatever waits longer than a turn waits among what is its peer's, and with what else there is of its flow. Most does not, and to look is not for nothing. */
  private join(): void {
    const { flows, fresh, waiting } = this
    while (fresh.size > 0) {
      const resumptions = fresh.shift()
      const { flow } = resumptions
      const queue = flow === undefined ? resumptions : (flows.get(flow) ?? resumptions)
      if (queue !== resumptions) queue.takeOver(resumptions)
      else {
        if (flow !== undefined) flows.set(flow, queue)
        waiting.push(queue)
      }
    }
  }

  /** From here to {@link leave} what starts belongs to `owner`. Returns who it belonged to before. */
  enter(owner: Owner): Owner | undefined {
    const before = this.current
    this.current = owner
    return before
  }

  leave(before: Owner | undefined): void {
    this.current = before
    this.running = undefined
  }

  /** Something of it is to go on that had nothing to do. */
  add(resumptions: Resumptions): void {
    resumptions.queued = true
    this.fresh.push(resumptions)
    this.arm()
  }

  /** Asked at the end of a turn: whether an output waits for the next one. */
  gather(output: Gathered): boolean {
    if (!this.gathering || output.turnsWaited >= mostTurnsWaited) return false
    output.turnsWaited++
    this.gathered.push(output)
    return true
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    this.context.tick.soon(this.run)
  }

  private readonly run = (): void => {
    this.armed = false
    // oxlint-disable-next-line socketserver/no-try -- what throws ends neither this turn nor all later ones
    try {
      this.context.tick.run(this.takeTurn)
    } finally {
      this.gathering = false
      this.current = this.running = undefined
      if (this.visited !== undefined) this.leaveOff(this.visited)
      if (this.fresh.size + this.waiting.size + this.older.size + this.gathered.length > 0) this.arm()
    }
  }

  private readonly takeTurn = (): void => {
    const { gathered, turn } = this
    const last = turn.beganAt
    this.gathered = []
    for (const output of gathered) this.context.tick.mark(output)
    this.goOn()
    // Something else, out of a timer or a socket, may take its time between turns: so long nothing waits.
    this.gathering = turn.isQuick && turn.beganAt - last <= 2 * this.context.limits.turnMillis
  }

  private goOn(): void {
    const { older, turn } = this
    turn.begin(0.5)
    const half = turn.beganAt + turn.millis / 2
    const most = turn.left
    if (this.isBehind) this.join()
    const newcomers = this.isBehind ? this.waiting : this.fresh
    // Those that are added from now on wait for the next turn.
    let anew = newcomers.size
    do {
      // Who had more is not kept waiting for ever by those who come anew.
      if (anew > 0 && (older.size === 0 || (turn.spentAt < half && turn.left > most / 2))) {
        anew--
        this.visit(newcomers.shift(), few)
      } else if (older.size > 0) this.visit(older.shift(), many)
      else break
    } while (anew + older.size > 0 && !turn.isOver)
    this.isBehind = anew > 0
  }

  private visit(resumptions: Resumptions, most: number): void {
    this.visited = resumptions
    this.current = resumptions.owner
    this.running = undefined
    resumptions.goOn(this.turn, most)
    this.leaveOff(resumptions)
  }

  private leaveOff(resumptions: Resumptions): void {
    this.visited = undefined
    if (resumptions.isBehind) this.older.push(resumptions)
    else if (resumptions.isEmpty) this.rest(resumptions)
    else this.fresh.push(resumptions)
  }

  /** It has nothing left to do. */
  private rest(resumptions: Resumptions): void {
    resumptions.queued = false
    const { flow } = resumptions
    if (flow !== undefined && this.flows.size > 0 && this.flows.get(flow) === resumptions) this.flows.delete(flow)
  }
}

/** What is left to do of the handlers of one connection that have yielded. */
export class Resumptions implements Scheduler.SchedulerDispatcher {
  readonly owner: Owner
  readonly flow: string | undefined
  /** Whether it waits for its turn, or has it. */
  queued = false
  private readonly resuming: Resuming
  /** What may go on in this turn, from `head` on; and what has yielded in it. */
  private due: Array<() => void> = none
  private head = 0
  private later: Array<() => void> = none

  constructor(resuming: Resuming, owner: Owner) {
    this.resuming = resuming
    this.owner = owner
    this.flow = owner.flow
  }

  get peerKey(): string {
    return this.owner.peerKey
  }

  /** No priority goes before another connection's turn, nor after it. */
  scheduleTask(task: () => void): void {
    const queue = this.resuming.queueOf(this)
    queue.put(task)
    if (!queue.queued) this.resuming.add(queue)
  }

  /** What is left to do of `other` is done when all has gone on that is here. */
  takeOver(other: Resumptions): void {
    for (; other.isBehind; other.head++) this.put(other.due[other.head] as () => void)
    for (const task of other.later) this.put(task)
    other.due = other.later = none
    other.head = 0
    other.queued = false
  }

  private put(task: () => void): void {
    if (this.later === none) this.later = [task]
    else this.later.push(task)
  }

  /** Does some of it, as far as the turn allows. */
  goOn(turn: Turn, most: number): void {
    if (!this.isBehind) this.swap()
    for (let i = 0; i < most && this.isBehind; i++) {
      this.next()
      turn.spend()
      if (turn.isOver) break
    }
    if (!this.isBehind) this.due.length = this.head = 0
  }

  /** What has yielded meanwhile is due when all that was before it has gone on. */
  private swap(): void {
    const { due } = this
    due.length = this.head = 0
    this.due = this.later
    this.later = due
  }

  private next(): void {
    const task = this.due[this.head] as () => void
    this.due[this.head++] = undefined as never
    task()
  }

  /** Whether something is left to do in this turn. */
  get isBehind(): boolean {
    return this.head < this.due.length
  }

  /** Whether nothing is left to do in the next one either. */
  get isEmpty(): boolean {
    return !this.isBehind && this.later.length === 0
  }

  /** Does all of it at once. */
  flush(): void {
    const queue = this.resuming.queueOf(this)
    while (!queue.isEmpty) {
      if (!queue.isBehind) queue.swap()
      queue.next()
    }
  }
}

/** A list of one that has nothing to do, as most have; nothing is ever put into it. */
const none: Array<() => void> = []

// How many go on of a connection that had nothing left to do, before the next has its turn; and of one that had more.
const few = 4
const many = 128

// For how many turns replies wait for those that follow, at most.
const mostTurnsWaited = 3
