import type * as Wire from "../Wire.ts"

/**
 * What a peer sends that carries nothing: records of TLS, each of which may cost more than
 * a request, and is answered. Neither comes to who reads or writes on the connection.
 */
export class Overhead {
  private read = 0
  private below = 0
  private waste = 0
  /** What of the answers has not left, when it was last looked at. */
  unsent = 0

  /** Looks, about once a second; says whether it is more than anybody needs. */
  look(wire: Wire.Wire): boolean {
    const below = wire.below?.()
    if (below === undefined) return false
    const { bytesRead, bytesUnsent } = wire
    const carried = (bytesRead - this.read) * mostPerByte
    this.waste = Math.max(0, this.waste + below.read - this.below - carried - often)
    this.read = bytesRead
    this.below = below.read
    // What was written counts by itself.
    this.unsent = bytesUnsent > 0 ? 0 : below.unsent
    return this.waste > most
  }
}

/** A record that carries a byte has 23, and as many more as it is padded with. */
const mostPerByte = 64

/** What may come at each look, and what beside that. A new key takes 27 bytes, and is due every 2^24 records. */
const often = 1_024
const most = 65_536
