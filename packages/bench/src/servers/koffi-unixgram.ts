/** The baseline over Unix datagrams: an echo by hand. */
import * as Gram from "../unixgram.ts"

const handle = (line: string): string => line

const name = `@bench-${process.pid}`
const socket = Gram.open(name, (data, from, fromLength) => {
  const reply = Buffer.from(handle(data.toString("utf8")))
  if (!socket.send(reply, from, fromLength)) throw new Error("a peer is full")
})
process.on("exit", socket.close)
console.log(`listening on unixgram:${name}`)
