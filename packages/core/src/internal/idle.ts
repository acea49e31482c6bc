import type { ServerContext } from "./context.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** Closes connections that have been silent for too long, until the returned function is called. */
export const sweepIdle = <In, Out>(
  context: ServerContext<In, Out>,
  connections: ReadonlyMap<number, ServerConnection<In, Out>>
): (() => void) => {
  const { idleMillis } = context.limits
  let cancel = () => {}
  const sweep = () => {
    cancel = context.after(Math.max(1, idleMillis / 4), () => {
      const before = context.now() - idleMillis
      for (const connection of connections.values()) {
        // A connection that is one request always has one, which does not count.
        if (connection.inFlight > 0 && context.protocol.kind === "messages") continue
        if (!connection.activeSince(before)) context.run(connection.close)
      }
      sweep()
    })
  }
  sweep()
  return () => cancel()
}
