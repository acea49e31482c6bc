import type * as Transport from "@socketserver/core/Transport"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as os from "node:os"
import { getHeapStatistics } from "node:v8"

/** What a server may use of this machine where nobody says so. */

/** What a connection takes that does nothing, in bytes. */
export const connectionBytes = { plain: 5_120, tls: 61_440 } as const

/** What is free for a program, and how many descriptors it may have open. */
export interface Machine {
  readonly freeBytes: number
  readonly descriptors: number
}

/** The limits that follow from a machine. */
export const limitsOf = (
  { descriptors, freeBytes }: Machine,
  perConnection: number
): { readonly maxConnections: number; readonly maxMemory: number } => ({
  maxConnections: Math.max(1, Math.min(4_096, descriptors, Math.floor(freeBytes / 4 / perConnection))),
  maxMemory: Math.max(8_388_608, Math.min(268_435_456, Math.floor(freeBytes * 0.3)))
})

/** Options with the defaults that follow from this machine. */
export const bounded = <Options extends Transport.ServerOptions>(
  options: Options,
  perConnection: number = connectionBytes.plain
): Options => {
  if (options.maxConnections !== undefined && options.maxMemory !== undefined) return options
  const { maxConnections, maxMemory } = limitsOf(machine(), perConnection)
  return {
    ...options,
    maxConnections: options.maxConnections ?? maxConnections,
    maxMemory: options.maxMemory ?? maxMemory
  }
}

const machine = (): Machine => {
  const total = os.totalmem()
  const limit = process.constrainedMemory()
  // Without a limit others live on the machine, too.
  const own = limit > 0 && limit < total ? limit : Math.min(total / 2, 4_294_967_296)
  const { heap_size_limit: heap, used_heap_size: used } = getHeapStatistics()
  return { freeBytes: Math.max(0, Math.min(own - process.memoryUsage.rss(), heap - used)), descriptors: descriptors() }
}

/** How many connections the descriptors are enough for. Node has raised the limit when it started, so a shell does not know it. */
const descriptors = (): number => {
  const read = Result.try(() => ({
    soft: Number(/^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity),
    used: fs.readdirSync("/proc/self/fd").length
  }))
  if (Result.isFailure(read) || read.success.soft === Infinity) return Infinity
  const { soft, used } = read.success
  // The program has files of its own.
  return Math.max(1, soft - used - Math.min(Math.max(32, Math.ceil(soft / 20)), Math.floor(soft / 4)))
}
