/**
 * Line splitting as an expert writes it by hand: whole chunks, one decode and one split for all lines of a chunk.
 * The hand-written servers share it, so they differ in nothing but the way bytes come and go.
 */
const newline = 0x0a
const maxLine = 65_536
const none: ReadonlyArray<string> = []

/** A splitter for one connection: takes a chunk, returns the lines it completes. Throws on a line over 64 KiB. */
export const splitter = (): ((chunk: Buffer) => ReadonlyArray<string>) => {
  let tail: Buffer | undefined
  return (chunk) => {
    const bytes = tail === undefined ? chunk : Buffer.concat([tail, chunk])
    const last = bytes.lastIndexOf(newline)
    tail = last + 1 === bytes.length ? undefined : bytes.subarray(last + 1)
    if (tail !== undefined && tail.length > maxLine) throw new Error(`line longer than ${maxLine} bytes`)
    // A newline byte is never part of a longer UTF-8 sequence, so the cut is safe.
    return last === -1 ? none : bytes.toString("utf8", 0, last).split("\n")
  }
}
