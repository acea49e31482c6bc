/** The baseline over UDP: an echo as an expert writes it on `node:dgram`, the address not looked up for each datagram. */
import * as Dgram from "node:dgram"

const handle = (line: string): string => line

const socket = Dgram.createSocket({
  type: "udp4",
  lookup: ((host: string, _: unknown, callback: (error: null, address: string, family: number) => void) =>
    callback(null, host, 4)) as never
})
socket.on("message", (data, { address, port }) => socket.send(handle(data.toString("utf8")), port, address))
socket.bind(0, "127.0.0.1", () => console.log(`listening on udp://127.0.0.1:${socket.address().port}`))
