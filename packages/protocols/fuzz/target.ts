/** What `pnpm fuzz` throws at a decoder, and what must hold whatever is thrown. A file here for each, whose `target` it is. */
import type { Random } from "../../core/src/internal/random.ts"

export interface Target {
  /** As in `pnpm fuzz --only NAME`. */
  readonly name: string
  /** Well-formed inputs: two thirds of what is thrown are these, changed. */
  readonly seeds: ReadonlyArray<Uint8Array>
  /** Looks what becomes of an input. It throws where that is not right: a crash, another result in pieces, a misreading. */
  readonly check: (input: Uint8Array, random: Random) => void
}
