import type * as Effect from "effect/Effect"
import type * as Wire from "../Wire.ts"

export const relayKey = Symbol.for("@socketserver/core/Connection/relay")

/** How the input of a connection ends: the peer has ended it, or the server stops and reads no more, within a message or not. */
export type InputEnd = "ended" | "stopped"

/** A connection as bytes, seen from whoever passes them on. */
export interface Relay {
  /** Whether the chunks are pieces of a stream, or datagrams. */
  readonly carries: Wire.Wire["carries"]
  /** Begins to deliver what the peer sends, what has already arrived first. */
  readonly start: (receiver: {
    readonly onData: (chunk: Uint8Array) => void
    readonly onEnd: (how: InputEnd) => void
    /** The server stops, and what the peer sends is delivered all the same. Called where the protocol says `atStop: "told"`. */
    readonly onStop?: (() => void) | undefined
  }) => void
  /** Sends bytes. Waits while the peer does not read. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void>
  /** Reads on, or stops reading, which slows the peer down. */
  readonly read: (reading: boolean) => void
  /** Half-closes. */
  readonly end: () => void
  /** Breaks it off. */
  readonly reset: () => void
}
