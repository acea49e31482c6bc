/**
 * The baseline with handlers that answer later: one `setImmediate` hop for each line.
 * Replies keep the order of their lines; all that are ready in one turn of the loop leave in one write.
 */
import * as Net from "node:net"
import { splitter } from "../lines.ts"

const handle = (line: string, reply: (answer: string) => void): void => {
  setImmediate(reply, line)
}

const maxPending = 1024

const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const split = splitter()
  const pending: Array<{ answer: string | undefined }> = []
  let flushing = false
  let ended = false

  const flush = () => {
    flushing = false
    let ready = 0
    let out = ""
    for (; ready < pending.length; ready++) {
      const answer = pending[ready]!.answer
      if (answer === undefined) break
      out += answer + "\n"
    }
    pending.splice(0, ready)
    if (ended && pending.length === 0) socket.end(out)
    else if (!socket.write(out)) socket.pause()
    else if (pending.length < maxPending) socket.resume()
  }

  socket.on("data", (chunk: Buffer) => {
    let lines: ReadonlyArray<string>
    try {
      lines = split(chunk)
    } catch {
      socket.destroy()
      return
    }
    for (const line of lines) {
      const slot: { answer: string | undefined } = { answer: undefined }
      pending.push(slot)
      handle(line, (answer) => {
        slot.answer = answer
        if (flushing || pending[0] !== slot) return
        flushing = true
        setImmediate(flush)
      })
    }
    if (pending.length >= maxPending) socket.pause()
  })
  socket.on("drain", () => socket.resume())
  socket.on("end", () => {
    ended = true
    if (pending.length === 0) socket.end()
  })
  socket.on("error", () => socket.destroy())
})

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as Net.AddressInfo
  console.log(`listening on tcp://127.0.0.1:${port}`)
})
