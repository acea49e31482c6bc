import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import type { Tick } from "./tick.ts"
import type { Troubles } from "./troubles.ts"

/**
 * A transport's wire as the engine holds it: one that throws is one that is gone,
 * and the error is its connection's alone.
 */
export class GuardedWire implements Wire.Wire {
  readonly inner: Wire.Wire
  private readonly context: { readonly tick: Tick; readonly troubles: Troubles }
  private receiver: Wire.Receiver | undefined = undefined
  private broken = false

  constructor(inner: Wire.Wire, context: { readonly tick: Tick; readonly troubles: Troubles }) {
    this.inner = inner
    this.context = context
  }

  get peer(): Peer.Peer {
    return this.inner.peer
  }
  get listener(): Endpoint.Endpoint {
    return this.inner.listener
  }
  get carries(): Wire.Wire["carries"] {
    return this.inner.carries
  }
  get maxMessageBytes(): number | undefined {
    return this.inner.maxMessageBytes
  }
  get bytesRead(): number {
    return this.inner.bytesRead
  }
  get bytesWritten(): number {
    return this.inner.bytesWritten
  }
  get bytesTaken(): number | undefined {
    return this.inner.bytesTaken
  }
  get resetsOnClose(): boolean {
    return this.inner.resetsOnClose
  }

  get bytesUnsent(): number {
    // oxlint-disable-next-line socketserver/no-try -- as below
    try {
      return this.broken ? 0 : this.inner.bytesUnsent
    } catch (error) {
      this.breaks(error)
      return 0
    }
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    // oxlint-disable-next-line socketserver/no-try -- as below
    try {
      this.inner.start(receiver)
    } catch (error) {
      this.breaks(error)
    }
  }

  write(data: string | Uint8Array): boolean {
    // oxlint-disable-next-line socketserver/no-try -- a transport is foreign code, and what it throws must not reach the event loop; on the hot path of a reply (`pnpm bench`, "1 outstanding") without a closure
    try {
      return this.broken || this.inner.write(data)
    } catch (error) {
      this.breaks(error)
      return true
    }
  }

  pause(): void {
    this.call("pause")
  }
  resume(): void {
    this.call("resume")
  }
  /** Only where the transport has one: nobody looks at the others. */
  get probe(): (() => void) | undefined {
    return this.inner.probe === undefined ? undefined : () => this.call("probe")
  }
  end(): void {
    this.call("end")
  }
  destroy(): void {
    this.call("destroy")
  }
  reset(): void {
    this.call("reset")
  }

  private call(method: "pause" | "resume" | "probe" | "end" | "destroy" | "reset"): void {
    if (this.broken) return
    // oxlint-disable-next-line socketserver/no-try -- as above
    try {
      this.inner[method]?.()
    } catch (error) {
      this.breaks(error)
    }
  }

  private breaks(error: unknown): void {
    if (this.broken) return
    this.broken = true
    const { inner, receiver } = this
    const { tick, troubles } = this.context
    troubles.note(`the wire of ${inner.listener} failed`, error)
    troubles.attempt(`the wire of ${inner.listener} cannot be closed`, () => inner.destroy())
    // Nothing is told from inside a call.
    tick.soon(() => tick.run(() => receiver?.onClose(error)))
  }
}

/** The transport's own wire, for what only the transport can do with it. */
export const unguarded = (wire: Wire.Wire): Wire.Wire => (wire instanceof GuardedWire ? wire.inner : wire)
