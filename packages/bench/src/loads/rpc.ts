/**
 * Calls of Effect's RPC over ndjson, over connections that are kept.
 *
 * Closed loop: each connection keeps `depth` calls outstanding, each under an id of its own, and asks anew under an id once
 * that is answered. What comes back has to be the one right answer to a call that is outstanding.
 */
import * as Net from "node:net"
import { counting, type Open } from "./load.ts"

export const open: Open = async ({ connections, depth, target, transport }, giveUp) => {
  let closing = false
  const calls = Array.from({ length: depth }, (_, id) => {
    const payload = { a: id, b: 1_000 }
    return `${JSON.stringify({ _tag: "Request", id, tag: "Add", payload, headers: [] })}\n`
  })
  const answers = new Map(
    calls.map((_, id) => {
      const exit = { _tag: "Success", value: id + 1_000 }
      return [JSON.stringify({ _tag: "Exit", requestId: id, exit }), id] as const
    })
  )
  const connect = (index: number) =>
    new Promise<{ readonly socket: Net.Socket; completed: number }>((resolve, reject) => {
      const where = transport === "unix" ? { path: target } : { host: "127.0.0.1", port: Number(target) }
      const socket = Net.connect({ ...where, noDelay: true })
      const client = { socket, completed: 0 }
      const outstanding = new Set<number>()
      let rest = ""
      const fail = (reason: string) => {
        if (closing) return
        socket.destroy()
        giveUp(`connection ${index}: ${reason}`)
        reject(new Error(reason))
      }
      const ask = (ids: ReadonlyArray<number>) => {
        for (const id of ids) outstanding.add(id)
        socket.write(ids.map((id) => calls[id]).join(""))
      }
      socket.setEncoding("latin1").on("data", (text: string) => {
        const lines = (rest + text).split("\n")
        rest = lines.pop() ?? ""
        const answered: Array<number> = []
        for (const line of lines) {
          const id = answers.get(line)
          if (id === undefined || !outstanding.delete(id)) return fail(`${JSON.stringify(line.slice(0, 80))} is wrong`)
          answered.push(id)
        }
        client.completed += answered.length
        if (answered.length > 0) ask(answered)
      })
      socket.once("connect", () => {
        resolve(client)
        ask(calls.map((_, id) => id))
      })
      socket.on("error", (error) => fail(error.message))
      socket.once("end", () => fail("the server closed it"))
    })
  const clients = await Promise.all(Array.from({ length: connections }, (_, index) => connect(index)))
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.destroy()
    }
  }
}
