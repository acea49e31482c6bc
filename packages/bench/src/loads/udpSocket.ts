/** A socket of UDP, as loads of datagrams have it. */
import * as Dgram from "node:dgram"
import { once } from "node:events"

let loads = 0

/**
 * How a load opens its sockets: from an address of the loopback network that no other load of this process has. What a
 * server has left to answer when a load ends would come to whoever has the port of its socket next.
 */
export const connecting = (target: string): (() => Promise<Dgram.Socket>) => {
  const host = `127.${1 + (loads >> 16)}.${(loads >> 8) & 255}.${loads++ & 255}`
  return async () => {
    const socket = Dgram.createSocket("udp4")
    socket.bind(0, host)
    await once(socket, "listening")
    socket.connect(Number(target), "127.0.0.1")
    await once(socket, "connect")
    return socket
  }
}
