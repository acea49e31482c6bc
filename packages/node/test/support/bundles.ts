/** Where the bundles of programs are, which `bundling.ts` makes. */
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

export const root = fileURLToPath(new URL("../../../../", import.meta.url))

// Beside the packages that they load when they are there.
export const folder = join(root, "packages/node/.programs")

/** What is started for a program, by its path: its bundle, where there is one for this run. */
export const startOf = (path: string): string => {
  const bundle = join(folder, path.replace(/\.ts$/, ".mjs"))
  return process.env["BUNDLED"] === undefined || !existsSync(bundle) ? path : bundle
}

/** What workers of a test load, by its name here. */
export const entryOf = (name: string): URL =>
  pathToFileURL(resolve(root, startOf(`packages/node/test/support/${name}`)))
