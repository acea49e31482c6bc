/** Requests of HTTP over connections that are kept: each answer is compared, but for its date. */
import * as Net from "node:net"
import { counting, type Open } from "./load.ts"

const request = "GET /hello HTTP/1.1\r\nHost: bench\r\n\r\n"
const start = Buffer.from("HTTP/1.1 200 OK\r\n")
const end = Buffer.from("\r\n\r\nhello\n")

export const open: Open = async (task, giveUp) => {
  const { depth } = task
  let closing = false

  const connect = (index: number) =>
    new Promise<{ readonly socket: Net.Socket; completed: number; readonly open: () => void }>((resolve, reject) => {
      const where = task.transport === "unix" ? { path: task.target } : { host: "127.0.0.1", port: Number(task.target) }
      const socket = Net.connect({ ...where, noDelay: true })
      const client = { socket, completed: 0, open: () => socket.write(request.repeat(depth)) }
      let size = 0
      let rest: Buffer = Buffer.alloc(0)
      const fail = (reason: string) => {
        socket.destroy()
        giveUp(`connection ${index}: ${reason}`)
        reject(new Error(reason))
      }
      socket.on("data", (chunk: Buffer) => {
        if (closing) return
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        if (size === 0) {
          const at = rest.indexOf(end)
          if (at === -1) return
          size = at + end.length
        }
        let at = 0
        for (; rest.length - at >= size; at += size) {
          const isRight =
            start.compare(rest, at, at + start.length) === 0 &&
            end.compare(rest, at + size - end.length, at + size) === 0
          if (!isRight) return fail(`${JSON.stringify(rest.toString("latin1", at, at + 300))} is wrong`)
          client.completed++
        }
        rest = rest.subarray(at)
        if (at > 0) socket.write(at === size ? request : request.repeat(at / size))
      })
      socket.once("connect", () => resolve(client))
      socket.on("error", (error) => !closing && fail(error.message))
      socket.once("end", () => !closing && fail("the server closed it"))
    })

  const clients = await Promise.all(Array.from({ length: task.connections }, (_, index) => connect(index)))
  for (const client of clients) client.open()
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.destroy()
    }
  }
}
