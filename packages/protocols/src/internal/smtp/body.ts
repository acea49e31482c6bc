/** The text of a message, as DATA sends it. */

/** Why a message is refused, whatever is thought of what it says. */
export type BodyFault = "TooLarge" | "LineTooLong" | "BareCr" | "BareLf" | "Nul"

/**
 * Finds the end of a message, and takes away the dots that were put before those
 * at the start of a line (RFC 5321, 4.5.2).
 *
 * A message ends with CR LF `.` CR LF, and with nothing else: where servers before
 * this one take a bare CR or LF for the end of a line, that is how one message is
 * smuggled inside another. So a message that has one is refused, and read to its
 * real end. Every byte is looked at once.
 */
export class Body {
  private readonly maxBytes: number
  private readonly maxLineBytes: number
  /** What the last chunk has brought of the message. Nothing, once there is a fault. */
  output: Uint8Array = none
  /** Whether the end has come. */
  done = false
  fault: BodyFault | undefined = undefined
  /** What was read of the message, in bytes, without the added dots. */
  bytes = 0
  /** Whether the next byte is the first of a line. */
  private starts = true
  /** The bytes of the current line, without an added dot. */
  private column = 0
  private afterCr = false
  /** What the line is so far, if it may be the end. */
  private end: "" | "." | ".\r" = ""

  constructor(maxBytes: number, maxLineBytes: number) {
    this.maxBytes = maxBytes
    this.maxLineBytes = maxLineBytes
  }

  /** Whether so much too much has come that its end is not waited for. */
  get isEndless(): boolean {
    return this.bytes > this.maxBytes * 2
  }

  /** Reads a chunk, as far as it belongs to the message; returns how much of it does. */
  push(chunk: Uint8Array): number {
    /** What is left of the chunk, once something was taken away. */
    let kept: Uint8Array | undefined
    let length = 0
    let at = 0
    while (at < chunk.length && !this.done && !this.isEndless) {
      const byte = chunk[at++] as number
      if (this.isContent(byte)) {
        if (kept !== undefined) kept[length++] = byte
      } else if (kept === undefined) {
        length = at - 1
        kept = new Uint8Array(chunk.length)
        kept.set(chunk.subarray(0, length))
      }
    }
    if (this.fault !== undefined) this.output = none
    else this.output = kept === undefined ? chunk.subarray(0, at) : kept.subarray(0, length)
    return at
  }

  /** Takes one byte; `false` for one that is none of the message's. */
  private isContent(byte: number): boolean {
    const { afterCr, end, starts } = this
    this.afterCr = byte === cr
    this.starts = false
    if (starts && byte === dot) {
      this.end = "."
      return false
    }
    if (end !== "") {
      this.end = ""
      if (end === "." && byte === cr) {
        this.end = ".\r"
        return false
      }
      if (end === ".\r" && byte === lf) {
        this.done = true
        return false
      }
    }
    if (++this.bytes > this.maxBytes) this.fail("TooLarge")
    if (++this.column > this.maxLineBytes) this.fail("LineTooLong")
    if (byte === lf) {
      if (!afterCr) this.fail("BareLf")
      else {
        this.column = 0
        this.starts = true
      }
    } else if (afterCr) this.fail("BareCr")
    else if (byte === 0) this.fail("Nul")
    return true
  }

  private fail(fault: BodyFault): void {
    this.fault ??= fault
  }
}

const none = new Uint8Array(0)
const dot = 46
const cr = 13
const lf = 10
