/** A thread of 16 peers: told a number, they send so many requests, over UDP or each on a connection of its own. */
import * as Dgram from "node:dgram"
import * as Net from "node:net"
import { parentPort, workerData } from "node:worker_threads"

const peers = 16
const line = Buffer.from("x".repeat(31) + "\n")
const url = new URL(workerData as string)

let left = 0
let under = 0

const ended = () => {
  under--
  if (left > 0) begin()
  else if (under === 0) parentPort!.postMessage("done")
}

const udp = url.protocol === "udp:" ? Dgram.createSocket("udp4").on("message", ended) : undefined

const request =
  udp === undefined
    ? () => {
        const socket = Net.connect(url.pathname)
        socket.on("data", () => socket.end())
        socket.on("close", ended)
        socket.write(line)
      }
    : () => udp.send(line, Number(url.port), url.hostname)

function begin(): void {
  left--
  under++
  request()
}

parentPort!.on("message", (count: number) => {
  left = count
  for (let peer = 0; peer < peers; peer++) begin()
})
