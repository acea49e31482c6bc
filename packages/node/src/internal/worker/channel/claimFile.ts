/** Claims between processes: their cells in a file that both have open. Threads share memory instead. */
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as os from "node:os"
import { join } from "node:path"
import { bytesOf, type Cells, cellBytes } from "./claims.ts"

/**
 * Cells in a file, for processes, which share no memory in Node. It is never
 * read from a disk: it has no name, and lives in the system's cache.
 */
export const fileCells = (descriptor: number): Cells => {
  const one = Buffer.alloc(cellBytes)
  return {
    read: (index) => {
      const bytes = fs.readSync(descriptor, one, 0, cellBytes, index * cellBytes)
      return bytes === cellBytes ? one.readUInt32LE(0) : 0
    },
    write: (index, value) => {
      one.writeUInt32LE(value, 0)
      fs.writeSync(descriptor, one, 0, cellBytes, index * cellBytes)
    }
  }
}

/** Opens a file for {@link fileCells}, if the system has a place for it; otherwise all calls begin as they come, and none is given ahead. */
export const openFile = (slots: number): number | undefined => {
  // Windows keeps the name of a file that is open.
  if (slots === 0 || process.platform === "win32") return undefined
  for (const directory of ["/dev/shm", os.tmpdir()]) {
    const path = join(directory, `socketserver-${process.pid}-${crypto.randomUUID()}`)
    const opened = Result.try(() => fs.openSync(path, "wx+", 0o600))
    if (Result.isFailure(opened)) continue
    const descriptor = opened.success
    const made = Result.try(() => {
      fs.unlinkSync(path)
      // Its space is taken now, so that nothing can be missing later.
      fs.writeSync(descriptor, Buffer.alloc(bytesOf(slots)))
    })
    if (Result.isSuccess(made)) return descriptor
    fs.closeSync(descriptor)
  }
  return undefined
}
