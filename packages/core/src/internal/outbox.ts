import * as Effect from "effect/Effect"
import type { Side } from "../Codec.ts"
import type * as Wire from "../Wire.ts"
import type { Flushable, Tick } from "./tick.ts"
import { Unencodable } from "./unencodable.ts"
import { type Encode, type Encoded, encoderOf } from "./writing.ts"

/**
 * The writing half of a connection: encodes messages, sends what a tick has
 * collected in one write (over datagrams, one for each message), and knows when
 * the peer does not keep up.
 */
export class Outbox<Out> implements Flushable {
  private readonly wire: Wire.Wire
  private readonly encode: Encode<Out>
  /** Whether each message is written by itself, as a datagram. */
  private readonly separate: boolean
  private readonly tick: Tick
  private text = ""
  private bytes: Array<Uint8Array> = []
  /** Of what is collected, in bytes or characters, with what each datagram costs. */
  private collected = 0
  private marked = false
  private waiting: Array<() => void> = []
  /**
   * `open`; `held` while the transport is being changed, and nothing is handed to
   * it; `ending` if it is to end after that; `ended` when nothing more can be
   * written; `finished` when all of it has left; `closed` when nobody reads it.
   */
  private state: "open" | "held" | "ending" | "ended" | "finished" | "closed" = "open"
  /** The peer does not keep up: the transport's high-water mark is reached. */
  blocked = false

  constructor(wire: Wire.Wire, side: Side<unknown, Out>, tick: Tick) {
    this.wire = wire
    this.encode = encoderOf(side, wire.carries)
    this.separate = wire.carries !== "stream"
    this.tick = tick
  }

  /** Whether nobody reads what is written. */
  get isClosed(): boolean {
    return this.state === "closed"
  }

  /** Whether nothing more is written, though it may be read. */
  get isEnding(): boolean {
    return this.state === "ending" || this.state === "ended" || this.state === "finished"
  }

  /** Whether everything that was written has left, and nothing more will be. */
  get isFinished(): boolean {
    return this.state === "finished"
  }

  /** Adds a message; says why if it cannot be encoded. */
  add(message: Out | Encoded): string | undefined {
    if (this.state !== "open" && this.state !== "held") return undefined
    const encoded = this.encode(message)
    if (encoded instanceof Unencodable) return encoded.problem
    this.collected += encoded.length
    if (this.separate) {
      const problem = this.addDatagram(typeof encoded === "string" ? utf8.encode(encoded) : encoded)
      if (problem !== undefined) return problem
    } else if (typeof encoded === "string") this.text += encoded
    else {
      this.sealText()
      this.bytes.push(encoded)
    }
    if (!this.marked) {
      this.marked = true
      this.tick.mark(this)
    }
    return undefined
  }

  private addDatagram(bytes: Uint8Array): string | undefined {
    const { maxMessageBytes = Infinity } = this.wire
    if (bytes.length > maxMessageBytes) return `it has ${bytes.length} bytes, a datagram at most ${maxMessageBytes}`
    this.bytes.push(bytes)
    this.collected += datagramOverhead
    return undefined
  }

  /** Sends bytes as they are. */
  pass(bytes: Uint8Array): void {
    if ((this.state === "open" || this.state === "held") && !this.wire.write(bytes)) this.blocked = true
  }

  /** Sends what there is, then half-closes. */
  end(): void {
    if (this.state === "held") this.state = "ending"
    if (this.state !== "open") return
    this.flush()
    this.state = "ended"
    this.wire.end()
  }

  flush(): void {
    this.marked = false
    if (this.state !== "open") return
    let writable = true
    this.collected = 0
    if (this.separate) {
      for (let chunk = this.bytes.shift(); chunk !== undefined; chunk = this.bytes.shift()) {
        writable = this.wire.write(chunk)
      }
    } else if (this.bytes.length > 0) {
      this.sealText()
      const bytes = this.bytes
      this.bytes = []
      for (const chunk of small(bytes)) writable = this.wire.write(chunk)
    } else if (this.text !== "") {
      const text = this.text
      this.text = ""
      writable = this.wire.write(text)
    }
    if (!writable) this.blocked = true
  }

  /** Sends what there is; what is added from now on waits for {@link release}. */
  hold(): void {
    this.flush()
    this.state = "held"
    this.blocked = true
  }

  release(): void {
    const ends = this.state === "ending"
    if (this.state !== "held" && !ends) return
    this.state = "open"
    this.blocked = false
    this.flush()
    if (!this.blocked) this.wake()
    if (ends) this.end()
  }

  /** Completes when the peer keeps up (again), or is gone. */
  get writable(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const full = !this.blocked && this.full
      if (full) this.flush()
      const drained = !this.blocked || this.isClosed ? Effect.void : this.drained
      // Datagrams may be taken at once, again and again: others want their turn, too.
      return this.separate && (full || drained !== Effect.void) ? Effect.andThen(drained, Effect.yieldNow) : drained
    })
  }

  /** Whether more should wait until it is {@link writable}. */
  get full(): boolean {
    return this.collected > highWaterMark
  }

  /** Whether there is something that has not been handed to the transport. */
  get pending(): boolean {
    return this.marked || this.bytes.length > 0
  }

  private get drained(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      // A fiber may yield between looking and waiting.
      if (!this.blocked || this.isClosed) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.waiting.push(wake)
      return Effect.sync(() => {
        this.waiting = this.waiting.filter((other) => other !== wake)
      })
    })
  }

  onDrain(): void {
    this.blocked = false
    this.wake()
  }

  /** Everything that was written has left. Who has been ended does not say that it has drained. */
  onFinish(): void {
    if (this.state === "ended") this.state = "finished"
    this.onDrain()
  }

  close(): void {
    this.state = "closed"
    this.text = ""
    this.bytes = []
    this.collected = 0
    this.wake()
  }

  private wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const wake of waiting) wake()
  }

  private sealText(): void {
    if (this.text === "") return
    this.bytes.push(utf8.encode(this.text))
    this.text = ""
  }
}

const utf8 = new TextEncoder()

// What is collected before it is offered to the transport within one turn.
const highWaterMark = 65_536

// Each datagram costs, also an empty one.
const datagramOverhead = 64

/** Joins chunks while they are small: one copy costs less than one more write. */
const small = (chunks: Array<Uint8Array>): Array<Uint8Array> => {
  if (chunks.length === 1) return chunks
  const joined: Array<Uint8Array> = []
  let from = 0
  while (from < chunks.length) {
    let to = from
    let size = 0
    while (to < chunks.length && (to === from || size + (chunks[to] as Uint8Array).length <= highWaterMark)) {
      size += (chunks[to++] as Uint8Array).length
    }
    if (to === from + 1) joined.push(chunks[from] as Uint8Array)
    else {
      const out = new Uint8Array(size)
      let at = 0
      for (; from < to; from++) {
        out.set(chunks[from] as Uint8Array, at)
        at += (chunks[from] as Uint8Array).length
      }
      joined.push(out)
    }
    from = to
  }
  return joined
}
