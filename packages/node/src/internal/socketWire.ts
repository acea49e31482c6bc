import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import type * as net from "node:net"

/** A socket of `node:net` or `node:tls`, open, as a wire. */
export class SocketWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly keepsBoundaries = false
  readonly resetsOnClose = true
  private readonly socket: net.Socket

  constructor(socket: net.Socket, peer: Peer.Peer, listener: Endpoint.Endpoint) {
    this.socket = socket
    this.peer = peer
    this.listener = listener
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
    // Only TCP knows a reset. A Unix socket's peer sees one where it has written what was not read.
    if (this.peer.transport === "tcp") this.socket.resetAndDestroy()
    else this.socket.destroy()
  }
}

const noop = () => {}
