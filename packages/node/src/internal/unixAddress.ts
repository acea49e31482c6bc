import { native } from "./unixPath.ts"

/** The size of a `sockaddr_un`: two bytes for the family, 108 for the name. */
export const size = 110

/** Of `sun_family`. */
const AF_UNIX = 1

/**
 * A path or an abstract `@name` as a `sockaddr_un`. One without a name asks the
 * kernel for an abstract one of its own.
 */
export const encode = (path: string | undefined): Uint8Array => {
  const name = Buffer.from(path === undefined ? "" : native(path))
  // A path ends with a zero byte; an abstract name is all bytes up to the end.
  const ends = path === undefined || path.startsWith("@") ? 0 : 1
  const address = Buffer.alloc(2 + name.length + ends)
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX
  name.copy(address, 2)
  return address
}

/**
 * The name in a `sockaddr_un` of `length` bytes, or `undefined` if the socket has
 * none. A path never looks like an abstract name.
 */
export const decode = (address: Uint8Array, length: number): string | undefined => {
  if (length <= 2) return undefined
  const bytes = Buffer.from(address.buffer, address.byteOffset + 2, length - 2)
  if (bytes[0] === 0) return `@${text(bytes.subarray(1))}`
  const end = bytes.indexOf(0)
  const path = text(end < 0 ? bytes : bytes.subarray(0, end))
  return path.startsWith("@") ? `./${path}` : path
}

/** A name may be any bytes; what cannot be shown is written as `\xff`, so that it breaks no line of a log. */
const text = (bytes: Buffer): string => {
  const utf8 = bytes.toString()
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are what is looked for
  return /[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]/.test(utf8)
    ? bytes
        .toString("latin1")
        .replaceAll(/[^\x20-\x7e]/g, (it) => `\\x${it.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : utf8
}
