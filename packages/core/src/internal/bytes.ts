export const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

/** Where `mark` is in `input`, from `from` on, or -1. */
export const indexOf = (input: Uint8Array, mark: Uint8Array, from: number): number => {
  const first = mark[0] as number
  for (let at = input.indexOf(first, from); at !== -1; at = input.indexOf(first, at + 1)) {
    if (at + mark.length > input.length) return -1
    let i = 1
    while (i < mark.length && input[at + i] === mark[i]) i++
    if (i === mark.length) return at
  }
  return -1
}

/** A number of one byte, two, four or eight. A `DataView` would give a small array a buffer of its own first, which takes longer than all the rest of a frame. */
export const readLength = (input: Uint8Array, at: number, width: number, little: boolean): number => {
  if (width > 4) {
    const [low, high] = little ? [at, at + 4] : [at + 4, at]
    return readLength(input, high, width - 4, little) * 2 ** 32 + readLength(input, low, 4, little)
  }
  let length = 0
  for (let i = 0; i < width; i++) length = length * 256 + (input[little ? at + width - 1 - i : at + i] as number)
  return length
}

/** Writes a number of so many bytes. */
export const writeLength = (out: Uint8Array, at: number, width: number, little: boolean, length: number): void => {
  for (let i = 0, rest = length; i < width; i++, rest = Math.floor(rest / 256)) {
    out[little ? at + i : at + width - 1 - i] = rest
  }
}
