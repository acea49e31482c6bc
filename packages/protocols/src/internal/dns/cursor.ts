import { labelText, maxNameBytes } from "./names.ts"

/**
 * Reads a message from a place on, and never past its end: what is not there is 0
 * or nothing, and `problem` says what was wrong first. Whoever reads looks at that
 * before it believes anything.
 */
export class Cursor {
  readonly bytes: Uint8Array
  at: number
  end: number
  problem: string | undefined = undefined

  constructor(bytes: Uint8Array, at: number, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  fail(problem: string): void {
    this.problem ??= problem
    this.at = this.end
  }

  u8(): number {
    if (this.at + 1 > this.end) return this.short()
    return this.bytes[this.at++]!
  }

  u16(): number {
    if (this.at + 2 > this.end) return this.short()
    const { at, bytes } = this
    this.at = at + 2
    return (bytes[at]! << 8) | bytes[at + 1]!
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16()
  }

  /** A view of so many bytes. */
  take(size: number): Uint8Array {
    if (this.at + size > this.end) this.short()
    const from = this.at
    this.at = Math.min(this.end, from + size)
    return this.bytes.subarray(from, this.at)
  }

  /** Passes over a name. What a pointer points at is not looked at, but that it points to what came before. */
  skipName(): void {
    const start = this.at
    for (;;) {
      const size = this.u8()
      if (this.problem !== undefined || size === 0) return
      if (size < 64) {
        if (this.at + size - start >= maxNameBytes) return this.fail("a name has more than 255 bytes")
        this.take(size)
      } else if (size >= 192) {
        const target = ((size & 63) << 8) | this.u8()
        if (target >= start) this.fail("a name points forward")
        return
      } else return this.fail("a label of a kind that there is not")
    }
  }

  /**
   * Reads a name. Each pointer has to point before the labels that it ends, so that
   * they come to an end, and the labels are no more than a name may have.
   */
  name(pointers = true): string {
    const { bytes } = this
    let text = ""
    let total = 0
    let { at } = this
    let limit = this.end
    let start = at
    let jumped = false
    for (;;) {
      if (at >= limit) return (this.fail("a name is cut off"), "")
      const size = bytes[at++]!
      if (size === 0) {
        if (!jumped) this.at = at
        return text === "" ? "." : text
      }
      if (size < 64) {
        total += size + 1
        if (total >= maxNameBytes) return (this.fail("a name has more than 255 bytes"), "")
        if (at + size > limit) return (this.fail("a name is cut off"), "")
        text += text === "" ? labelText(bytes, at, at + size) : `.${labelText(bytes, at, at + size)}`
        at += size
        continue
      }
      if (size < 192) return (this.fail("a label of a kind that there is not"), "")
      if (!pointers) return (this.fail("the name of the question points elsewhere"), "")
      if (at >= limit) return (this.fail("a name is cut off"), "")
      const target = ((size & 63) << 8) | bytes[at++]!
      if (!jumped) this.at = at
      jumped = true
      if (target >= start) return (this.fail("a name points forward"), "")
      // Labels up to the pointer were read; those of the target end before it.
      limit = start
      start = target
      at = target
    }
  }

  private short(): number {
    this.fail("it is cut off")
    return 0
  }
}
