/** Messages on the pipe between a server by hand and its child: the number of a connection, the length, the bytes. */
export const message = (id: number, body: Buffer): Buffer => {
  const bytes = Buffer.allocUnsafe(8 + body.length)
  bytes.writeUInt32BE(id, 0)
  bytes.writeUInt32BE(body.length, 4)
  body.copy(bytes, 8)
  return bytes
}

export const framer = (onMessage: (id: number, body: Buffer) => void): ((chunk: Buffer) => void) => {
  let rest: Buffer | undefined
  return (chunk) => {
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    let at = 0
    while (bytes.length - at >= 8) {
      const end = at + 8 + bytes.readUInt32BE(at + 4)
      if (bytes.length < end) break
      onMessage(bytes.readUInt32BE(at), bytes.subarray(at + 8, end))
      at = end
    }
    rest = at === bytes.length ? undefined : bytes.subarray(at)
  }
}
