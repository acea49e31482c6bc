import * as Transport from "@socketserver/core/Transport"
import * as os from "node:os"
import { getHeapStatistics } from "node:v8"
import { collectGarbage } from "./collectGarbage.ts"
import * as openFiles from "./openFiles.ts"
import { takeCopies } from "./prefork/copies.ts"

takeCopies(process.env)

/** What a server may use of this machine where nobody says so. */

/** What a connection takes that does nothing, in bytes. */
export const connectionBytes = { plain: 5_120, tls: 61_440 } as const

/** What is free for a program, and how many descriptors it may have open and has. */
export interface Machine {
  readonly freeBytes: number
  readonly descriptors: { readonly limit: number; readonly used: number }
}

/** The limits that follow from a machine. */
export const limitsOf = (
  { descriptors, freeBytes }: Machine,
  perConnection: number
): Required<Pick<Transport.Found, "maxConnections" | "connectionsBy" | "maxMemory">> => {
  const { limit, used } = descriptors
  const room = openFiles.roomFor(limit, used)
  const memory = Math.max(1, Math.floor(freeBytes / 4 / perConnection))
  const maxConnections = Math.min(4_096, room, memory)
  const connectionsBy =
    maxConnections === 4_096
      ? undefined
      : maxConnections === room
        ? `${limit} descriptors are enough for no more (ulimit -n, LimitNOFILE=)`
        : "the memory is enough for no more (MAX_CONNECTIONS overrules it)"
  return {
    maxConnections,
    connectionsBy,
    maxMemory: Math.max(8_388_608, Math.min(268_435_456, Math.floor(freeBytes * 0.3)))
  }
}

/** Options with the defaults that follow from this machine. */
export const bounded = <Options extends Transport.ServerOptions>(
  options: Options,
  perConnection: number = connectionBytes.plain
): Options =>
  Transport.withFound(options, {
    collectGarbage,
    ...(options.maxConnections === undefined || options.maxMemory === undefined
      ? limitsOf(machine(), perConnection)
      : undefined)
  })

const machine = (): Machine => {
  const total = os.totalmem()
  const limit = process.constrainedMemory()
  // Without a limit others live on the machine, too.
  const own = limit > 0 && limit < total ? limit : Math.min(total / 2, 4_294_967_296)
  const { heap_size_limit: heap, used_heap_size: used } = getHeapStatistics()
  return {
    freeBytes: Math.max(0, Math.min(own - process.memoryUsage.rss(), heap - used)),
    descriptors: { limit: openFiles.limit(), used: openFiles.used() }
  }
}
