/**
 * The load generator for datagrams, a process of its own: `loadUdp.ts <port> <sockets> <depth> <seconds to live>`.
 *
 * Closed loop: each socket keeps `depth` datagrams outstanding and sends a new one for each that was answered. Each
 * has a number; a reply that was not asked for, or came twice, is an error. One that is lost leaves a place empty
 * for good, so a server that loses all of a socket's starves it, which is an error too.
 */
import * as Dgram from "node:dgram"
import { type LoadMessage, Window } from "./window.ts"

const [port = 0, sockets = 1, depth = 1, lifetime = 60] = process.argv.slice(2).map(Number)

const window = new Window()

const say = (message: LoadMessage, then?: () => void) => process.send?.(message, undefined, undefined, then)

const giveUp = (reason: string) => {
  for (const { socket } of clients) socket.close()
  say({ tag: "broken", reason }, () => process.exit(1))
}

const text = (index: number, number: number): string => `${index}`.padStart(4, "0") + `${number}`.padStart(27, ".")

const connect = (index: number) => {
  let number = 0
  /** What was sent and not answered, and when. */
  const outstanding = new Map<string, number>()
  const send = () => {
    const message = text(index, number++)
    outstanding.set(message, performance.now())
    socket.send(message)
  }
  const socket = Dgram.createSocket("udp4")
  socket.on("message", (data) => {
    const message = data.toString("latin1")
    const sentAt = outstanding.get(message)
    if (sentAt === undefined) return giveUp(`socket ${index}: nobody asked for ${JSON.stringify(message)}`)
    outstanding.delete(message)
    window.sample(performance.now() - sentAt)
    client.completed++
    send()
  })
  socket.on("error", (error) => giveUp(`socket ${index}: ${error.message}`))
  socket.connect(port, "127.0.0.1", () => {
    if (++connected < sockets) return
    for (const { open } of clients) open()
    say({ tag: "connected" })
  })
  const open = () => {
    for (let i = 0; i < depth; i++) send()
  }
  const client = { socket, completed: 0, open }
  return client
}

let connected = 0
const clients = Array.from({ length: sockets }, (_, index) => connect(index))

const begin = () => {
  window.begin(clients)
  say({ tag: "began" })
}

const end = () => {
  const report = window.end(clients)
  if (typeof report === "string") return giveUp(report)
  say({ tag: "report", report }, () => process.exit())
}

process.on("message", (message) => (message === "begin" ? begin() : end()))
process.on("disconnect", () => process.exit())
setTimeout(() => giveUp(`not finished after ${lifetime} s`), lifetime * 1000).unref()
