/** The baseline over Unix datagrams: an echo by hand. */
import * as Gram from "../unixgram.ts"

const handle = (line: string): string => line

const name = `@bench-${process.pid}`
const socket = Gram.open(name, (data, from, fromLength) => {
  const reply = Buffer.from(handle(data.toString("utf8")))
  // A peer may be gone by now.
  socket.send(reply, from, fromLength)
})
process.on("exit", socket.close)
console.log(`listening on unixgram:${name}`)
