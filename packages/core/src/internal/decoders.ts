import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder } from "../Codec.ts"
import type { DecodeError, Payload, Step } from "../Protocol.ts"
import { concat } from "./bytes.ts"
import { messageOf } from "./errors.ts"

/** Bytes that have arrived and are not a whole frame yet. */
class Tail {
  private bytes = new Uint8Array(0)
  length = 0

  append(chunk: Uint8Array): void {
    const length = this.length + chunk.length
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(chunk, this.length)
    this.length = length
  }

  /** The last byte. */
  get last(): number | undefined {
    return this.bytes[this.length - 1]
  }

  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** Lets go of the memory, so that views of it stay as they are. */
  take(): Uint8Array {
    const view = this.view()
    this.bytes = new Uint8Array(0)
    this.length = 0
    return view
  }
}

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
export const stepping = <Message, State>(options: {
  readonly step: (input: Uint8Array, seen: number, state: State | undefined) => Step<Message, State>
  readonly maxFrameBytes: number
}): Decoder<Message> => {
  const { maxFrameBytes, step } = options
  const tail = new Tail()
  let consumed = 0
  let seen = 0
  let needed = 1
  let state: State | undefined = undefined
  let offsets: Array<number> = []
  /** What a maximum has left, from the start of a frame on. */
  let left: Uint8Array | undefined = undefined
  const attempt = (rest: Uint8Array): Step<Message, State> => {
    // oxlint-disable-next-line socketserver/no-try -- a step is user code, and the frame at fault is known only here
    try {
      return step(rest, seen, state)
    } catch (error) {
      return { _tag: "Malformed", reason: `the decoder threw: ${messageOf(error)}` }
    }
  }
  /** Decodes input from the start of a frame on, which the tail has if it is `held`. */
  const run = (
    input: Uint8Array,
    held: boolean,
    out: Array<Message>,
    payloads: Array<Payload> | undefined,
    max: number
  ): DecodeError | undefined => {
    offsets = []
    let at = 0
    while (at < input.length) {
      if (offsets.length === max) {
        if (held) tail.take()
        left = input.subarray(at)
        seen = 0
        state = undefined
        needed = 1
        return undefined
      }
      // A step never sees more than a frame may have, so that the answer is the same for any chunks.
      const rest = input.subarray(at, at + maxFrameBytes)
      const next = attempt(rest)
      seen = 0
      state = undefined
      if (next._tag === "More") {
        needed = next.needed !== undefined && next.needed > rest.length ? next.needed : rest.length + 1
        if (needed > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, consumed)
        seen = rest.length
        state = next.state
        if (held && at === 0) return undefined
        if (held) tail.take()
        tail.append(rest)
        return undefined
      }
      if (next._tag === "Malformed") return Outcome.malformed(consumed, next.reason)
      if (next.size > maxFrameBytes) return Outcome.frameTooLarge(maxFrameBytes, consumed)
      if (!(Number.isSafeInteger(next.size) && next.size > 0 && next.size <= rest.length)) {
        return Outcome.malformed(consumed, `the decoder claims a frame of ${next.size} of ${rest.length} bytes`)
      }
      offsets.push(consumed)
      out.push(next.value)
      payloads?.push(rest.subarray(0, next.size))
      at += next.size
      consumed += next.size
    }
    if (held) tail.take()
    needed = 1
    return undefined
  }
  return {
    get isBehind() {
      return left !== undefined
    },
    get restBytes() {
      return tail.length + (left?.length ?? 0)
    },
    push(chunk, out, payloads, max = Infinity) {
      if (left !== undefined) {
        tail.append(left)
        left = undefined
      }
      const held = tail.length > 0
      if (held) {
        tail.append(chunk)
        if (tail.length < needed) return undefined
      }
      return run(held ? tail.view() : chunk, held, out, payloads, max)
    },
    more(out, payloads, max = Infinity) {
      const input = left
      left = undefined
      offsets = []
      return input === undefined ? undefined : run(input, false, out, payloads, max)
    },
    end() {
      offsets = [consumed]
      if (tail.length === 0) return undefined
      const { length } = tail.take()
      return Outcome.malformed(consumed, `the input ended inside a frame (after ${length} bytes of it)`)
    },
    offsetOf: (index) => offsets[index] ?? consumed
  }
}

const newline = 10
const carriageReturnByte = 13
const carriageReturn = "\r"

/**
 * Lines of text, a whole chunk at a time: one UTF-8 decoding and one split per
 * chunk instead of one per line, which is what keeps deep pipelines near the
 * speed of hand-written code (`pnpm bench`, rows "16" and "128").
 */
export const textLines = (options: LinesLimits): Decoder<string> =>
  lines<string>(options, {
    all: (bytes, out, max) => {
      const text = textOf(bytes)
      return text === undefined ? undefined : split(text, out, max)
    },
    one: textOf
  })

/** Lines of any bytes. */
export const byteLines = (options: LinesLimits): Decoder<Uint8Array> =>
  lines<Uint8Array>(options, { all: () => undefined, one: (bytes) => bytes })

interface LinesLimits {
  readonly maxFrameBytes: number
  readonly unterminated: "emit" | "malformed"
}

const lines = <Line extends Payload>(
  options: LinesLimits,
  form: {
    /** Cuts whole lines at once, at most so many, where none of them is at fault; how many. */
    readonly all: (bytes: Uint8Array, out: Array<Line>, max: number) => number | undefined
    readonly one: (bytes: Uint8Array) => Line | undefined
  }
): Decoder<Line> => {
  const { maxFrameBytes } = options
  const tail = new Tail()
  // Where the unfinished line starts, and the whole lines of the last push, for `offsetOf`.
  let start = 0
  let regionStart = 0
  let region: Uint8Array = new Uint8Array(0)
  /** Whole lines that a maximum has left, without the newline after the last. */
  let left: Uint8Array | undefined = undefined

  // What may be the first half of a line's end does not count.
  const over = () => tail.length - (tail.last === carriageReturnByte ? 1 : 0) > maxFrameBytes

  /** Where so many lines of the region end. */
  const after = (lines: number): number => {
    let at = 0
    for (let i = 0; i < lines; i++) {
      const end = region.indexOf(newline, at)
      at = (end === -1 ? region.length : end) + 1
    }
    return at
  }

  /** Emits whole lines, at most so many, and keeps the rest of them. */
  const emit = (bytes: Uint8Array, out: Array<Line>, max: number): DecodeError | undefined => {
    region = bytes
    regionStart = start
    let count = 0
    let at = 0
    while (at <= bytes.length) {
      if (count === max) {
        left = at === 0 ? bytes : bytes.subarray(at)
        start = regionStart + at
        return undefined
      }
      const to = windowEnd(bytes, at, max - count)
      const window = at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to)
      const cut = window.length <= maxFrameBytes ? form.all(window, out, max - count) : undefined
      if (cut !== undefined) {
        count += cut
        at = count < max ? to + 1 : after(count)
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
        if (line === undefined) return Outcome.malformed(regionStart + at, notText)
        if (end > at && bytes[end - 1] === carriageReturnByte) return Outcome.malformed(regionStart + at, endsTwice)
        out.push(line)
        count++
        at = next
      }
    }
    start = regionStart + bytes.length + 1
    return over() ? Outcome.frameTooLarge(maxFrameBytes, start) : undefined
  }

  return {
    get isBehind() {
      return left !== undefined
    },
    get restBytes() {
      return tail.length + (left === undefined ? 0 : left.length + 1)
    },
    push(chunk, out, _payloads, max = Infinity) {
      let input = chunk
      if (left !== undefined) {
        // Nobody reads on while something is left; what comes all the same comes after it.
        input = concat(concat(left, lineEnd), concat(tail.take(), chunk))
        left = undefined
      }
      const last = input.lastIndexOf(newline)
      if (last === -1) {
        tail.append(input)
        return over() ? Outcome.frameTooLarge(maxFrameBytes, start) : undefined
      }
      let whole = input.subarray(0, last)
      if (tail.length > 0) {
        tail.append(whole)
        whole = tail.take()
      }
      if (last + 1 < input.length) tail.append(input.subarray(last + 1))
      return emit(whole, out, max)
    },
    more(out, _payloads, max = Infinity) {
      if (left === undefined) return undefined
      const bytes = left
      left = undefined
      return emit(bytes, out, max)
    },
    end(out) {
      if (tail.length === 0) return undefined
      if (options.unterminated === "malformed") {
        return Outcome.malformed(start, `the input ended inside a line (${tail.length} bytes without a newline)`)
      }
      return emit(tail.take(), out, Infinity)
    },
    offsetOf: (index) => regionStart + after(index)
  }
}

/**
 * Up to where lines are cut at once: so many bytes that a maximum is likely to be
 * among them, since what is cut in vain is cut again.
 */
const windowEnd = (bytes: Uint8Array, at: number, max: number): number => {
  const wanted = at + Math.max(256, max * 64)
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

/** Cuts a text into its lines, at most so many, unless one of them is none; how many. */
const split = (text: string, out: Array<string>, max: number): number | undefined => {
  const returns = text.includes(carriageReturn)
  if (returns && (text.includes("\r\r\n") || text.endsWith("\r\r"))) return undefined
  let count = 0
  let at = 0
  while (count < max) {
    const end = text.indexOf("\n", at)
    const line = end === -1 ? (at === 0 ? text : text.slice(at)) : text.slice(at, end)
    out.push(returns && line.endsWith(carriageReturn) ? line.slice(0, -1) : line)
    count++
    if (end === -1) return count
    at = end + 1
  }
  return count
}
