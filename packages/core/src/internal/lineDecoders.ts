import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder } from "../Codec.ts"
import type { DecodeError, Payload } from "../Protocol.ts"
import { concat } from "./bytes.ts"
import { none, Tail, textOf } from "./decoders.ts"
import { withPayload } from "./undecoded.ts"

const newline = 10
const carriageReturnByte = 13
const carriageReturn = "\r"

/** The payload of a datagram that is a line, with or without its end. */
export const unframeLine = (datagram: Uint8Array, maxFrameBytes: number): Result.Result<Uint8Array, DecodeError> => {
  let end = datagram.length
  if (end > 0 && datagram[end - 1] === newline) end--
  if (end > 0 && datagram[end - 1] === carriageReturnByte) end--
  if (end > maxFrameBytes) return Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
  const line = end === datagram.length ? datagram : datagram.subarray(0, end)
  if (line.includes(newline)) return Result.fail(Outcome.malformed(0, "the datagram has several lines"))
  return line[end - 1] === carriageReturnByte ? Result.fail(Outcome.malformed(0, endsTwice)) : Result.succeed(line)
}

/**
 * Lines of text, a whole chunk at a time: one UTF-8 decoding and one split per
 * chunk instead of one per line, which is what keeps deep pipelines near the
 * speed of hand-written code (`pnpm bench`, rows "16" and "128").
 */
export const textLines = (options: LinesLimits): Decoder<string> => new Lines(options, textForm)

/** Lines of any bytes. */
export const byteLines = (options: LinesLimits): Decoder<Uint8Array> => new Lines(options, bytesForm)

interface LinesLimits {
  readonly maxFrameBytes: number
  readonly unterminated: "emit" | "malformed"
}

interface LineForm<Line> {
  /** Cuts whole lines at once, at most so many, where none of them is at fault; how many. */
  readonly all: (bytes: Uint8Array, out: Array<Line>, max: number) => number | undefined
  readonly one: (bytes: Uint8Array) => Line | undefined
}

const textForm: LineForm<string> = {
  all: (bytes, out, max) => {
    const text = textOf(bytes)
    return text === undefined ? undefined : split(text, out, max, text.length === bytes.length)
  },
  one: textOf
}

const bytesForm: LineForm<Uint8Array> = { all: () => undefined, one: (bytes) => bytes }

class Lines<Line extends Payload> implements Decoder<Line> {
  private readonly limits: LinesLimits
  private readonly form: LineForm<Line>
  private readonly tail = new Tail()
  // Where the unfinished line starts, and the whole lines of the last push, for `offsetOf`.
  private start = 0
  private regionStart = 0
  /** How long lines have been that were cut last, with their ends: so many bytes are looked at for each. */
  private mean = 64
  private region: Uint8Array = none
  /** Whole lines that a maximum has left, without the newline after the last. */
  private left: Uint8Array | undefined = undefined

  constructor(limits: LinesLimits, form: LineForm<Line>) {
    this.limits = limits
    this.form = form
  }

  get isBehind(): boolean {
    return this.left !== undefined
  }

  get restBytes(): number {
    return this.tail.length + (this.left === undefined ? 0 : this.left.length + 1)
  }

  push(
    chunk: Uint8Array,
    out: Array<Line>,
    _payloads: Array<Payload> | undefined,
    max = Infinity
  ): DecodeError | undefined {
    const { tail } = this
    let input = chunk
    if (this.left !== undefined) {
      // Nobody reads on while something is left; what comes all the same comes after it.
      input = concat(concat(this.left, lineEnd), concat(tail.take(), chunk))
      this.left = undefined
    }
    const last = input.lastIndexOf(newline)
    if (last === -1) {
      tail.append(input, Infinity)
      return this.fits()
    }
    let whole = input.subarray(0, last)
    if (tail.length > 0) {
      tail.append(whole, Infinity)
      whole = tail.take()
    }
    if (last + 1 < input.length) tail.append(input.subarray(last + 1), Infinity)
    return this.emit(whole, out, max)
  }

  more(out: Array<Line>, _payloads: Array<Payload> | undefined, max = Infinity): DecodeError | undefined {
    const bytes = this.left
    if (bytes === undefined) return undefined
    this.left = undefined
    return this.emit(bytes, out, max)
  }

  end(out: Array<Line>): DecodeError | undefined {
    const { tail } = this
    if (tail.length === 0) return undefined
    if (this.limits.unterminated === "malformed") {
      return Outcome.malformed(this.start, `the input ended inside a line (${tail.length} bytes without a newline)`)
    }
    return this.emit(tail.take(), out, Infinity)
  }

  offsetOf(index: number): number {
    return this.regionStart + this.after(index)
  }

  /** Whether the unfinished line may still become one. What may be the first half of its end does not count. */
  private fits(): DecodeError | undefined {
    const { tail } = this
    const { maxFrameBytes } = this.limits
    return tail.length - (tail.last === carriageReturnByte ? 1 : 0) > maxFrameBytes
      ? Outcome.frameTooLarge(maxFrameBytes, this.start)
      : undefined
  }

  /** Where so many lines of the region end. */
  private after(lines: number): number {
    const { region } = this
    let at = 0
    for (let i = 0; i < lines; i++) {
      const end = region.indexOf(newline, at)
      at = (end === -1 ? region.length : end) + 1
    }
    return at
  }

  /** Emits whole lines, at most so many, and keeps the rest of them. */
  private emit(bytes: Uint8Array, out: Array<Line>, max: number): DecodeError | undefined {
    const { form } = this
    const { maxFrameBytes } = this.limits
    const regionStart = this.start
    this.region = bytes
    this.regionStart = regionStart
    let count = 0
    let at = 0
    while (at <= bytes.length) {
      if (count === max) {
        this.left = at === 0 ? bytes : bytes.subarray(at)
        this.start = regionStart + at
        return undefined
      }
      const to = windowEnd(bytes, at, max - count, this.mean)
      const window = at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to)
      const cut = window.length <= maxFrameBytes ? form.all(window, out, max - count) : undefined
      if (cut !== undefined) {
        count += cut
        // Where each character is a byte, the place in the text is known.
        at = count < max ? to + 1 : cutTo === -1 ? this.after(count) : at + cutTo
        this.mean = Math.ceil(at / count)
        continue
      }
      // The slow way, for large chunks and faulty ones: line by line, to name the line at fault.
      while (at <= to && count < max) {
        const found = bytes.indexOf(newline, at)
        let end = found === -1 ? bytes.length : found
        const next = end + 1
        if (end > at && bytes[end - 1] === carriageReturnByte) end--
        if (end - at > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, regionStart + at)
        const line = form.one(bytes.subarray(at, end))
        if (line === undefined)
          return withPayload(Outcome.malformed(regionStart + at, notText), bytes.subarray(at, end))
        if (end > at && bytes[end - 1] === carriageReturnByte) return Outcome.malformed(regionStart + at, endsTwice)
        out.push(line)
        count++
        at = next
      }
    }
    this.start = regionStart + bytes.length + 1
    return this.fits()
  }
}

/**
 * Up to where lines are cut at once: so many bytes that a maximum is likely to be
 * among them, since what is cut in vain is cut again.
 */
const windowEnd = (bytes: Uint8Array, at: number, max: number, mean: number): number => {
  const wanted = at + Math.max(256, max * mean)
  if (wanted >= bytes.length) return bytes.length
  const last = bytes.lastIndexOf(newline, wanted)
  if (last >= at) return last
  const next = bytes.indexOf(newline, wanted)
  return next === -1 ? bytes.length : next
}

const lineEnd = Uint8Array.of(newline)

/** What is wrong with a line that cannot be sent back: it would arrive without its last character. */
const endsTwice = "the line ends with a carriage return before its own end"

const notText = "the line is not valid UTF-8"

/** Where the lines that were cut last have ended, from the start of their text on, the newline included; -1 where bytes are to be counted. */
let cutTo = -1

/** Cuts a text into its lines, at most so many, unless one of them is none; how many. */
const split = (text: string, out: Array<string>, max: number, isAscii: boolean): number | undefined => {
  const returns = text.includes(carriageReturn)
  if (returns && (text.includes("\r\r\n") || text.endsWith("\r\r"))) return undefined
  let count = 0
  let at = 0
  while (count < max) {
    const end = text.indexOf("\n", at)
    const line = end === -1 ? (at === 0 ? text : text.slice(at)) : text.slice(at, end)
    out.push(returns && line.endsWith(carriageReturn) ? line.slice(0, -1) : line)
    count++
    if (end === -1) {
      at = text.length + 1
      break
    }
    at = end + 1
  }
  cutTo = isAscii ? at : -1
  return count
}
