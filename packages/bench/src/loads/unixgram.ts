/** Unix datagrams that come back, by the calls of the system. Nothing is lost here, so replies come in order. */
import * as Gram from "../unixgram.ts"
import { counting, type Open } from "./load.ts"

const text = (index: number, number: number): string => `${index}`.padStart(4, "0") + `${number}`.padStart(27, ".")

let opened = 0

export const open: Open = async ({ connections, depth, target }, giveUp) => {
  const server = Gram.address(target)
  let closing = false
  const connect = (index: number) => {
    let sent = 0
    const send = () => {
      if (closing) return
      // A server has room for ten: the others wait for their turn.
      if (socket.send(Buffer.from(text(index, sent)), server, server.length)) sent++
      else setImmediate(send)
    }
    const socket = Gram.open(`@bench-load-${process.pid}-${opened++}`, (data) => {
      const message = data.toString("latin1")
      if (message !== text(index, client.completed))
        return giveUp(`socket ${index}: nobody asked for ${JSON.stringify(message)}`)
      client.completed++
      send()
    })
    const client = { socket, completed: 0, send }
    return client
  }
  const clients = Array.from({ length: connections }, (_, index) => connect(index))
  for (const { send } of clients) for (let i = 0; i < depth; i++) send()
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.close()
    }
  }
}
