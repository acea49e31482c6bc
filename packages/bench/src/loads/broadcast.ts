/** What one says, all hear: a line goes out when all have heard the one before. A delivery is what is counted. */
import { once } from "node:events"
import * as Net from "node:net"
import { counting, type Open } from "./load.ts"

const line = (number: number) => Buffer.from(`${number}`.padStart(31, "0") + "\n")

export const open: Open = async ({ connections, target }, giveUp) => {
  let closing = false
  let number = 0
  let missing = 0
  let expected = line(0)
  const publish = () => {
    missing = clients.length
    expected = line(number++)
    clients[0]!.socket.write(expected)
  }
  const connect = async (index: number) => {
    let got = 0
    const client = {
      completed: 0,
      socket: Net.connect({
        host: "127.0.0.1",
        port: Number(target),
        noDelay: true,
        onread: {
          buffer: new Uint8Array(1024),
          callback: (length: number, bytes: Uint8Array) => {
            if (closing) return true
            if (got + length > expected.length || expected.compare(bytes, 0, length, got, got + length) !== 0) {
              giveUp(
                `connection ${index}: ${JSON.stringify(Buffer.from(bytes).toString("latin1", 0, length))} is wrong`
              )
              return false
            }
            got += length
            if (got < expected.length) return true
            got = 0
            client.completed++
            if (--missing === 0) publish()
            return true
          }
        }
      })
    }
    client.socket.on("error", (error) => !closing && giveUp(`connection ${index}: ${error.message}`))
    await once(client.socket, "connect")
    return client
  }
  const clients: Array<Awaited<ReturnType<typeof connect>>> = []
  for (let i = 0; i < connections; i += 200) {
    clients.push(
      ...(await Promise.all(Array.from({ length: Math.min(200, connections - i) }, (_, j) => connect(i + j))))
    )
  }
  // Until the server has taken them all: a connection that it does not know yet hears nothing.
  await new Promise((resolve) => setTimeout(resolve, 200))
  publish()
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.destroy()
    }
  }
}
