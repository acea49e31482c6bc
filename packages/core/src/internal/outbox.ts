import * as Effect from "effect/Effect"
import { type Codec, Unencodable } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import type { Flushable, Turn } from "./turn.ts"

/**
 * The writing half of a connection: encodes messages, sends what a turn has
 * collected in one write (over datagrams, one for each message), and knows when
 * the peer does not keep up.
 */
export class Outbox<Out> implements Flushable {
  private readonly wire: Wire.Wire
  private readonly codec: { readonly encode: Codec<unknown, Out>["encode"] }
  private readonly turn: Turn
  private text = ""
  private bytes: Array<Uint8Array> = []
  /** Of what is collected, in bytes or characters, with what each datagram costs. */
  private collected = 0
  private marked = false
  private waiting: Array<() => void> = []
  /** Nothing is handed to the transport, which is being changed. */
  private held = false
  private endsWhenReleased = false
  /** Nothing more can be written. */
  ending = false
  /** The peer does not keep up: the transport's high-water mark is reached. */
  blocked = false
  closed = false

  constructor(wire: Wire.Wire, codec: Codec<unknown, Out>, turn: Turn) {
    this.wire = wire
    this.codec = wire.keepsBoundaries ? codec.datagram : codec
    this.turn = turn
  }

  /** Adds a message; says why if it cannot be encoded. */
  add(message: Out): string | undefined {
    if (this.closed || this.ending) return undefined
    let encoded: string | Uint8Array | Unencodable
    // oxlint-disable-next-line socketserver/no-try -- a codec is user code, and what it throws must not reach the event loop
    try {
      encoded = this.codec.encode(message)
    } catch (error) {
      return `the encoder threw: ${error instanceof Error ? error.message : String(error)}`
    }
    if (encoded instanceof Unencodable) return encoded.problem
    if (typeof encoded !== "string" && !(encoded instanceof Uint8Array)) {
      return `the encoder returned neither text nor bytes`
    }
    if (this.wire.keepsBoundaries) {
      const { maxMessageBytes = Infinity } = this.wire
      const bytes = typeof encoded === "string" ? utf8.encode(encoded) : encoded
      if (bytes.length > maxMessageBytes) return `it has ${bytes.length} bytes, a datagram at most ${maxMessageBytes}`
      this.bytes.push(bytes)
    } else if (typeof encoded === "string") this.text += encoded
    else {
      this.sealText()
      this.bytes.push(encoded)
    }
    this.collected += encoded.length + (this.wire.keepsBoundaries ? datagramOverhead : 0)
    if (!this.marked) {
      this.marked = true
      this.turn.mark(this)
    }
    return undefined
  }

  /** Sends bytes as they are. */
  pass(bytes: Uint8Array): void {
    if (!this.closed && !this.ending && !this.wire.write(bytes)) this.blocked = true
  }

  /** Sends what there is, then half-closes. */
  end(): void {
    if (this.ending || this.closed) return
    if (this.held) {
      this.endsWhenReleased = true
      return
    }
    this.flush()
    this.ending = true
    this.wire.end()
  }

  flush(): void {
    this.marked = false
    if (this.closed || this.ending || this.held) return
    let writable = true
    this.collected = 0
    if (this.wire.keepsBoundaries) {
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
    this.held = true
    this.blocked = true
  }

  release(): void {
    this.held = false
    this.blocked = false
    this.flush()
    if (!this.blocked) this.wake()
    if (this.endsWhenReleased) this.end()
  }

  /** Completes when the peer keeps up (again), or is gone. */
  get writable(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const full = !this.blocked && this.full
      if (full) this.flush()
      const drained = !this.blocked || this.closed ? Effect.void : this.drained
      // Datagrams may be taken at once, again and again: others want their turn, too.
      return this.wire.keepsBoundaries && (full || drained !== Effect.void)
        ? Effect.andThen(drained, Effect.yieldNow)
        : drained
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
      if (!this.blocked || this.closed) return resume(Effect.void)
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

  close(): void {
    this.closed = true
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
