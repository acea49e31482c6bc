/** The baseline of DNS: addresses of a table, as an expert writes it on `node:dgram`, in bytes. */
import * as Dgram from "node:dgram"
import { addresses } from "../names.ts"

const table = new Map(addresses.map(([name, address]) => [name, Buffer.from(address.split(".").map(Number))]))

const socket = Dgram.createSocket({
  type: "udp4",
  lookup: ((host: string, _: unknown, callback: (error: null, address: string, family: number) => void) =>
    callback(null, host, 4)) as never
})

socket.on("message", (query, { address, port }) => {
  // One question, and it is a query.
  if (query.length < 17 || (query[2]! & 0xf8) !== 0 || query.readUInt16BE(4) !== 1) return
  let at = 12
  let name = ""
  for (let size = query[at]!; size > 0; size = query[at]!) {
    if (size > 63 || at + size + 6 > query.length) return
    name += (name === "" ? "" : ".") + query.toString("latin1", at + 1, at + 1 + size)
    at += size + 1
  }
  const end = at + 5
  const isAddress = query.readUInt16BE(at + 1) === 1
  const found = isAddress ? table.get(name.toLowerCase()) : undefined
  const reply = Buffer.allocUnsafe(found === undefined ? end : end + 16)
  query.copy(reply, 0, 0, end)
  reply[2] = 0x84 | (query[2]! & 1)
  reply[3] = found === undefined ? 3 : 0
  reply.writeUInt32BE(found === undefined ? 0 : 0x10000, 6)
  reply.writeUInt16BE(0, 10)
  if (found !== undefined) {
    reply.writeUInt32BE(0xc00c0001, end)
    reply.writeUInt32BE(0x00010000, end + 4)
    reply.writeUInt32BE(0x003c0004, end + 8)
    found.copy(reply, end + 12)
  }
  socket.send(reply, port, address)
})
socket.bind(0, "127.0.0.1", () => console.log(`listening on udp://127.0.0.1:${socket.address().port}`))
