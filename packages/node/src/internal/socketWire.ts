import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import { acknowledged, socketOf, type Unacknowledged } from "./acknowledged.ts"
import { hold } from "./readStop.ts"
import { mostKeys, newKeysOf } from "./newKeys.ts"
import { introduce } from "./peers.ts"
import { isGone, isStuck, queueOf, reset, takenOf } from "./presence.ts"
import { resetSocket } from "./resetting.ts"

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
  private receiver: Wire.Receiver | undefined = undefined
  private failure: unknown = undefined
  private gone = false
  /** Whether it was given away. Not initialised: few are. */
  declare private isDetached: boolean | undefined
  /** What was moved before an upgrade. */
  private readBefore = 0
  private writtenBefore = 0
  /** What was written when TLS was seen to be stuck. Not initialised: few connections ever are. */
  declare private stuckAt: number | undefined
  declare private takenBefore: number | undefined
  /** Of a peer that seems not to read; null where nothing tells it. */
  declare private unacknowledged: Unacknowledged | null | undefined

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

  private get isInet(): boolean {
    return this.listener._tag !== "Unix" && this.raw.remoteFamily !== undefined
  }

  get isEncrypted(): boolean {
    return this.socket !== this.raw
  }

  get begun(): boolean {
    return this.raw.bytesRead > 0
  }

  get bytesRead(): number {
    return this.readBefore + this.socket.bytesRead
  }
  get bytesWritten(): number {
    return this.writtenBefore + this.socket.bytesWritten
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

  /** It grows with what the peer acknowledges, too, where it was the same when it was last asked for. */
  get bytesTaken(): number | undefined {
    const { raw, unacknowledged } = this
    const taken = takenOf(raw)
    const isSame = taken === this.takenBefore
    this.takenBefore = taken
    if (taken === undefined || (unacknowledged === undefined && !isSame)) return taken
    const asked = (this.unacknowledged ??= raw.destroyed ? null : (socketOf(raw) ?? null))
    if (asked === null) return taken
    if (isSame) acknowledged.ask(asked)
    return taken + (asked.first ?? 0) - asked.last
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    const { socket } = this
    this.listen()
    socket.on("error", this.onError)
    this.boundKeys()
    if (socket.closed) queueMicrotask(this.onClose)
    else socket.on("close", this.onClose)
  }

  /** It may have been too many before anybody had it. */
  private boundKeys(): void {
    const keys = newKeysOf(this.socket)
    if (keys === undefined) return
    keys.onTooMany = this.onTooManyKeys
    if (keys.isTooMany) queueMicrotask(this.onTooManyKeys)
  }

  /**
   * Node reads ahead of whoever listens, and its own `pause` lets it. Not of what TLS has
   * made of a socket: that has been read by then.
   */
  hold(): () => void {
    return hold(this.raw)
  }

  private listen(): void {
    const { socket } = this
    socket.on("data", this.onData)
    socket.on("end", this.onEnd)
    socket.on("drain", this.onDrain)
    socket.on("finish", this.onFinish)
    // They may have come while something else had it.
    if (socket.readableEnded) queueMicrotask(this.onEnd)
    if (socket.writableFinished) queueMicrotask(this.onFinish)
  }

  private unlisten(socket: net.Socket): void {
    socket.off("data", this.onData).off("end", this.onEnd).off("drain", this.onDrain).off("finish", this.onFinish)
  }

  detach(unread: ReadonlyArray<Uint8Array>): net.Socket {
    const { peer, socket } = this
    this.isDetached = true
    this.unlisten(socket)
    socket.pause()
    // Nothing can be put back behind an end that was told, and whoever has it now has not heard of it.
    if (socket.readableEnded) Object.assign((socket as Stateful)._readableState, { endEmitted: false })
    for (let i = unread.length - 1; i >= 0; i--) socket.unshift(unread[i])
    introduce(socket, peer)
    return socket
  }

  /** Whoever had it is done with it. */
  private attach(): void {
    if (this.isDetached !== true) return
    this.isDetached = false
    this.listen()
  }

  /** Puts another socket over this one, between two bytes. If it fails, the connection is gone. */
  upgrade<E>(secure: (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, E>): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      const { raw, receiver } = this
      this.readBefore = raw.bytesRead
      this.writtenBefore = raw.bytesWritten
      raw.pause()
      this.unlisten(raw)
      return Effect.map(secure(raw, this.peer), ({ peer, socket }) => {
        raw.off("error", this.onError).off("close", this.onClose)
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
    if (this.isDetached !== true) this.socket.pause()
  }
  resume(): void {
    if (this.isDetached !== true) this.socket.resume()
  }
  end(): void {
    this.attach()
    this.socket.end()
  }
  destroy(): void {
    this.socket.destroy()
  }
  reset(): void {
    const { raw, socket } = this
    // Only TCP knows a reset. A Unix socket's peer sees one where it has written what was not read.
    // TLS has none of its own, and its socket throws: the one below is reset.
    if (this.isInet) resetSocket(socket, raw)
    else socket.destroy()
  }

  private readonly onData = (chunk: Buffer): void => this.receiver?.onData(chunk)
  private readonly onTooManyKeys = (): void => {
    const { receiver } = this
    if (this.gone) return
    if (receiver?.onMisuse !== undefined) return receiver.onMisuse("newKeys", mostKeys, tooManyKeys)
    this.failure = new Error(tooManyKeys)
    this.reset()
  }
  private readonly onEnd = (): void => {
    // A reset may look like a half-close, see `presence.ts`; no answer can leave then.
    this.probe()
    if (!this.socket.destroyed) this.receiver?.onEnd()
  }
  private readonly onDrain = (): void => this.receiver?.onDrain()
  private readonly onFinish = (): void => this.receiver?.onFinish()
  private readonly onError = (error: unknown): void => {
    this.failure = inWords(error)
    // After an error TLS is at its end, but Node leaves the socket open.
    this.socket.destroy()
  }
  private readonly onClose = (): void => {
    if (this.gone) return
    this.gone = true
    // Whoever has it hears of it later than this, and first says how it ended.
    if (this.isDetached === true) queueMicrotask(() => this.receiver?.onClose(this.failure))
    else this.receiver?.onClose(this.failure)
  }
}

/** What OpenSSL says in full has a thread's number and a source's path in it, and ends with a line's end. */
const inWords = (error: unknown): unknown => {
  if (!(error instanceof Error) || !("library" in error)) return error
  const { code, reason } = error as { readonly code?: string; readonly reason?: string }
  return Object.assign(new Error(`TLS: ${reason ?? "it failed"}`, { cause: error }), { code })
}

/** The part of Node's streams that is not documented. */
type Stateful = net.Socket & { readonly _readableState: object }

const tooManyKeys = `TLS: the peer has taken more than ${mostKeys} new keys, and sent next to nothing with them`

const noop = () => {}
