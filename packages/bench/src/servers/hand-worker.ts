/**
 * The baseline of a request through a worker: `node:net`, that hands what it has read to a bare child over a pipe. A
 * message on the pipe is the number of a connection, the length, the bytes.
 */
import { spawn } from "node:child_process"
import * as Net from "node:net"
import { framer, message } from "../pipe.ts"
import { splitter } from "../lines.ts"

const child = spawn(process.execPath, [new URL("./hand-worker-child.ts", import.meta.url).pathname], {
  stdio: ["pipe", "pipe", "inherit"]
})
process.on("exit", () => child.kill("SIGKILL"))
child.on("exit", () => process.exit(1))

const sockets = new Map<number, Net.Socket>()
let connections = 0

const unframe = framer((id, body) => {
  const socket = sockets.get(id)
  if (socket === undefined) return
  if (socket.writableCorked === 0) {
    socket.cork()
    process.nextTick(() => socket.uncork())
  }
  socket.write(body)
  socket.write("\n")
})
child.stdout.on("data", unframe)

const server = Net.createServer({ noDelay: true }, (socket) => {
  const id = ++connections
  sockets.set(id, socket)
  const split = splitter()
  socket.on("data", (chunk: Buffer) => {
    const all = split(chunk)
    if (all.length === 0) return
    child.stdin.write(Buffer.concat(all.map((line) => message(id, Buffer.from(line)))))
  })
  socket.on("error", () => socket.destroy())
  socket.on("close", () => sockets.delete(id))
})
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as Net.AddressInfo
  console.log(`listening on tcp://127.0.0.1:${port}`)
})
