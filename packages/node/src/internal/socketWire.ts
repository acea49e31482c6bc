import * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import * as NetAddress from "effect/net/NetAddress"
import type * as net from "node:net"

/** A socket of `node:net`, open, as a wire. Its peer is given a name where it has no address. */
export const socketWire = (socket: net.Socket, transport: string, name?: string): Wire.Wire =>
  new SocketWire(socket, name === undefined ? inetPeer(socket, transport) : Peer.make({ transport, name }))

class SocketWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly resetsOnClose = true
  private readonly socket: net.Socket

  constructor(socket: net.Socket, peer: Peer.Peer) {
    this.socket = socket
    this.peer = peer
    // Without a listener an error would end the process; `close` follows it and reports it.
    socket.on("error", noop)
  }

  get bytesRead(): number {
    return this.socket.bytesRead
  }
  get bytesWritten(): number {
    return this.socket.bytesWritten
  }

  get bytesUnsent(): number {
    // Node's buffer falls only when a whole write is done; libuv's falls with what the system takes.
    const handle = (this.socket as { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle
    return this.socket.destroyed ? 0 : (handle?.writeQueueSize ?? this.socket.writableLength)
  }

  start(receiver: Wire.Receiver): void {
    const { socket } = this
    let failure: unknown
    socket.on("data", (chunk: Buffer) => receiver.onData(chunk))
    socket.on("end", () => receiver.onEnd())
    socket.on("drain", () => receiver.onDrain())
    socket.on("finish", () => receiver.onFinish())
    socket.on("error", (error) => {
      failure = error
    })
    socket.on("close", () => receiver.onClose(failure))
  }

  write(data: string | Uint8Array): boolean {
    return this.socket.write(data)
  }
  pause(): void {
    this.socket.pause()
  }
  resume(): void {
    this.socket.resume()
  }
  end(): void {
    this.socket.end()
  }
  destroy(): void {
    this.socket.destroy()
  }
  reset(): void {
    // A Unix socket knows no reset; its peer sees one where it has written what was not read.
    if (this.peer.transport === "unix") this.socket.destroy()
    else this.socket.resetAndDestroy()
  }
}

const noop = () => {}

const inetPeer = (socket: net.Socket, transport: string): Peer.Peer => {
  const { remoteAddress, remoteFamily, remotePort } = socket
  // The peer may have left before it was looked at.
  if (remoteAddress === undefined || remotePort === undefined) return Peer.make({ transport, name: "unknown" })
  return Peer.make({
    transport,
    name: remoteFamily === "IPv6" ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`,
    address: () => NetAddress.inetAddressFromNativeUnsafe(remoteAddress, remotePort)
  })
}
