import type { Decoder } from "@socketserver/core/Codec"
import * as Outcome from "@socketserver/core/Outcome"
import type { DecodeError, Payload, Step } from "@socketserver/core/Protocol"
import { empty } from "./bytes.ts"

/**
 * Finds the messages of one connection in its input. What it has found of one that
 * is not whole it keeps as positions from the start of that, for the next call.
 */
export interface Scanner<Message> {
  /**
   * Looks at the frame that starts at `from`, up to `to` and no further: where it
   * ends; 0 where it is not whole, and {@link needed} says how much it is at least;
   * below 0 where it is none, and {@link problem} says why.
   */
  scan(input: Uint8Array, from: number, to: number): number
  /** The message of the frame that was found; none for one that says nothing, as an empty line. */
  readonly message: Message | undefined
  /** Its payload. */
  readonly payload: Uint8Array
  /** From the start of the frame on; 0 where that is not known. */
  readonly needed: number
  readonly problem: string
}

/**
 * A decoder of what a {@link Scanner} finds. It does what those of
 * `Protocol.make` do, without a view and a step for each message.
 */
export class Frames<Message> implements Decoder<Message> {
  private readonly scanner: Scanner<Message>
  private readonly maxFrameBytes: number
  /** Bytes that have arrived and are not a whole frame yet: the first `held` of these. */
  private tail: Uint8Array = empty
  private held = 0
  private needed = 1
  private consumed = 0
  private readonly offsets: Array<number> = []
  /** What a maximum has left, from the start of a frame on. */
  private left: Uint8Array | undefined = undefined

  constructor(scanner: Scanner<Message>, maxFrameBytes: number) {
    this.scanner = scanner
    this.maxFrameBytes = maxFrameBytes
  }

  get isBehind(): boolean {
    return this.left !== undefined
  }

  get restBytes(): number {
    return this.held + (this.left === undefined ? 0 : this.left.length)
  }

  push(
    chunk: Uint8Array,
    out: Array<Message>,
    payloads?: Array<Payload> | undefined,
    max = Infinity
  ): DecodeError | undefined {
    if (this.left !== undefined) {
      // Nobody reads on while something is left; what comes all the same comes after it.
      this.append(this.left)
      this.left = undefined
    }
    if (this.held === 0) return this.run(chunk, chunk.length, false, out, payloads, max)
    this.append(chunk)
    if (this.held < this.needed) {
      this.offsets.length = 0
      return undefined
    }
    return this.run(this.tail, this.held, true, out, payloads, max)
  }

  more(
    out: Array<Message>,
    payloads?: Array<Payload> | undefined,
    max: number | undefined = Infinity
  ): DecodeError | undefined {
    const input = this.left
    this.left = undefined
    this.offsets.length = 0
    return input === undefined ? undefined : this.run(input, input.length, false, out, payloads, max)
  }

  end(): DecodeError | undefined {
    this.offsets.length = 0
    if (this.held === 0) return undefined
    const { held } = this
    this.letGo()
    return Outcome.malformed(this.consumed, `the input ended inside a frame (after ${held} bytes of it)`)
  }

  offsetOf(index: number): number {
    return this.offsets[index] ?? this.consumed
  }

  /** Decodes so much of an input from the start of a frame on, which the tail has if it is `held`. */
  private run(
    input: Uint8Array,
    length: number,
    held: boolean,
    out: Array<Message>,
    payloads: Array<Payload> | undefined,
    max: number
  ): DecodeError | undefined {
    const { maxFrameBytes, offsets, scanner } = this
    offsets.length = 0
    let at = 0
    let passed = 0
    while (at < length) {
      // What says nothing counts as well: whoever sends it has no more of a turn than others.
      if (offsets.length + passed >= max) {
        if (held) this.letGo()
        this.left = input.subarray(at, length)
        return undefined
      }
      // It never sees more than a frame may have, so that the answer is the same for any chunks.
      const to = length - at > maxFrameBytes ? at + maxFrameBytes : length
      const end = scanner.scan(input, at, to)
      if (end > 0) {
        if (scanner.message !== undefined) {
          offsets.push(this.consumed)
          out.push(scanner.message)
          payloads?.push(scanner.payload)
        } else passed++
        this.consumed += end - at
        at = end
        continue
      }
      if (end < 0) return Outcome.malformed(this.consumed, scanner.problem)
      this.needed = Math.max(scanner.needed, to - at + 1)
      if (this.needed > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, this.consumed)
      if (held && at === 0) return undefined
      if (held) this.letGo()
      this.append(at === 0 && !held ? input : input.subarray(at, length))
      return undefined
    }
    if (held) this.letGo()
    return undefined
  }

  private append(chunk: Uint8Array): void {
    const length = this.held + chunk.length
    if (length > this.tail.length) {
      const grown = memory(this.sizeFor(length))
      grown.set(this.tail.subarray(0, this.held))
      this.tail = grown
    }
    this.tail.set(chunk, this.held)
    this.held = length
  }

  /**
   * How much memory is taken for so many bytes: twice as much as there was. All that
   * is needed only where a quarter of it is there: who announces a lot may never send it.
   */
  private sizeFor(length: number): number {
    const { needed, tail } = this
    return Math.max(length, tail.length * 2, needed <= length * 4 ? needed : 0)
  }

  /** Lets go of the memory, so that views of it stay as they are. */
  private letGo(): void {
    this.tail = empty
    this.held = 0
    this.needed = 1
  }
}

/** Memory that nobody has cleared: what is not written is not read. */
const memory = (size: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)

/** One step over a whole frame, as of a datagram or of what goes to a worker. */
export const whole =
  <Message>(scanner: () => Scanner<Message>) =>
  (input: Uint8Array): Step<Message> => {
    const found = scanner()
    const size = found.scan(input, 0, input.length)
    if (size < 0) return { _tag: "Malformed", reason: found.problem }
    if (size === 0) return { _tag: "More", needed: undefined }
    return found.message === undefined
      ? { _tag: "Malformed", reason: "it is empty" }
      : { _tag: "Frame", value: found.message, size }
  }
