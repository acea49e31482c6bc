import type * as Connection from "../Connection.ts"
import type * as Outcome from "../Outcome.ts"
import type { Kind } from "../Refusal.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { GuardedWire } from "./guardedWire.ts"
import { Unencodable } from "./unencodable.ts"
import { encoderOf } from "./writing.ts"

type Surroundings = Pick<
  ServerContext<never, never>,
  "after" | "discards" | "events" | "limits" | "side" | "tick" | "troubles"
>

/** What is turned away because there is too much of it, and not because of who it is. */
const limits: ReadonlySet<Kind> = new Set<Kind>([
  "MaxConnections",
  "MaxConnectionsPerPeer",
  "MaxMemory",
  "Scarcity",
  "RateLimit",
  "Suspended"
])

/**
 * The last words to peers that a limit turns away: a message, and the time to read
 * it. They count as connections no more, so they are few at a time; who comes
 * beyond that is closed without a word.
 */
export class Farewells {
  private readonly context: Surroundings
  private readonly leaving = new Set<Farewell>()

  constructor(context: Surroundings) {
    this.context = context
  }

  /** Says what a program says to a peer that is turned away; whether it closes the wire. */
  say(wire: Wire.Wire, refused: Outcome.Refused, info: Connection.Info): boolean {
    const { context, leaving } = this
    if (!limits.has(refused.kind) || leaving.size >= (refused.kind === "Scarcity" ? few : most)) return false
    const response: Response.Response<unknown> | undefined = context.events.turnedAway(refused, info)
    if (response?._tag !== "Reply") return false
    const message = encoderOf(context.side, wire.carries)(response.value as never)
    if (message instanceof Unencodable) {
      context.troubles.note("onTurnedAway", new Error(`its message cannot be encoded: ${message.problem}`))
      return false
    }
    const farewell = new Farewell(context, new GuardedWire(wire, context), () => leaving.delete(farewell))
    leaving.add(farewell)
    farewell.say(message)
    return true
  }

  /** The server stops. */
  end(): void {
    for (const farewell of this.leaving) farewell.end()
  }
}

class Farewell implements Wire.Receiver {
  private readonly context: Surroundings
  private readonly wire: Wire.Wire
  private readonly onGone: () => void
  private readonly cancel: () => void
  private hasLeft = false
  private hasEnded = false

  constructor(context: Surroundings, wire: Wire.Wire, onGone: () => void) {
    this.context = context
    this.wire = wire
    this.onGone = onGone
    this.cancel = context.after(context.limits.lingerMillis, () => this.end())
  }

  say(message: string | Uint8Array): void {
    const { wire } = this
    // What it sends is read, and nothing is made of it: a close with something unread would be a reset.
    wire.start(this)
    wire.write(message)
    wire.end()
  }

  /** It has had its time. */
  end(): void {
    this.wire.destroy()
    this.onClose()
  }

  onData(chunk: Uint8Array): void {
    this.context.discards.took(this.wire, chunk.length)
  }
  onDrain(): void {}
  onEnd(): void {
    this.hasEnded = true
    if (this.hasLeft) this.end()
  }
  onFinish(): void {
    this.hasLeft = true
    if (this.hasEnded || !this.wire.resetsOnClose) this.end()
  }
  onClose(): void {
    this.cancel()
    this.onGone()
  }
}

/** How many are told at a time; and where there are no more descriptors to be had. */
const most = 32
const few = 4
