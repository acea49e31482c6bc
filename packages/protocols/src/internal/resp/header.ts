/** The numbers of `*3\r\n` and `$5\r\n`, as Redis reads them: no sign but a minus, no zero before other digits, no space. */

const zero = 48
const nine = 57
const minus = 45
const carriageReturn = 13
const newline = 10

/** What {@link header} has read. */
export let number = 0

/**
 * Reads the number at a place of the input, and the end of its line. It returns
 * where the next line starts; 0 if this one is not whole; -1 if it is no number, or
 * one beyond `most`. `least` is 0, or below where the number may be negative: then
 * as far as Redis' own integers go.
 */
export const header = (input: Uint8Array, at: number, to: number, least: number, most: number): number => {
  let i = at
  const negative = i < to && input[i] === minus
  if (negative) {
    if (least === 0) return -1
    i++
  }
  const first = i
  let value = 0
  for (; i < to; i++) {
    const byte = input[i] as number
    if (byte >= zero && byte <= nine) {
      if ((i > first || negative) && value === 0 && (i > first || byte === zero)) return -1
      value = value * 10 + (byte - zero)
      if (value > (negative ? -least : most)) return -1
    } else {
      if (byte !== carriageReturn || i === first) return -1
      if (i + 1 === to) return 0
      if (input[i + 1] !== newline) return -1
      number = negative ? -value : value
      return i + 2
    }
  }
  return 0
}
