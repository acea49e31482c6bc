import type * as Wire from "@socketserver/core/Wire"
import type * as net from "node:net"
import { mostKeys, newKeysOf } from "./newKeys.ts"

/** The wire that a socket carries, as far as its events concern that. */
interface Owner {
  probe(): void
  reset(): void
}

/** What a socket tells whoever receives from its wire; nothing but its close while it is given away. */
export class SocketEvents {
  /** Whether the socket was given away. Not initialised: few are. */
  declare isDetached: boolean | undefined
  receiver: Wire.Receiver | undefined = undefined
  private readonly wire: Owner
  private failure: unknown = undefined
  private gone = false

  constructor(wire: Owner) {
    this.wire = wire
  }

  start(socket: net.Socket, receiver: Wire.Receiver | undefined): void {
    this.receiver = receiver
    ;(socket as Telling)[key] = this
    this.listen(socket)
    socket.on("error", onError)
    this.boundKeys(socket)
    if (socket.closed) queueMicrotask(() => this.onClose())
    else socket.on("close", onClose)
  }

  /** Another socket tells from now on. */
  leave(socket: net.Socket): void {
    socket.off("error", onError).off("close", onClose)
  }

  private listen(socket: net.Socket): void {
    socket.on("data", onData)
    socket.on("end", onEnd)
    socket.on("drain", onDrain)
    socket.on("finish", onFinish)
    // They may have come while something else had it.
    if (socket.readableEnded) queueMicrotask(() => this.onEnd(socket))
    if (socket.writableFinished) queueMicrotask(() => this.receiver?.onFinish())
  }

  unlisten(socket: net.Socket): void {
    socket.off("data", onData).off("end", onEnd).off("drain", onDrain).off("finish", onFinish)
  }

  /** The socket is given away. */
  detach(socket: net.Socket): void {
    this.isDetached = true
    this.unlisten(socket)
  }

  /** Whoever had it is done with it. */
  attach(socket: net.Socket): void {
    if (this.isDetached !== true) return
    this.isDetached = false
    this.listen(socket)
  }

  /** It may have been too many before anybody had it. */
  private boundKeys(socket: net.Socket): void {
    const keys = newKeysOf(socket)
    if (keys === undefined) return
    keys.onTooMany = () => this.onTooManyKeys()
    if (keys.isTooMany) queueMicrotask(keys.onTooMany)
  }

  private onTooManyKeys(): void {
    const { receiver } = this
    if (this.gone) return
    if (receiver?.onMisuse !== undefined) return receiver.onMisuse("newKeys", mostKeys, tooManyKeys)
    this.failure = new Error(tooManyKeys)
    this.wire.reset()
  }

  onEnd(socket: net.Socket): void {
    // A reset may look like a half-close, see `presence.ts`; no answer can leave then.
    this.wire.probe()
    if (!socket.destroyed) this.receiver?.onEnd()
  }

  onError(socket: net.Socket, error: unknown): void {
    this.failure = inWords(error)
    // After an error TLS is at its end, but Node leaves the socket open.
    socket.destroy()
  }

  onClose(): void {
    if (this.gone) return
    this.gone = true
    // Whoever has it hears of it later than this, and first says how it ended.
    if (this.isDetached === true) queueMicrotask(() => this.receiver?.onClose(this.failure))
    else this.receiver?.onClose(this.failure)
  }
}

// A socket knows its events, so that all share these functions: seven for each would take half a kilobyte.
const key = Symbol("@socketserver/node/events")

type Telling = net.Socket & { [key]?: SocketEvents }

function onData(this: Telling, chunk: Buffer): void {
  this[key]?.receiver?.onData(chunk)
}

function onEnd(this: Telling): void {
  this[key]?.onEnd(this)
}

function onDrain(this: Telling): void {
  this[key]?.receiver?.onDrain()
}

function onFinish(this: Telling): void {
  this[key]?.receiver?.onFinish()
}

function onError(this: Telling, error: unknown): void {
  this[key]?.onError(this, error)
}

function onClose(this: Telling): void {
  this[key]?.onClose()
}

/** What OpenSSL says in full has a thread's number and a source's path in it, and ends with a line's end. */
const inWords = (error: unknown): unknown => {
  if (!(error instanceof Error) || !("library" in error)) return error
  const { code, reason } = error as { readonly code?: string; readonly reason?: string }
  return Object.assign(new Error(`TLS: ${reason ?? "it failed"}`, { cause: error }), { code })
}

const tooManyKeys = `TLS: the peer has taken more than ${mostKeys} new keys, and sent next to nothing with them`
