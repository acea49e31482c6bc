import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type { Side } from "../Codec.ts"
import type { Budget } from "./budget.ts"
import type { ReplyWire } from "./replyWire.ts"
import { Unencodable } from "./unencodable.ts"
import { encoderOf } from "./writing.ts"

interface Surroundings<Out> {
  readonly budget: Budget
  readonly side: Side<unknown, Out>
}

/**
 * What is pushed to the sender of a datagram, beside its answer and after it. Its
 * connection may have ended long ago, so that nobody else counts it: it counts
 * from when it is given to the system until the system has taken it.
 */
export class Pushes<Out> {
  private readonly wire: ReplyWire
  private readonly context: Surroundings<Out>
  private bytes = 0
  private waiting: Array<() => void> = []

  constructor(wire: ReplyWire, context: Surroundings<Out>) {
    this.wire = wire
    this.context = context
  }

  /** Sends a message, which is a datagram of its own. */
  push(message: Out): Effect.Effect<void, Connection.ConnectionError> {
    const encoded = encoderOf(this.context.side, this.wire.carries)(message)
    if (encoded instanceof Unencodable) return this.fails({ _tag: "EncodeFailed", problem: encoded.problem })
    const bytes = typeof encoded === "string" ? utf8.encode(encoded) : encoded
    return Effect.catch(this.send(bytes), (failure) => this.fails(failure))
  }

  private fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.wire.peer }))
  }

  /** Many may push at once: what is too much waits with its message. */
  private send(bytes: Uint8Array): Effect.Effect<void, Outcome.Undelivered> {
    return Effect.suspend(() => {
      if (this.bytes > most) return Effect.andThen(this.fewer, this.send(bytes))
      const { budget } = this.context
      // Nobody could be reset for it.
      if (budget.isSpent) return Effect.fail(Outcome.undelivered("Other", new Error("maxMemory is held")))
      return Effect.callback<void, Outcome.Undelivered>((resume) => {
        const cost = bytes.length + overhead
        this.bytes += cost
        budget.change(cost)
        this.wire.send(bytes, (failure) => {
          this.bytes -= cost
          budget.change(-cost)
          resume(failure === undefined ? Effect.void : Effect.fail(failure))
          this.wake()
        })
      })
    })
  }

  private readonly fewer: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.bytes <= most) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.waiting.push(wake)
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((other) => other !== wake)
    })
  })

  private wake(): void {
    if (this.waiting.length === 0 || this.bytes > most) return
    const { waiting } = this
    this.waiting = []
    for (const wake of waiting) wake()
  }
}

const utf8 = new TextEncoder()

/** What may be on its way to the system at once. */
const most = 65_536

/** Each datagram costs, also an empty one. */
const overhead = 64
