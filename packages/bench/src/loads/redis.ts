/**
 * `SET` and `GET` in turn, as `redis-benchmark` sends them: keys of twelve digits, values of three bytes.
 *
 * Closed loop: each connection keeps `depth` commands outstanding, and every byte that comes back is compared.
 */
import * as Net from "node:net"
import { counting, type Open } from "./load.ts"

const keys = 10_000
const key = (number: number) => `key:${`${number}`.padStart(12, "0")}`
const set = (number: number) => `*3\r\n$3\r\nSET\r\n$16\r\n${key(number)}\r\n$3\r\nxxx\r\n`
const get = (number: number) => `*2\r\n$3\r\nGET\r\n$16\r\n${key(number)}\r\n`
const commands = Array.from({ length: keys }, (_, i) => Buffer.from((i % 2 === 0 ? set : get)(i >> 1)))
const ends: Array<number> = []
for (const command of commands) ends.push((ends.at(-1) ?? 0) + command.length)
const tape = Buffer.concat(commands)
const startOf = (index: number) => (index === 0 ? 0 : ends[index - 1]!)

const answers = Buffer.from("+OK\r\n$3\r\nxxx\r\n".repeat(8_192))
const [ofSet, ofBoth] = [5, 14]
/** How many answers so many bytes are, of which the first is to a `SET`. */
const countOf = (bytes: number) => 2 * Math.floor(bytes / ofBoth) + (bytes % ofBoth >= ofSet ? 1 : 0)

export const open: Open = async (task, giveUp) => {
  const { depth } = task
  let closing = false

  const connect = (index: number) =>
    new Promise<{ readonly socket: Net.Socket; completed: number; readonly send: (count: number) => void }>(
      (resolve, reject) => {
        // Each with keys of its own, and an even one first.
        let next = (index * 202) % keys
        let received = 0
        const fail = (reason: string) => {
          socket.destroy()
          giveUp(`connection ${index}: ${reason}`)
          reject(new Error(reason))
        }
        const send = (count: number) => {
          const last = Math.min(keys, next + count)
          socket.write(tape.subarray(startOf(next), startOf(last)))
          const left = count - (last - next)
          next = last % keys
          if (left > 0) send(left)
        }
        const onBytes = (length: number, bytes: Uint8Array): boolean => {
          if (closing) return true
          const from = received % ofBoth
          if (answers.compare(bytes, 0, length, from, from + length) !== 0) {
            return (fail(`${JSON.stringify(Buffer.from(bytes).toString("latin1", 0, 40))} is wrong`), false)
          }
          const before = countOf(received)
          received += length
          const count = countOf(received) - before
          client.completed += count
          if (count > 0) send(count)
          return true
        }
        const socket = Net.connect({
          host: "127.0.0.1",
          port: Number(task.target),
          noDelay: true,
          onread: { buffer: new Uint8Array(65_536), callback: onBytes }
        })
        const client = { socket, completed: 0, send }
        socket.once("connect", () => resolve(client))
        socket.on("error", (error) => !closing && fail(error.message))
        socket.once("end", () => !closing && fail("the server closed it"))
      }
    )

  const clients = await Promise.all(Array.from({ length: task.connections }, (_, index) => connect(index)))
  for (const { send } of clients) send(depth)
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.destroy()
    }
  }
}
