import * as Result from "effect/Result"
import * as fs from "node:fs"

/** Where a process that this one starts prints, and how this one lets go of that once it has started. */
export interface Outputs {
  readonly stdio: readonly [number | "inherit", number | "inherit"]
  readonly release: () => void
}

/**
 * What this program prints to, for a process that it starts. A pipe is opened anew. As an open file of both it would have
 * one set of flags: a process of Node that ends makes its outputs block again, as it has found them, and from then on a
 * reader that stalls holds up this program within a write.
 * https://github.com/nodejs/node/blob/main/src/node.cc (ResetStdio)
 */
export const outputs = (): Outputs => {
  const opened: Array<number> = []
  const anew = (fd: number): number | "inherit" => {
    const found = Result.try(() => {
      if (!fs.fstatSync(fd).isFIFO()) return "inherit"
      const { O_APPEND, O_NONBLOCK, O_WRONLY } = fs.constants
      const own = fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_APPEND | O_NONBLOCK)
      opened.push(own)
      return own
    })
    // Closed, of another user, or of a system that does not show it.
    return Result.getOrElse(found, () => "inherit" as const)
  }
  const stdio = [anew(1), anew(2)] as const
  return {
    stdio,
    release: () => {
      for (const fd of opened) fs.closeSync(fd)
    }
  }
}
