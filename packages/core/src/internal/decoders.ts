import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder } from "../Codec.ts"
import type { DecodeError, Payload, Step } from "../Protocol.ts"
import { messageOf } from "./errors.ts"

/** One for all: an empty array of its own costs each connection 100 bytes. */
export const none = new Uint8Array(0)

/** Bytes that have arrived and are not a whole frame yet. */
export class Tail {
  private bytes = none
  /** How many of `bytes` there are. */
  private used = 0
  /** What came before `bytes`, as it came. Not initialised: few frames are larger than what a socket brings at once. */
  declare private pieces: Array<Uint8Array> | undefined
  length = 0

  /**
   * Takes more. What is there is not looked at before it has so many bytes. Until then large pieces stay as they came,
   * where much is missing: all are copied when it is looked at.
   */
  append(chunk: Uint8Array, needed: number): void {
    this.length += chunk.length
    if (isLarge(chunk) && (this.pieces !== undefined || (this.length < needed && needed >= this.used * 2))) {
      const pieces = (this.pieces ??= [])
      if (this.used > 0) pieces.push(this.bytes.subarray(0, this.used))
      pieces.push(chunk)
      this.bytes = none
      this.used = 0
      return
    }
    const used = this.used + chunk.length
    if (used > this.bytes.length) {
      const grown = new Uint8Array(Math.max(used, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.used))
      this.bytes = grown
    }
    this.bytes.set(chunk, this.used)
    this.used = used
  }

  /** The last byte. */
  get last(): number | undefined {
    return this.used > 0 ? this.bytes[this.used - 1] : this.pieces?.at(-1)?.at(-1)
  }

  view(): Uint8Array {
    const { bytes, pieces, used } = this
    if (pieces === undefined) return bytes.subarray(0, used)
    const joined = new Uint8Array(this.length)
    let at = 0
    for (const piece of pieces) {
      joined.set(piece, at)
      at += piece.length
    }
    joined.set(bytes.subarray(0, used), at)
    this.pieces = undefined
    this.bytes = joined
    this.used = this.length
    return joined
  }

  /** Lets go of the memory, so that views of it stay as they are. */
  take(): Uint8Array {
    const view = this.view()
    this.bytes = none
    this.length = this.used = 0
    return view
  }
}

/** Whether a chunk is worth keeping: not for a small part of what it is a view of, which is kept with it. */
const isLarge = (chunk: Uint8Array): boolean =>
  chunk.length >= largePiece && chunk.length * 2 >= chunk.buffer.byteLength

const largePiece = 16_384

/** The payload of a datagram that is one whole frame: the frame. */
export const wholeFrame = <Message>(
  datagram: Uint8Array,
  decode: (input: Uint8Array, seen: number, state: never) => Step<Message, unknown>,
  maxFrameBytes: number
): Result.Result<Message, DecodeError> => {
  // As over a connection, a step never sees more than a frame may have.
  if (datagram.length > maxFrameBytes) return Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
  const step = decode(datagram, 0, undefined as never)
  const malformed = (reason: string) => Result.fail(Outcome.malformed(0, reason))
  if (step._tag === "Malformed") return malformed(step.reason)
  if (step._tag === "More") return malformed(`the datagram is not a whole frame (${datagram.length} bytes)`)
  return step.size === datagram.length
    ? Result.succeed(step.value)
    : malformed(`the datagram has ${datagram.length} bytes, its frame ${step.size}`)
}

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text that bytes are in UTF-8, if they are. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  // oxlint-disable-next-line socketserver/no-try -- `TextDecoder` says that bytes are not UTF-8 only by throwing
  try {
    return fatal.decode(bytes)
  } catch {
    return undefined
  }
}

/** Each chunk as it comes. */
export const chunks = (): Decoder<Uint8Array> => {
  let offset = 0
  let last = 0
  return {
    push(chunk, out) {
      last = offset
      offset += chunk.length
      out.push(chunk)
      return undefined
    },
    more: () => undefined,
    isBehind: false,
    isUnframed: true,
    restBytes: 0,
    end: () => undefined,
    offsetOf: () => last
  }
}

/**
 * Frames found by looking at the front of the input, one step at a time. The
 * payload of a frame is the value that its step has found, or the whole frame.
 *
 * `step` sees the input from the start of a frame on, how much of it an earlier,
 * inconclusive call has seen already, and what that has left for this one.
 */
export const stepping = <Message, State>(options: SteppingOptions<Message, State>): Decoder<Message> =>
  new Stepping(options)

interface SteppingOptions<Message, State> {
  readonly step: (input: Uint8Array, seen: number, state: State | undefined) => Step<Message, State>
  readonly maxFrameBytes: number
}

// Classes: every connection has a decoder, and closures with a literal around them cost it 700 bytes more.
class Stepping<Message, State> implements Decoder<Message> {
  private readonly options: SteppingOptions<Message, State>
  private readonly tail = new Tail()
  private consumed = 0
  private seen = 0
  private needed = 1
  private state: State | undefined = undefined
  private offsets: Array<number> = noOffsets
  /** What a maximum has left, from the start of a frame on. */
  private left: Uint8Array | undefined = undefined

  constructor(options: SteppingOptions<Message, State>) {
    this.options = options
  }

  get isBehind(): boolean {
    return this.left !== undefined
  }

  get restBytes(): number {
    return this.tail.length + (this.left?.length ?? 0)
  }

  push(
    chunk: Uint8Array,
    out: Array<Message>,
    payloads: Array<Payload> | undefined,
    max = Infinity
  ): DecodeError | undefined {
    const { tail } = this
    if (this.left !== undefined) {
      tail.append(this.left, 0)
      this.left = undefined
    }
    const held = tail.length > 0
    if (held) {
      tail.append(chunk, this.needed)
      if (tail.length < this.needed) return undefined
    }
    return this.run(held ? tail.view() : chunk, held, out, payloads, max)
  }

  more(out: Array<Message>, payloads: Array<Payload> | undefined, max = Infinity): DecodeError | undefined {
    const input = this.left
    this.left = undefined
    this.offsets = []
    return input === undefined ? undefined : this.run(input, false, out, payloads, max)
  }

  end(): DecodeError | undefined {
    this.offsets = [this.consumed]
    if (this.tail.length === 0) return undefined
    const { length } = this.tail.take()
    return Outcome.malformed(this.consumed, `the input ended inside a frame (after ${length} bytes of it)`)
  }

  offsetOf(index: number): number {
    return this.offsets[index] ?? this.consumed
  }

  private attempt(rest: Uint8Array): Step<Message, State> {
    // oxlint-disable-next-line socketserver/no-try -- a step is user code, and the frame at fault is known only here
    try {
      return this.options.step(rest, this.seen, this.state)
    } catch (error) {
      return { _tag: "Malformed", reason: `the decoder threw: ${messageOf(error)}` }
    }
  }

  /** Decodes input from the start of a frame on, which the tail has if it is `held`. */
  private run(
    input: Uint8Array,
    held: boolean,
    out: Array<Message>,
    payloads: Array<Payload> | undefined,
    max: number
  ): DecodeError | undefined {
    const { tail } = this
    const { maxFrameBytes } = this.options
    const offsets: Array<number> = []
    this.offsets = offsets
    let at = 0
    while (at < input.length) {
      if (offsets.length === max) {
        if (held) tail.take()
        this.left = input.subarray(at)
        this.seen = 0
        this.state = undefined
        this.needed = 1
        return undefined
      }
      // A step never sees more than a frame may have, so that the answer is the same for any chunks.
      const rest = input.subarray(at, at + maxFrameBytes)
      const next = this.attempt(rest)
      this.seen = 0
      this.state = undefined
      if (next._tag === "More") {
        this.needed = next.needed !== undefined && next.needed > rest.length ? next.needed : rest.length + 1
        if (this.needed > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, this.consumed)
        this.seen = rest.length
        this.state = next.state
        if (held && at === 0) return undefined
        if (held) tail.take()
        tail.append(rest, this.needed)
        return undefined
      }
      if (next._tag === "Malformed") return Outcome.malformed(this.consumed, next.reason)
      if (next.size > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, this.consumed)
      if (!(Number.isSafeInteger(next.size) && next.size > 0 && next.size <= rest.length)) {
        return Outcome.malformed(this.consumed, `the decoder claims a frame of ${next.size} of ${rest.length} bytes`)
      }
      offsets.push(this.consumed)
      out.push(next.value)
      payloads?.push(rest.subarray(0, next.size))
      at += next.size
      this.consumed += next.size
    }
    if (held) tail.take()
    this.needed = 1
    return undefined
  }
}

const noOffsets: Array<number> = []
