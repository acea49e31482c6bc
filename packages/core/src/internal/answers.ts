import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"
import type { Correlation } from "../Protocol.ts"
import type { Taker } from "./inbox.ts"
import { Passing } from "./passing.ts"

/** What is done with the answer, or with the reason why there is none. */
export type Answered<Receive> = (exit: Exit.Exit<Receive, Connection.ConnectionError | Cause.Done>) => void

/** The answers that a client waits for: how many, and with a correlated protocol which. */
export class Answers<Receive> implements Taker<Receive> {
  readonly correlation: Correlation | undefined
  /** How many requests have been written whose answers are awaited. */
  awaited = 0
  /** Who waits for the answer with an id. */
  private readonly byId = new Passing<unknown, Answered<Receive>>()
  /** How many answers to an id may still come that nobody waits for. */
  private readonly late = new Map<unknown, number>()
  /** Whether answers may be lost on the way. */
  private readonly mayBeLost: boolean

  constructor(correlation: Correlation | undefined, mayBeLost: boolean) {
    this.correlation = correlation
    this.mayBeLost = mayBeLost
  }

  /** Why a request with this id cannot be sent. */
  problemOf(id: unknown): string | undefined {
    if (id === undefined) return "it has no id, by which its answer could be known"
    if (this.byId.has(id)) return `an answer with its id (${String(id)}) is awaited already`
    if (this.mayBeLost || !this.late.has(id)) return undefined
    return `an answer with its id (${String(id)}) is still to come, which nobody waits for any more; take another`
  }

  expect(id: unknown, answered: Answered<Receive>): void {
    this.byId.set(id, answered)
  }

  /** Its answer may never come; if it comes after all, it is nobody's. */
  giveUp(id: unknown): void {
    this.byId.delete(id)
    this.awaited--
    this.late.set(id, (this.late.get(id) ?? 0) + 1)
    for (const oldest of this.late.keys()) {
      if (this.late.size <= maxLate) break
      this.late.delete(oldest)
    }
  }

  take(messages: Array<Receive>): Array<Receive> {
    const { correlation } = this
    if (correlation === undefined) return messages
    return messages.filter((message) => {
      const id = idOf(correlation.response, message)
      const answered = id === undefined ? undefined : this.byId.get(id)
      if (answered === undefined) return !this.isLate(id)
      this.byId.delete(id)
      answered(Exit.succeed(message))
      return false
    })
  }

  /** Whether a message is the answer to a request that was given up. */
  private isLate(id: unknown): boolean {
    const expected = this.late.get(id)
    if (expected === undefined) return false
    if (expected === 1) this.late.delete(id)
    else this.late.set(id, expected - 1)
    return true
  }

  waits(unread: number, bytes: number, isLast: boolean): boolean {
    return this.awaited > 0 && (isLast || (unread < maxUnread && bytes < maxUnreadBytes))
  }

  end(exit: Exit.Exit<never, Connection.ConnectionError | Cause.Done> | undefined): void {
    const waiting = [...this.byId.values()]
    this.byId.clear()
    for (const answered of waiting) answered(exit ?? Exit.fail(Cause.Done()))
  }
}

/** The id of a message, if it has one. */
export const idOf = (id: (message: never) => unknown, message: unknown): unknown => {
  // oxlint-disable-next-line socketserver/no-try -- the function is user code: what it throws for has no id
  try {
    return id(message as never)
  } catch {
    return undefined
  }
}

/** How many messages that answer nobody are read while answers are awaited, and what they may take. */
const maxUnread = 1_024
const maxUnreadBytes = 16_777_216

/** How many ids are remembered that were given up. */
const maxLate = 1_024
