/** A transport without a network: the test is the peer and the system, and sees everything that is asked of the wire. */
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Peer from "@socketserver/core/Peer"
import type * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"

const utf8 = new TextEncoder()

const address = Endpoint.memory("scripted")

/**
 * A wire that does nothing of its own: the system takes what is written when
 * the test says so ({@link finish}, {@link drain}), and the peer does what the
 * test does ({@link data}, {@link half}, {@link gone}).
 */
export class Scripted implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener = address
  readonly carries = "stream" as const
  /** As TCP: what closes while the peer still sends may cost the peer the last reply. */
  readonly resetsOnClose: boolean
  bytesRead = 0
  bytesWritten = 0
  /** Of what was written, what the peer has not made room for. */
  bytesUnsent = 0
  /** Whether the next write reaches no high-water mark. */
  accepts = true
  /** Called when a write was not accepted, before it returns. */
  onFull: () => void = () => {}
  paused = false
  /** What was written and how it was closed, in order. */
  private calls: Array<string> = []
  private receiver: Wire.Receiver | undefined = undefined
  private closed = false

  constructor(options?: { readonly resetsOnClose?: boolean; readonly peer?: Peer.Peer }) {
    this.peer = options?.peer ?? Peer.make({ transport: "memory", name: "peer" })
    this.resetsOnClose = options?.resetsOnClose ?? true
  }

  /** What was asked of it since the last look. */
  asked(): ReadonlyArray<string> {
    const { calls } = this
    this.calls = []
    return calls
  }

  get started(): boolean {
    return this.receiver !== undefined
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
  }
  write(data: string | Uint8Array): boolean {
    if (this.closed) return true
    const text = typeof data === "string" ? data : new TextDecoder().decode(data)
    this.bytesWritten += text.length
    this.calls.push(text.length > 64 ? `write ${text.length}` : `write ${text.trimEnd()}`)
    if (!this.accepts) this.onFull()
    return this.accepts
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  end(): void {
    if (!this.closed) this.calls.push("end")
  }
  destroy(): void {
    this.close("destroy")
  }
  reset(): void {
    this.close("reset")
  }

  /** The peer sends. */
  data(text: string): void {
    this.bytes(utf8.encode(text))
  }
  bytes(bytes: Uint8Array): void {
    this.bytesRead += bytes.length
    this.receiver?.onData(bytes)
  }
  /** The peer half-closes. */
  half(): void {
    this.receiver?.onEnd()
  }
  /** The connection is gone, and not because the server has closed it. */
  gone(error?: unknown): void {
    if (this.closed) return
    this.closed = true
    this.receiver?.onClose(error)
  }
  /** The system has room again. */
  drain(): void {
    this.receiver?.onDrain()
  }
  /** The system has taken everything, the half-close included. */
  finish(): void {
    this.receiver?.onFinish()
  }

  private close(how: string): void {
    if (this.closed) return
    this.closed = true
    this.calls.push(how)
    queueMicrotask(() => this.receiver?.onClose(undefined))
  }
}

/** A listener that accepts, and receives, what the test brings. */
export const listener = () => {
  let sink: Transport.Sink | undefined
  const listen: Transport.Listen = (given) => {
    sink = given
    return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("scripted") })
  }
  return {
    listen,
    accept: (wire: Wire.Wire) => sink!.accept(wire),
    receive: (datagram: Wire.Datagram) => sink!.receive(datagram)
  }
}

/** Lets everything happen that is ready to, in turns of the event loop. */
export const turns = Effect.repeat(Effect.yieldNow, { times: 20 })
