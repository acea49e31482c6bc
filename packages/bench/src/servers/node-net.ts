/** The baseline: line echo as an expert writes it on `node:net`, one write for all lines of a chunk. */
import * as Net from "node:net"
import { splitter } from "../lines.ts"

const handle = (line: string): string => line

const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const split = splitter()
  socket.on("data", (chunk: Buffer) => {
    let lines: ReadonlyArray<string>
    try {
      lines = split(chunk)
    } catch {
      socket.destroy()
      return
    }
    if (lines.length === 0) return
    let out = ""
    for (const line of lines) out += handle(line) + "\n"
    if (!socket.write(out)) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => socket.end())
  socket.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as Net.AddressInfo
  console.log(`listening on tcp://127.0.0.1:${port}`)
})
