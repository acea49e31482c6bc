/** A connection for each request, as the ancestor has it: connect, ask one line, read the answer, hang up. */
import * as Net from "node:net"
import { counting, type Open } from "./load.ts"

export const open: Open = async ({ connections, target }, giveUp) => {
  let over = false
  const loop = (index: number) => {
    const client = { completed: 0 }
    // An address for each, so that none runs out of ports that are not waiting.
    const localAddress = `127.0.0.${2 + (index % 200)}`
    const again = () => {
      if (over) return
      const line = `${client.completed}`.padStart(31, "0") + "\n"
      const socket = Net.connect({ host: "127.0.0.1", port: Number(target), localAddress, noDelay: true })
      let got = ""
      socket.setEncoding("latin1").on("data", (text: string) => {
        got += text
        if (!got.endsWith("\n")) return
        if (got !== line) return giveUp(`connection ${index}: ${JSON.stringify(got)} is not ${JSON.stringify(line)}`)
        socket.end()
      })
      socket.on("error", (error) => giveUp(`connection ${index}: ${error.message}`))
      socket.on("close", () => {
        client.completed++
        again()
      })
      socket.write(line)
    }
    again()
    return client
  }
  const clients = Array.from({ length: connections }, (_, index) => loop(index))
  return { ...counting(clients), close: () => (over = true) }
}
