/** The baseline over TLS: line echo as an expert writes it on `node:tls`, one write for all lines of a chunk. */
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { certificate } from "../certificate.ts"
import { splitter } from "../lines.ts"

const handle = (line: string): string => line

const server = Tls.createServer({ ...certificate(), allowHalfOpen: true, noDelay: true }, (socket) => {
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
  console.log(`listening on tls://127.0.0.1:${port}`)
})
