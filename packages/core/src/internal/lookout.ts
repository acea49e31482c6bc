import type { Connections } from "./connections.ts"
import type { ServerContext } from "./context.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * Looks after connections that are not read: a platform may not say of them
 * that the peer is gone, since it would say so to a read. While there are any,
 * each is looked at once a second; while there is none, nothing happens.
 */
export class Lookout<In, Out> {
  private readonly context: Pick<ServerContext<In, Out>, "after" | "afterTick">
  private readonly connections: Connections<ServerConnection<In, Out>>
  private state: "idle" | "armed" | "ended" = "idle"
  private cancel: () => void = () => {}

  constructor(
    context: Pick<ServerContext<In, Out>, "after" | "afterTick">,
    connections: Connections<ServerConnection<In, Out>>
  ) {
    this.context = context
    this.connections = connections
  }

  /** There is one that is not read. */
  arm(): void {
    if (this.state !== "idle") return
    this.state = "armed"
    this.cancel = this.context.after(everyMillis, () => this.look(this.connections.values(), false))
  }

  /** The server has stopped. */
  end(): void {
    this.state = "ended"
    this.cancel()
  }

  /** Looks at as many as a turn of the event loop should have, then at the others. */
  private look(rest: Iterator<ServerConnection<In, Out>>, found: boolean): void {
    let looked = 0
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      if (this.state === "ended") return
      const { isUnread, wire } = next.value
      // Of the others events say it all, and virtual time need not pass for them.
      if (!isUnread || wire.probe === undefined) continue
      found = true
      wire.probe()
      if (++looked === perTurn) return this.context.afterTick(() => this.look(rest, found))
    }
    if (this.state === "ended") return
    this.state = "idle"
    if (found) this.arm()
  }
}

const everyMillis = 1_000

// Of sockets, some 0.2 ms.
const perTurn = 256
