/** Patterns as Redis has them for keys and channels: `*`, `?`, `[a-z]`, `[^a]`, and `\` before what is to be itself. */

/**
 * How much all patterns of one command may look at. A pattern of a thousand stars is refused when it is over, where Redis would
 * hang.
 */
export class Effort {
  private left: number

  constructor(steps = 50_000_000) {
    this.left = steps
  }

  get isOver(): boolean {
    return this.left <= 0
  }

  spend(steps: number): void {
    this.left -= steps
  }
}

/** Whether all of a text is what a pattern says. Of both, each character is a byte. */
export const matches = (pattern: string, text: string, effort: Effort): boolean => {
  let p = 0
  let t = 0
  // Where to go on when what follows the last star does not fit: a byte later.
  let star = -1
  let from = 0
  while (t < text.length) {
    if (effort.isOver) return false
    effort.spend(1)
    if (pattern[p] === "*") {
      star = p++
      from = t
      continue
    }
    const next = one(pattern, p, text.charCodeAt(t), effort)
    if (next > 0) {
      p = next
      t++
      continue
    }
    if (star === -1) return false
    p = star + 1
    t = ++from
  }
  while (pattern[p] === "*") p++
  return p >= pattern.length
}

/** Where the pattern goes on if the part at `p` is for this byte; else 0. */
const one = (pattern: string, p: number, byte: number, effort: Effort): number => {
  if (p >= pattern.length) return 0
  if (pattern[p] === "?") return p + 1
  if (pattern[p] === "[") return ofClass(pattern, p + 1, byte, effort)
  const at = pattern[p] === "\\" && p + 1 < pattern.length ? p + 1 : p
  return pattern.charCodeAt(at) === byte ? at + 1 : 0
}

const ofClass = (pattern: string, start: number, byte: number, effort: Effort): number => {
  const { length } = pattern
  let p = start
  const not = pattern[p] === "^"
  if (not) p++
  let found = false
  for (; p < length && pattern[p] !== "]"; p++) {
    effort.spend(1)
    if (pattern[p] === "\\" && p + 1 < length) {
      p++
      if (pattern.charCodeAt(p) === byte) found = true
    } else if (pattern[p + 1] === "-" && p + 2 < length) {
      const [a, b] = [pattern.charCodeAt(p), pattern.charCodeAt(p + 2)]
      if (byte >= Math.min(a, b) && byte <= Math.max(a, b)) found = true
      p += 2
    } else if (pattern.charCodeAt(p) === byte) found = true
  }
  return found === not ? 0 : Math.min(p + 1, length)
}
