import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Payload } from "../Protocol.ts"
import type { Troubles } from "./troubles.ts"

/** Whoever holds the control messages of requests. */
interface Holder {
  /** So many bytes more are held, or less. */
  readonly holds: (bytes: number) => void
  /** One was taken. */
  readonly onTaken: () => void
}

/** The control messages that concern one request, until whoever handles it takes them. */
export class Controls<Message> {
  private waiting: Array<{ readonly message: Message; readonly payload: Payload }> = []
  private isEnded = false
  private readonly holder: Holder
  /** Called when there is something to take, or nothing will come any more. */
  onChange: () => void = noop

  constructor(holder: Holder = nobody) {
    this.holder = holder
  }

  /** Whether there is nothing to take, and nothing will come. */
  get isOver(): boolean {
    return this.isEnded && this.waiting.length === 0
  }

  /** One has come. Of more than a request may have the oldest is let go of. */
  offer(message: Message, payload: Payload): void {
    if (this.isEnded) return
    if (this.waiting.length === mostWaiting) this.shift()
    this.waiting.push({ message, payload })
    this.holder.holds(costOf(payload))
    this.onChange()
  }

  /** The oldest, if there is one. */
  take(): { readonly message: Message; readonly payload: Payload } | undefined {
    const taken = this.shift()
    if (taken !== undefined) this.holder.onTaken()
    return taken
  }

  private shift() {
    const taken = this.waiting.shift()
    if (taken !== undefined) this.holder.holds(-costOf(taken.payload))
    return taken
  }

  /** No more will come; what is there can still be taken. */
  end(): void {
    if (this.isEnded) return
    this.isEnded = true
    this.onChange()
  }

  /** Its request has ended. */
  drop(): void {
    while (this.shift() !== undefined);
    this.end()
  }

  /** As they come. */
  get stream(): Stream.Stream<Message> {
    return Stream.fromPull(Effect.succeed(this.pull))
  }

  private readonly pull: Pull.Pull<readonly [Message]> = Effect.suspend(() => {
    const taken = this.take()
    if (taken !== undefined) return Exit.succeed([taken.message] as const)
    return this.isEnded ? done : Effect.andThen(this.something, this.pull)
  })

  private readonly something: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.waiting.length > 0 || this.isEnded) return resume(Effect.void)
    const wake = () => {
      this.onChange = noop
      resume(Effect.void)
    }
    this.onChange = wake
    return Effect.sync(() => {
      if (this.onChange === wake) this.onChange = noop
    })
  })
}

/** How many a request may have that nobody has taken. */
const mostWaiting = 16

/** What one takes that waits, in bytes. */
export const costOf = (payload: { readonly length: number }): number => payload.length + 128

const noop = () => {}
const nobody: Holder = { holds: noop, onTaken: noop }
const done = Exit.fail(Cause.Done())

/** What a function of a protocol makes of a message: nothing, where it throws. */
export const attempted = <A>(troubles: Troubles, f: (message: never) => A, message: unknown): A | undefined => {
  // oxlint-disable-next-line socketserver/no-try -- it is user code, and what it throws must not reach the event loop
  try {
    return f(message as never)
  } catch (error) {
    troubles.note("a function of the protocol's control messages threw", error)
    return undefined
  }
}
