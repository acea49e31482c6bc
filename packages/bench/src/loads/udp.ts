/**
 * Datagrams that come back. Each has a number; a reply that was not asked for, or came twice, is an error. One that is
 * lost leaves a place empty for good, so a server that loses all of a socket's starves it, which is an error too.
 */
import { counting, type Open } from "./load.ts"
import { connecting } from "./udpSocket.ts"

const text = (index: number, number: number): string => `${index}`.padStart(4, "0") + `${number}`.padStart(27, ".")

export const open: Open = async ({ connections, depth, target }, giveUp) => {
  let closing = false
  const socketOf = connecting(target)
  const connect = async (index: number) => {
    const socket = await socketOf()
    let number = 0
    const outstanding = new Set<string>()
    const send = () => {
      const message = text(index, number++)
      outstanding.add(message)
      socket.send(message)
    }
    socket.on("message", (data) => {
      const message = data.toString("latin1")
      if (!outstanding.delete(message)) return giveUp(`socket ${index}: nobody asked for ${JSON.stringify(message)}`)
      client.completed++
      send()
    })
    socket.on("error", (error) => !closing && giveUp(`socket ${index}: ${error.message}`))
    const client = { socket, completed: 0, send }
    return client
  }
  const clients = await Promise.all(Array.from({ length: connections }, (_, index) => connect(index)))
  for (const { send } of clients) for (let i = 0; i < depth; i++) send()
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.close()
    }
  }
}
