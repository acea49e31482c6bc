/** The words of an inline command, as `sdssplitargs` of Redis tells them apart. */

const doubleQuote = 34
const singleQuote = 39
const backslash = 92

/** As C's `isspace`, and the NUL that ends a string there. */
const isSpace = (byte: number | undefined): boolean =>
  byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13) || byte === 0

const hex = (byte: number | undefined): number => {
  if (byte === undefined) return -1
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

// "\n" and its like, between double quotes.
const escapes = new Uint8Array(256).map((_, byte) => byte)
for (const [letter, byte] of [
  ["n", 10],
  ["r", 13],
  ["t", 9],
  ["b", 8],
  ["a", 7]
] as const) {
  escapes[letter.charCodeAt(0)] = byte
}

/** The words of a line; none where a quote does not end, or is not followed by a space. */
export const split = (line: Uint8Array): Array<Uint8Array> | undefined => {
  const words: Array<Uint8Array> = []
  // What a word becomes is never longer than what is written of it.
  const scratch = new Uint8Array(line.length)
  const { length } = line
  let at = 0
  for (;;) {
    while (at < length && isSpace(line[at])) at++
    if (at >= length) return words
    let size = 0
    let quote = 0
    for (;;) {
      const byte = line[at]
      if (quote !== 0) {
        if (byte === undefined) return undefined
        if (byte === backslash && quote === doubleQuote) {
          const high = line[at + 1] === 120 ? hex(line[at + 2]) : -1
          const low = high === -1 ? -1 : hex(line[at + 3])
          if (low !== -1) {
            scratch[size++] = high * 16 + low
            at += 4
            continue
          }
          if (at + 1 < length) {
            scratch[size++] = escapes[line[at + 1] as number] as number
            at += 2
            continue
          }
        }
        if (byte === backslash && quote === singleQuote && line[at + 1] === singleQuote) {
          scratch[size++] = singleQuote
          at += 2
          continue
        }
        if (byte === quote) {
          at++
          if (at < length && !isSpace(line[at])) return undefined
          break
        }
        scratch[size++] = byte
        at++
        continue
      }
      if (byte === undefined || isSpace(byte)) break
      if (byte === doubleQuote || byte === singleQuote) quote = byte
      else scratch[size++] = byte
      at++
    }
    words.push(scratch.slice(0, size))
  }
}
