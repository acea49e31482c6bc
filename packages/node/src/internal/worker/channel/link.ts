/** Bytes both ways between a parent and a worker, whatever carries them. `nodeLinks.ts` has those of Node. */
export interface Link {
  readonly start: (receiver: { readonly onBytes: (chunk: Uint8Array) => void; readonly onEnd: () => void }) => void
  readonly send: (parts: Array<Uint8Array>, bytes: number) => void
  /** Calls back when all that was sent is the system's to deliver; at once, if it is already. */
  readonly whenSent: (sent: () => void) => void
  readonly close: () => void
}
