import { labelText, maxNameBytes } from "./names.ts"

/** The end of a name, from a label or a pointer on. */
interface Tail {
  readonly text: string
  /** Its labels, in bytes. */
  readonly size: number
  /** Where its labels end, or the pointer that ends them; and where that is so of what it points at. */
  readonly end: number
  readonly next: number
}

const cutOff = "a name is cut off"
const forward = "a name points forward"
const tooLong = "a name has more than 255 bytes"
const unknown = "a label of a kind that there is not"

const joined = (label: string, rest: string): string =>
  label === "" || rest === "" ? label + rest : `${label}.${rest}`

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
  /** What names point at, by its place. */
  private tails: Map<number, Tail> | undefined = undefined

  constructor(bytes: Uint8Array, at: number, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  fail(problem: string): undefined {
    this.problem ??= problem
    this.at = this.end
    return undefined
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
        if (this.at + size - start >= maxNameBytes) return void this.fail(tooLong)
        this.take(size)
      } else if (size >= 192) {
        const target = ((size & 63) << 8) | this.u8()
        if (target >= start) this.fail(forward)
        return
      } else return void this.fail(unknown)
    }
  }

  /**
   * Reads a name. Each pointer has to point before the labels that it ends, so that
   * they come to an end, and the labels are no more than a name may have.
   */
  name(pointers = true): string {
    const { at: start, bytes, end } = this
    let text = ""
    let total = 0
    let at = start
    for (;;) {
      if (at >= end) return (this.fail(cutOff), "")
      const size = bytes[at++]!
      if (size === 0) {
        this.at = at
        return text === "" ? "." : text
      }
      if (size < 64) {
        total += size + 1
        if (total >= maxNameBytes) return (this.fail(tooLong), "")
        if (at + size > end) return (this.fail(cutOff), "")
        text += text === "" ? labelText(bytes, at, at + size) : `.${labelText(bytes, at, at + size)}`
        at += size
        continue
      }
      if (size < 192) return (this.fail(unknown), "")
      if (!pointers) return (this.fail("the name of the question points elsewhere"), "")
      if (at >= end) return (this.fail(cutOff), "")
      const target = ((size & 63) << 8) | bytes[at++]!
      this.at = at
      const tail = this.tailAt(target, start)
      if (tail === undefined) return ""
      if (total + tail.size >= maxNameBytes) return (this.fail(tooLong), "")
      return joined(text, tail.text) || "."
    }
  }

  /** What a pointer points at, which ends before a place. However many names point there, or on the way there, its labels are read once. */
  private tailAt(target: number, before: number): Tail | undefined {
    const { bytes } = this
    if (target >= before) return this.fail(forward)
    const tails = (this.tails ??= new Map<number, Tail>())
    const places: Array<number> = []
    let at = target
    // Of the labels that are read: where they start, and where those did that point there.
    let start = target
    let limit = before
    let tail: Tail | undefined
    for (;;) {
      tail = tails.get(at)
      if (tail !== undefined) {
        if (tail.end > limit || tail.next > start) return this.fail(forward)
        break
      }
      if (at >= limit) return this.fail(cutOff)
      const size = bytes[at]!
      places.push(at)
      if (size === 0) break
      if (size < 64) {
        at += size + 1
        if (at > limit) return this.fail(cutOff)
        continue
      }
      if (size < 192) return this.fail(unknown)
      if (at + 1 >= limit) return this.fail(cutOff)
      at = ((size & 63) << 8) | bytes[at + 1]!
      if (at >= start) return this.fail(forward)
      limit = start
      start = at
    }
    for (let i = places.length - 1; i >= 0; i--) {
      const place = places[i]!
      const size = bytes[place]!
      if (tail === undefined) tail = { text: "", size: 0, end: place + 1, next: 0 }
      else if (size >= 192) tail = { text: tail.text, size: tail.size, end: place + 2, next: tail.end }
      else {
        const text = joined(labelText(bytes, place + 1, place + 1 + size), tail.text)
        tail = { text, size: tail.size + size + 1, end: tail.end, next: tail.next }
      }
      if (tail.size >= maxNameBytes) return this.fail(tooLong)
      tails.set(place, tail)
    }
    return tail
  }

  private short(): number {
    this.fail("it is cut off")
    return 0
  }
}
