/** Where a program's workers and copies find again what was made for an earlier start. */
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"

/** A folder beside the program: not where others can write, nor where nothing of it is installed. */
export const cacheFolderOf = (entry: string): string | undefined => {
  for (let at = dirname(entry); ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules"))) return join(at, "node_modules", ".cache", "socketserver")
    if (dirname(at) === at) return undefined
  }
}
