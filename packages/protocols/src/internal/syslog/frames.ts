import type * as Codec from "@socketserver/core/Codec"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Protocol from "@socketserver/core/Protocol"
import { isEnd } from "./read.ts"

/**
 * The messages of a stream (RFC 6587), each framed as its sender likes: after its
 * length, up to a newline, or up to a NUL.
 *
 * A length is one where a space and `<` follow it. A sender that has ended a message
 * with NUL ends all of them so, and its newlines are text from then on. After a line,
 * one without a priority goes on with what that has begun, as a stack trace does: it is
 * a message with the priority 13, which RFC 3164 (4.3.3) gives such. At the start of a
 * connection, and after a message with a length, it is no syslog.
 */
export class Frames implements Codec.Decoder<Uint8Array> {
  private readonly maxFrameBytes: number
  /** What has come of a message that is not whole: `length` bytes of it. */
  private held: Uint8Array = none
  private length = 0
  /** How much of it was searched for its end. */
  private seen = 0
  /** How much has to be there before it is looked at again. */
  private needed = 1
  /** Where it starts. */
  private consumed = 0
  /** What a maximum has left, from the start of a message on. */
  private left: Uint8Array | undefined = undefined
  private offsets: Array<number> = []
  /** How the message before was framed. */
  private last: "none" | "counted" | "line" | "nul" = "none"
  /** Whether the end of the input ends the message, too. */
  private isOpen = false

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  get isBehind(): boolean {
    return this.left !== undefined
  }

  get restBytes(): number {
    return this.length + (this.left?.length ?? 0)
  }

  push(
    chunk: Uint8Array,
    out: Array<Uint8Array>,
    _payloads?: Array<Protocol.Payload> | undefined,
    max = Infinity
  ): Protocol.DecodeError | undefined {
    if (this.left !== undefined) {
      this.hold(this.left)
      this.left = undefined
    }
    if (this.length === 0) return this.run(chunk, out, max)
    this.hold(chunk)
    return this.length < this.needed ? undefined : this.run(this.held.subarray(0, this.length), out, max)
  }

  more(
    out: Array<Uint8Array>,
    _payloads?: Array<Protocol.Payload> | undefined,
    max = Infinity
  ): Protocol.DecodeError | undefined {
    const input = this.left
    this.left = undefined
    return input === undefined ? undefined : this.run(input, out, max)
  }

  end(out: Array<Uint8Array>): Protocol.DecodeError | undefined {
    const { length } = this
    this.offsets = [this.consumed]
    const rest = this.held.subarray(0, length)
    this.release()
    if (length === 0) return undefined
    if (!this.isOpen) {
      return Outcome.malformed(this.consumed, `the input ended inside a message (after ${length} bytes of it)`)
    }
    out.push(this.goesOn ? withPriority(rest) : rest)
    return undefined
  }

  offsetOf(index: number): number {
    return this.offsets[index] ?? this.consumed
  }

  private hold(chunk: Uint8Array): void {
    const length = this.length + chunk.length
    if (length > this.held.length) {
      const grown = new Uint8Array(Math.max(length, this.held.length * 2))
      grown.set(this.held.subarray(0, this.length))
      this.held = grown
    }
    this.held.set(chunk, this.length)
    this.length = length
  }

  /** Lets go of the memory, of which messages are views. */
  private release(): void {
    this.held = none
    this.length = 0
    this.seen = 0
    this.needed = 1
  }

  /** Reads messages from the start of one on. */
  private run(input: Uint8Array, out: Array<Uint8Array>, max: number): Protocol.DecodeError | undefined {
    const isHeld = this.length > 0
    const { consumed: start, maxFrameBytes } = this
    this.offsets = []
    let at = 0
    while (at < input.length) {
      this.consumed = start + at
      if (this.offsets.length === max) {
        if (isHeld) this.release()
        this.left = input.subarray(at)
        return undefined
      }
      // Never more than a message may have, so that the answer is the same for any chunks.
      const rest = input.subarray(at, at + maxFrameBytes)
      const from = this.length > 0 && at === 0 ? this.seen : 0
      const size = this.step(rest, from, out)
      if (typeof size === "string") return Outcome.malformed(this.consumed, size)
      if (size <= 0) {
        const needed = size === 0 ? rest.length + 1 : -size
        if (needed > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, this.consumed)
        if (!isHeld || at > 0) {
          if (isHeld) this.release()
          this.hold(rest)
        }
        this.seen = rest.length
        this.needed = needed
        return undefined
      }
      at += size
    }
    this.consumed = start + at
    if (isHeld) this.release()
    return undefined
  }

  /**
   * Looks at the front of the input: how many bytes of it are done with, 0 where there
   * is too little, or less where there will be so many; or why it is no message.
   */
  private step(input: Uint8Array, seen: number, out: Array<Uint8Array>): number | string {
    const [first = 0] = input
    if (isEnd(first)) {
      let at = 1
      while (at < input.length && isEnd(input[at])) at++
      return at
    }
    const digits = first > 48 && first <= 57 ? lengthOf(input) : undefined
    if (digits !== undefined) {
      const { end, value } = digits
      // A line may start with digits, too: what follows them is not there yet.
      if (end === input.length || (input[end] === space && end + 1 === input.length)) {
        this.isOpen = this.goesOn
        return 0
      }
      if (input[end] === space && input[end + 1] === lessThan) {
        const size = end + 1 + value
        this.isOpen = false
        if (size > input.length) return -size
        this.emit(input.subarray(end + 1, size), out)
        this.last = "counted"
        return size
      }
    }
    if (first !== lessThan && !this.goesOn) return "a message starts with its priority or with its length"
    this.isOpen = true
    const end = endOf(input, seen, this.last === "nul")
    if (end === input.length) return 0
    const line = input.subarray(0, end)
    this.emit(this.goesOn ? withPriority(line) : line, out)
    this.last = input[end] === 0 ? "nul" : "line"
    return end + 1
  }

  /** Whether a line may go on with what one before it has begun. */
  private get goesOn(): boolean {
    return this.last === "line" || this.last === "nul"
  }

  private emit(message: Uint8Array, out: Array<Uint8Array>): void {
    this.offsets.push(this.consumed)
    out.push(message)
  }
}

const none = new Uint8Array(0)
const lessThan = 60
const greaterThan = 62
const space = 32

/** Where a line ends. Byte by byte: two searches, for either end, would each go past the other. */
const endOf = (input: Uint8Array, seen: number, onlyNul: boolean): number => {
  for (let at = seen; at < input.length; at++) {
    if (input[at] === 0 || (input[at] === 10 && !onlyNul)) return at
  }
  return input.length
}

/** The number at the front of the input, of ten digits at most. */
const lengthOf = (input: Uint8Array): { readonly value: number; readonly end: number } | undefined => {
  let value = 0
  for (let at = 0; at <= 10; at++) {
    const digit = (input[at] ?? 0) - 48
    if (digit < 0 || digit > 9) return { value, end: at }
    value = value * 10 + digit
  }
  return undefined
}

/** Most have one. A line of XML, or one with a number that is none, goes on with what was before it. */
const withPriority = (line: Uint8Array): Uint8Array => {
  if (hasPriority(line)) return line
  const marked = new Uint8Array(line.length + 4)
  marked.set(userNotice)
  marked.set(line, userNotice.length)
  return marked
}

const hasPriority = (line: Uint8Array): boolean => {
  if (line[0] !== lessThan) return false
  let value = 0
  for (let at = 1; at < 5; at++) {
    const digit = (line[at] ?? 0) - 48
    if (digit < 0 || digit > 9) return line[at] === greaterThan && at > 1 && value <= 191
    value = value * 10 + digit
  }
  return false
}

const userNotice = Uint8Array.of(60, 49, 51, 62)
