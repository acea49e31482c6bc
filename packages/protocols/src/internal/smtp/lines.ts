/** The lines of commands, out of what has arrived. */

/** A line, or why there is none; `"Endless"` says that no end of a bad one came in sight. */
export type Line = { readonly _tag: "Line"; readonly text: string } | { readonly _tag: LineFault }

export type LineFault = "TooLong" | "BareCr" | "BareLf" | "Nul" | "NotUtf8" | "Endless"

/**
 * Finds lines that end with CR LF, and with nothing else. What is wrong with a line
 * is said once, as soon as it shows; the rest of it, up to the next CR LF, is passed
 * over. So what stands behind a bare LF is never taken for a command.
 *
 * Every byte is looked at once, and no more than a line is held.
 */
export class Lines {
  private readonly maxBytes: number
  private chunk: Uint8Array = none
  private at = 0
  private line: Uint8Array = none
  private length = 0
  private afterCr = false
  /** How much of a bad line was passed over; below 0 where the line is none. */
  private passed = -1

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Takes what has arrived; what came before has to be read. */
  push(chunk: Uint8Array): void {
    this.chunk = chunk
    this.at = 0
  }

  /** What has arrived and is not read. */
  rest(): Uint8Array {
    const rest = this.chunk.subarray(this.at)
    this.chunk = none
    this.at = 0
    return rest
  }

  /** Forgets what has arrived. */
  clear(): void {
    this.rest()
    this.length = 0
    this.afterCr = false
    this.passed = -1
  }

  /** The next line, if it is there. */
  next(): Line | undefined {
    const { chunk } = this
    while (this.at < chunk.length) {
      const byte = chunk[this.at++] as number
      const { afterCr } = this
      this.afterCr = byte === cr
      if (this.passed >= 0) {
        if (afterCr && byte === lf) {
          this.passed = -1
          this.length = 0
        } else if (++this.passed === mostPassed + 1) return { _tag: "Endless" }
        continue
      }
      if (afterCr) return byte === lf ? this.whole() : this.fault("BareCr")
      if (byte === lf) return this.fault("BareLf")
      if (byte === 0) return this.fault("Nul")
      // It has one more byte at least: the end of its end.
      if (this.length + 2 > this.maxBytes && !this.mayBeLonger()) return this.fault("TooLong")
      this.add(byte)
    }
    return undefined
  }

  private whole(): Line {
    const text = textOf(this.line.subarray(0, this.length - 1))
    this.length = 0
    return text === undefined ? { _tag: "NotUtf8" } : { _tag: "Line", text }
  }

  private fault(fault: LineFault): Line {
    this.passed = 0
    return { _tag: fault }
  }

  private add(byte: number): void {
    // One for all lines of a connection, and none for who says nothing.
    if (this.line.length === 0) this.line = new Uint8Array(this.maxBytes + parameterBytes)
    this.line[this.length++] = byte
  }

  /** Whether it may have one byte more: parameters of extensions come on top (RFC 1870, 6152 and 6531). */
  private mayBeLonger(): boolean {
    if (this.length + 2 > this.maxBytes + parameterBytes) return false
    let word = 0
    for (let at = 0; at < 4; at++) word = (word << 8) | ((this.line[at] as number) & ~32)
    return word === mail || word === rcpt
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  // oxlint-disable-next-line socketserver/no-try -- `TextDecoder` says that bytes are not UTF-8 only by throwing
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const none = new Uint8Array(0)
const cr = 13
const lf = 10
const mail = 0x4d41494c
const rcpt = 0x52435054
const parameterBytes = 64

/** How much of a bad line is passed over before its connection is given up. */
const mostPassed = 65_536
