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

export const readLength = (input: Uint8Array, at: number, width: number, little: boolean): number => {
  const view = new DataView(input.buffer, input.byteOffset + at, width)
  switch (width) {
    case 1:
      return view.getUint8(0)
    case 2:
      return view.getUint16(0, little)
    case 4:
      return view.getUint32(0, little)
    default:
      return Number(view.getBigUint64(0, little))
  }
}

export const writeLength = (out: Uint8Array, at: number, width: number, little: boolean, length: number): void => {
  const view = new DataView(out.buffer, out.byteOffset + at, width)
  switch (width) {
    case 1:
      return view.setUint8(0, length)
    case 2:
      return view.setUint16(0, length, little)
    case 4:
      return view.setUint32(0, length, little)
    default:
      return view.setBigUint64(0, BigInt(length), little)
  }
}
