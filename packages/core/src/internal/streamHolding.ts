import { Holding } from "./holding.ts"
import type { StreamConnection } from "./streamConnection.ts"

/** What a connection of bytes holds, which goes on as soon as it may. */
export abstract class StreamHolding<In, Out> extends Holding<In, Out> {
  declare protected readonly on: StreamConnection<In, Out>

  goOn(): void {
    this.on.progress()
  }

  /** Nothing of it begins any more. */
  override evict(): void {
    this.on.closing.enter("shut")
    super.evict()
  }
}
