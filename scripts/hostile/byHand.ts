/** What somebody writes by hand with `node:net` for the same: lines, the same work for each, and back-pressure. */
import * as net from "node:net"
import { burn } from "./work.ts"

const work = Number(process.env["WORK"] ?? 0) / 1_000

const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  let rest = ""
  socket.setEncoding("utf8")
  socket.on("error", () => {})
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    let out = ""
    for (const line of lines) {
      if (work > 0) burn(work)
      out += `${line}\n`
    }
    if (out !== "" && !socket.write(out)) socket.pause()
  })
})
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
})
process.on("SIGTERM", () => process.exit(0))
