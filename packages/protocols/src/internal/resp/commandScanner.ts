import { empty } from "./bytes.ts"
import { Command, ofWords } from "./command.ts"
import type { Scanner } from "./frames.ts"
import * as headers from "./header.ts"
import { split } from "./inline.ts"

/** What bounds a command. */
export interface CommandLimits {
  readonly maxElements: number
  readonly maxBulkBytes: number
  readonly maxInlineBytes: number
}

const star = 42
const dollar = 36
const carriageReturn = 13
const newline = 10

/** As far down as Redis' own integers go. A command of fewer than one word is passed over, as there. */
const least = -(2 ** 63)

/** Commands: arrays of bulk strings, and lines. What is wrong with one is said as Redis says it. */
export class CommandScanner implements Scanner<Command> {
  private readonly limits: CommandLimits
  message: Command | undefined = undefined
  payload: Uint8Array = empty
  needed = 0
  problem = ""
  /** How many words of the unfinished command are still to come; -1 before that is known. */
  private left = -1
  /** Where the next of them starts. */
  private at = 0
  private places: Array<number> = noPlaces
  /** How much of an unfinished line has no end. */
  private seen = 0

  constructor(limits: CommandLimits) {
    this.limits = limits
  }

  scan(input: Uint8Array, from: number, to: number): number {
    const { maxBulkBytes, maxElements } = this.limits
    let { left, places } = this
    let at = from + this.at
    if (left === -1) {
      if (input[from] !== star) return this.line(input, from, to)
      at = headers.header(input, from + 1, to, least, maxElements)
      if (at < 0) return this.wrong("invalid multibulk length")
      if (at === 0) return this.more(0)
      left = headers.number
      if (left <= 0) {
        this.message = undefined
        return at
      }
      places = []
    }
    for (; left > 0; left--) {
      if (at < to && input[at] !== dollar) return this.wrong(`expected '$', got '${shown(input[at] as number)}'`)
      const start = at < to ? headers.header(input, at + 1, to, 0, maxBulkBytes) : 0
      if (start < 0) return this.wrong("invalid bulk length")
      const end = start + headers.number
      if (start === 0 || end + 2 > to) {
        this.left = left
        this.at = at - from
        this.places = places
        return this.more(start === 0 ? 0 : end + 2 - from)
      }
      if (input[end] !== carriageReturn || input[end + 1] !== newline) return this.wrong("invalid bulk length")
      places.push(start - from, end - from)
      at = end + 2
    }
    this.left = -1
    this.at = 0
    this.places = noPlaces
    this.found(new Command(input.subarray(from, at), places))
    return at
  }

  private line(input: Uint8Array, from: number, to: number): number {
    const { maxInlineBytes } = this.limits
    // What is behind may be much, and has been there before.
    const found = (to < input.length ? input.subarray(0, to) : input).indexOf(newline, from + this.seen)
    const isWhole = found !== -1
    let end = isWhole ? found : to
    // What may be the first half of its end does not count.
    if (end > from && input[end - 1] === carriageReturn) end--
    if (end - from > maxInlineBytes) return this.wrong("too big inline request")
    if (!isWhole) {
      this.seen = to - from
      return this.more(0)
    }
    this.seen = 0
    const words = split(input.subarray(from, end))
    if (words === undefined) return this.wrong("unbalanced quotes in request")
    if (words.length === 0) this.message = undefined
    else this.found(ofWords(words))
    return found + 1
  }

  private found(command: Command): void {
    this.message = command
    this.payload = command.frame
  }

  private more(needed: number): number {
    this.needed = needed
    return 0
  }

  private wrong(problem: string): number {
    this.problem = `Protocol error: ${problem}`
    return -1
  }
}

const noPlaces: Array<number> = []

/** A byte of a stranger's as Redis shows it, but for what is no printable character. */
const shown = (byte: number): string => {
  if (byte === carriageReturn || byte === newline) return " "
  return byte > 31 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`
}
