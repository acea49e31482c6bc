import type * as Transport from "@socketserver/core/Transport"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import type * as net from "node:net"

/**
 * How many files this process may have open, sockets among them. Where there is
 * no other left, the system's library closes whoever comes next and tells nobody:
 * so the last ones are not for peers.
 *
 * A new descriptor is the lowest that is free (POSIX), so the number of one says
 * how many are in use, whoever uses them.
 */

/** Of so many, those that are kept for files, for starts of workers, and to turn peers away with. */
export const reserveOf = (limit: number): number => Math.max(8, Math.min(32, Math.floor(limit / 8)))

/** The limit of this process, `Infinity` where none is known. Node raises it at its start, so a shell does not know it. */
export const limit = (): number => {
  const read = Result.try(() => fs.readFileSync("/proc/self/limits", "utf8"))
  const soft = Result.isSuccess(read) ? /^Max open files\s+(\d+)/m.exec(read.success)?.[1] : reported()
  return Number(soft ?? Infinity)
}

/** What Node's diagnostic report says, which takes it a millisecond. */
const reported = (): unknown => {
  if (process.platform === "win32") return undefined
  const made = Result.try(() => {
    const report = process.report as typeof process.report & { excludeNetwork: boolean }
    // What it would look up by name is not asked for.
    report.excludeNetwork = true
    return (report.getReport() as ReportWithLimits).userLimits?.open_files?.soft
  })
  const soft = Result.getOrUndefined(made)
  return typeof soft === "number" ? soft : undefined
}

interface ReportWithLimits {
  readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } }
}

/** How many are open, as far as is known. */
export const used = (): number =>
  Result.getOrElse(
    Result.try(() => fs.readdirSync(process.platform === "linux" ? "/proc/self/fd" : "/dev/fd").length),
    () => 0
  )

/** How many connections there is room for. */
export const roomFor = (limit: number, used: number): number =>
  limit === Infinity ? Infinity : Math.max(1, limit - used - reserveOf(limit))

/** The first descriptor that is not for a peer, and what is said of it. Read when somebody comes to it, since the limit may be changed. */
let top = 0
let scarcity: Transport.Scarcity | undefined
let lookedAt = -Infinity

/** What is said where a peer's descriptor is one of the last. */
export const scarcityOf = (socket: net.Socket): Transport.Scarcity | undefined => {
  // Where Node shows no number, nothing is known.
  const fd = (socket as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1
  return fd < top ? undefined : lookAt(fd)
}

const lookAt = (fd: number): Transport.Scarcity | undefined => {
  const now = performance.now()
  if (now - lookedAt > 1_000) {
    lookedAt = now
    const all = limit()
    // Others may have taken the very last ones, so that nothing can be read: what was known holds.
    if (all !== Infinity || scarcity === undefined) {
      top = all === Infinity ? Infinity : all - reserveOf(all)
      scarcity = {
        of: "descriptors",
        limit: `${all}, the last ${reserveOf(all)} of them for files and workers; more: ulimit -n, LimitNOFILE=`
      }
    }
  }
  return fd < top ? undefined : scarcity
}
