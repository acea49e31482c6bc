import * as Effect from "effect/Effect"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { Controls } from "./controls.ts"
import { unguarded } from "./guardedWire.ts"
import type { Incoming } from "./incoming.ts"
import { Reader } from "./reading.ts"
import { RequestStream } from "./requestStream.ts"

/** A request in a worker, of a protocol that has control messages: its parent has read them, and sends those that concern it beside it. */
export class CalledStream<In, Out> extends RequestStream<In, Out> {
  private readonly controls = new Controls<unknown>()

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
  }

  onControl(payload: Uint8Array | undefined): void {
    if (payload === undefined) return this.controls.end()
    const reader = new Reader(this.context.side, "payloads")
    if (reader.read(payload, 0) === undefined) this.controls.offer(reader.messages[0], payload)
  }

  /** Its place is in the parent. */
  override awaitPeer<A, E, R>(_incoming: Incoming<In, Out>, wait: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const wire = unguarded(this.wire)
    return Effect.suspend(() => {
      wire.awaits?.(true)
      return Effect.ensuring(
        wait,
        Effect.sync(() => wire.awaits?.(false))
      )
    })
  }

  override controlled(): Controls<unknown> {
    return this.controls
  }
}
