/**
 * Queries of DNS over UDP, as `dnsperf` asks them: each socket has so many outstanding, of names in turn, and asks the
 * next when one is answered. Every answer is compared: its id, its question, its code, and its address.
 */
import { addresses } from "../names.ts"
import { counting, type Open } from "./load.ts"
import { connecting } from "./udpSocket.ts"

const queries = addresses.map(([name, address]) => {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)])
  const query = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1])
  return { name, query, address: Buffer.from(address.split(".").map(Number)) }
})

export const open: Open = async ({ connections, depth, target }, giveUp) => {
  let closing = false
  const socketOf = connecting(target)
  const connect = async (index: number) => {
    const socket = await socketOf()
    let number = 0
    const outstanding = new Map<number, (typeof queries)[number]>()
    const send = () => {
      const id = number++ & 0xffff
      const asked = queries[(index * 61 + number) % queries.length]!
      outstanding.set(id, asked)
      const query = Buffer.from(asked.query)
      query.writeUInt16BE(id)
      socket.send(query)
    }
    socket.on("message", (answer) => {
      const id = answer.readUInt16BE(0)
      const asked = outstanding.get(id)
      if (asked === undefined) return giveUp(`socket ${index}: nobody asked number ${id}`)
      const end = asked.query.length
      const isRight =
        answer.readUInt16BE(2) === 0x8500 &&
        answer.readUInt32BE(4) === 0x10001 &&
        answer.compare(asked.query, 12, end, 12, end) === 0 &&
        answer.subarray(-4).equals(asked.address)
      if (!isRight) return giveUp(`socket ${index}: the answer to ${asked.name} is wrong: ${answer.toString("hex")}`)
      outstanding.delete(id)
      client.completed++
      send()
    })
    socket.on("error", (error) => !closing && giveUp(`socket ${index}: ${error.message}`))
    const client = { completed: 0, send }
    return { client, socket }
  }
  const all = await Promise.all(Array.from({ length: connections }, (_, index) => connect(index)))
  for (const { client } of all) for (let i = 0; i < depth; i++) client.send()
  return {
    ...counting(all.map(({ client }) => client)),
    close: () => {
      closing = true
      for (const { socket } of all) socket.close()
    }
  }
}
