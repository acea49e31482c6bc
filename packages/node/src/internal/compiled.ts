/**
 * What Node keeps of the code that it has compiled: a worker or a copy, which is
 * this program once more, takes much less CPU to start.
 */
import { basename, join } from "node:path"
import { cacheFolderOf } from "./cacheFolder.ts"

const variable = "NODE_COMPILE_CACHE"
const name = "compiled"

/** Where somebody has said it is, or has said that there is none; and coverage is not exact with it. */
const decided = [variable, "NODE_DISABLE_COMPILE_CACHE", "NODE_V8_COVERAGE"]

/** What the environment of a program is given in addition that is started once more. Where it cannot be written, Node goes without. */
export const compiledOf = (entry: string | undefined, env: NodeJS.ProcessEnv = process.env): Record<string, string> => {
  if (entry === undefined || decided.some((one) => env[one] !== undefined)) return {}
  const folder = cacheFolderOf(entry)
  return folder === undefined ? {} : { [variable]: join(folder, name) }
}

/** Takes it out of the environment again, so that programs which a handler starts do not inherit it. */
export const forgetCompiled = (): void => {
  const folder = process.env[variable]
  if (folder !== undefined && basename(folder) === name && basename(join(folder, "..")) === "socketserver")
    delete process.env[variable]
}
