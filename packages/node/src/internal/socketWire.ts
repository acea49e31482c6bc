import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import { introduce } from "./peers.ts"
import { isGone, isStuck, queueOf, reset } from "./presence.ts"
import { hold } from "./readStop.ts"
import { resetSocket } from "./resetting.ts"
import { SocketEvents } from "./socketEvents.ts"
import { Uptake } from "./uptake.ts"

/** What a handshake has made of a socket. */
export interface Secured {
  readonly socket: net.Socket
  readonly peer: Peer.Peer
}

/** A socket of `node:net` or `node:tls`, open, as a wire. */
export class SocketWire implements Wire.Wire {
  peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly carries = "stream"
  readonly resetsOnClose = true
  private socket: net.Socket
  /** The socket below a TLS one, otherwise the same. */
  private readonly raw: net.Socket
  private readonly events = new SocketEvents(this)
  /** What was moved before an upgrade. */
  private before = nothing
  /** What was written when TLS was seen to be stuck. Not initialised: few connections ever are. */
  declare private stuckAt: number | undefined
  /** Of those who have been asked for it. */
  declare private uptake: Uptake | undefined

  constructor(socket: net.Socket, peer: Peer.Peer, listener: Endpoint.Endpoint, raw: net.Socket = socket) {
    this.socket = socket
    this.raw = raw
    this.peer = peer
    this.listener = listener
    // Without a listener an error would end the process; `close` follows it and
    // reports it. After a reset an error follows `close`, on either of them.
    socket.on("error", noop)
    if (raw !== socket) raw.on("error", noop)
  }

  get isEncrypted(): boolean {
    return this.socket !== this.raw
  }

  get begun(): boolean {
    return this.raw.bytesRead > 0
  }

  get bytesRead(): number {
    return this.before.read + this.socket.bytesRead
  }
  get bytesWritten(): number {
    return this.before.written + this.socket.bytesWritten
  }

  get bytesUnsent(): number {
    const { raw, socket } = this
    // Node's own buffer says that all has left, and costs next to nothing to ask.
    if (socket.writableLength === 0 || socket.destroyed) return 0
    // Node's buffer falls only when a whole write is done; libuv's falls with what the system takes.
    const queued = queueOf(socket)
    if (raw === socket) return queued ?? socket.writableLength
    // What TLS has encrypted counts until all of it has left, and what of it
    // is in libuv's queue twice: it falls all the same.
    const encrypted = (queued ?? 0) + (queueOf(raw) ?? 0)
    return encrypted > 0 ? encrypted : socket.writableLength
  }

  get bytesTaken(): number | undefined {
    return (this.uptake ??= new Uptake(this.raw)).bytes()
  }

  start(receiver: Wire.Receiver): void {
    this.events.start(this.socket, receiver)
  }

  /**
   * Node reads ahead of whoever listens, and its own `pause` lets it. Not of what TLS has
   * made of a socket: that has been read by then.
   */
  hold(): () => void {
    return hold(this.raw)
  }

  detach(unread: ReadonlyArray<Uint8Array>): net.Socket {
    const { peer, socket } = this
    this.events.detach(socket)
    socket.pause()
    // Nothing can be put back behind an end that was told, and whoever has it now has not heard of it.
    if (socket.readableEnded) Object.assign((socket as Stateful)._readableState, { endEmitted: false })
    for (let i = unread.length - 1; i >= 0; i--) socket.unshift(unread[i])
    introduce(socket, peer)
    return socket
  }

  /** Puts another socket over this one, between two bytes. If it fails, the connection is gone. */
  upgrade<E>(secure: (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, E>): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const { events, raw } = this
      const { receiver } = events
      this.before = { read: raw.bytesRead, written: raw.bytesWritten }
      raw.pause()
      events.unlisten(raw)
      return Effect.map(secure(raw, this.peer), ({ peer, socket }) => {
        events.leave(raw)
        this.socket = socket
        this.peer = peer
        socket.on("error", noop)
        if (receiver !== undefined) this.start(receiver)
      })
    })
  }

  /** Sends what was written and closes; a peer that does not read is given a second. */
  leave(): void {
    const { socket } = this
    socket.destroySoon()
    // Also where the peer is gone: with a write pending, TLS may never say so.
    const timer = setTimeout(() => this.reset(), 1_000).unref()
    socket.once("close", () => clearTimeout(timer))
  }

  probe(): void {
    const { raw, socket } = this
    // Once both sides have half-closed the connection is over for the system,
    // and what the peer has sent before may still be to be read.
    if (socket.destroyed || socket.writableFinished) return
    const gone = isGone(raw)
    if (gone === true) socket.destroy(reset())
    // Where the system is not asked, it takes two looks that see the same.
    if (gone !== undefined || raw === socket) return
    const stuckAt = isStuck(socket, raw) ? socket.bytesWritten : undefined
    if (stuckAt !== undefined && stuckAt === this.stuckAt) socket.destroy(reset())
    this.stuckAt = stuckAt
  }

  write(data: string | Uint8Array): boolean {
    return this.socket.write(data)
  }
  pause(): void {
    if (this.events.isDetached !== true) this.socket.pause()
  }
  resume(): void {
    if (this.events.isDetached !== true) this.socket.resume()
  }
  end(): void {
    this.events.attach(this.socket)
    this.socket.end()
  }
  destroy(): void {
    this.socket.destroy()
  }
  reset(): void {
    const { listener, raw, socket } = this
    // Only TCP knows a reset. A Unix socket's peer sees one where it has written what was not read.
    // TLS has none of its own, and its socket throws: the one below is reset.
    if (listener._tag !== "Unix" && raw.remoteFamily !== undefined) resetSocket(socket, raw)
    else socket.destroy()
  }
}

/** The part of Node's streams that is not documented. */
type Stateful = net.Socket & { readonly _readableState: object }

const nothing = { read: 0, written: 0 }

const noop = () => {}
