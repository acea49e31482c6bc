import { Buffer } from "node:buffer"
import { parseName } from "./names.ts"

/** What a message can be at most: its length has two bytes over TCP. */
export const maxMessageBytes = 65_535

/**
 * Writes one message at a time, into memory that is kept: what leaves is a copy.
 *
 * There is room for a whole record beyond the largest message, so that a record
 * is written first and then taken back if it does not fit.
 */
export class Writer {
  readonly buffer = Buffer.allocUnsafeSlow(2 * maxMessageBytes + 1_024)
  at = 0
  /** What cannot be written, of what was. */
  problem: string | undefined = undefined
  /** Where names are that were written, by their text: a later one that ends as they do points there (RFC 1035, 4.1.4). */
  private readonly names = new Map<string, number>()

  reset(): void {
    this.at = 0
    this.problem = undefined
    this.names.clear()
  }

  get message(): Uint8Array {
    return new Uint8Array(this.buffer.subarray(0, this.at))
  }

  fail(problem: string): void {
    this.problem ??= problem
  }

  u8(value: number): void {
    this.buffer[this.at++] = value
  }

  u16(value: number): void {
    const { at, buffer } = this
    buffer[at] = value >> 8
    buffer[at + 1] = value
    this.at = at + 2
  }

  u32(value: number): void {
    this.u16(value >>> 16)
    this.u16(value)
  }

  /** A number of a field, where it is one of so many bits. */
  number(value: number, bits: 8 | 16 | 31 | 32, field: string): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      return this.fail(`${field} is no number of ${bits} bits`)
    if (bits === 8) this.u8(value)
    else if (bits === 16) this.u16(value)
    else this.u32(value)
  }

  bytes(bytes: Uint8Array): void {
    if (this.at + bytes.length > this.buffer.length - 512) return this.fail("a record has more than 65535 bytes")
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  /** A name that stands at a place already, so that others may point there. */
  knows(text: string, at: number): void {
    if (text === "." || text.includes("\\")) return
    for (let label = 0; ;) {
      // Where labels begin in the text their sizes are on the wire: a dot of the one is a size of the other.
      const rest = text.slice(label)
      if (at + label < 0x4000 && !this.names.has(rest)) this.names.set(rest, at + label)
      const dot = text.indexOf(".", label)
      if (dot === -1 || dot === text.length - 1) return
      label = dot + 1
    }
  }

  name(text: string, compressed: boolean): void {
    if (compressed) {
      const known = this.names.get(text)
      if (known !== undefined) return this.u16(0xc000 | known)
    }
    const labels = parseName(text)
    if (typeof labels === "string") return this.fail(`a name cannot be written: ${labels}`)
    const { at } = this
    const plain = text !== "." && !text.includes("\\")
    if (compressed && plain) {
      for (let dot = text.indexOf("."); dot !== -1 && dot < text.length - 1; dot = text.indexOf(".", dot + 1)) {
        const known = this.names.get(text.slice(dot + 1))
        if (known === undefined) continue
        this.bytes(labels.subarray(0, dot + 1))
        this.u16(0xc000 | known)
        this.knows(text, at)
        return
      }
    }
    this.bytes(labels)
    if (plain) this.knows(text, at)
  }
}
