/** Bundles of programs: for policies with `bundle`, whose workers start quicker from one file. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { builtinModules } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type * as Rolldown from "rolldown"
import { cacheFolderOf } from "../../cacheFolder.ts"

/**
 * A program in one file, which starts several times faster than its modules do.
 *
 * The bundle is kept in `node_modules/.cache/socketserver` beside the program,
 * with the modules that are in it: where none of them has changed, it is used
 * again, by other starts of the program as well.
 */
export const bundled = (entry: string): Effect.Effect<string, string> =>
  Effect.suspend(() => {
    const known = kept(entry)
    return known === undefined ? make(entry) : Effect.succeed(known)
  })

interface Manifest {
  readonly main: string
  /** The modules, and the folders that they find others by, with what shows that they have not changed. */
  readonly inputs: ReadonlyArray<readonly [path: string, mtimeMs: number, size: number]>
}

const manifestName = "manifest.json"

// Not a literal: who bundles a program with another bundler does not want this one in it, nor need it be there.
const rolldownName: string = "rolldown"

/** Where bundles of a program are kept. */
const cacheOf = (entry: string): string => {
  const folder = cacheFolderOf(entry)
  return folder === undefined ? fs.mkdtempSync(join(tmpdir(), "socketserver-")) : join(folder, keyOf(entry))
}

const keyOf = (entry: string): string =>
  createHash("sha256").update(`${process.version} ${entry}`).digest("hex").slice(0, 16)

const kept = (entry: string): string | undefined => {
  const folder = cacheOf(entry)
  // Whatever it is that cannot be read, another one is made.
  return Result.getOrUndefined(
    Result.try(() => {
      const { inputs, main } = JSON.parse(fs.readFileSync(join(folder, manifestName), "utf8")) as Manifest
      const same = inputs.every(([path, mtimeMs, size]) => {
        const now = fs.statSync(path, { throwIfNoEntry: false })
        return now !== undefined && now.mtimeMs === mtimeMs && now.size === size
      })
      return same && fs.existsSync(main) ? main : undefined
    })
  )
}

const make = (entry: string): Effect.Effect<string, string> =>
  Effect.gen(function* () {
    const { rolldown } = yield* Effect.tryPromise({
      try: () => import(rolldownName) as Promise<typeof Rolldown>,
      catch: () => "bundle takes rolldown, and it is not installed: npm install rolldown"
    })
    const folder = cacheOf(entry)
    yield* Effect.try({
      try: () => fs.mkdirSync(folder, { recursive: true }),
      catch: (cause) =>
        `there is no place for the bundle of ${entry} (${textOf(cause)}). Start the program once as somebody who may write there`
    })
    // A name of its own for each bundle: workers of another start may still load the one before.
    const name = randomBytes(6).toString("hex")
    const failed = (cause: unknown) => `${entry} cannot be bundled: ${textOf(cause)}`
    const modules = yield* Effect.tryPromise({
      try: () =>
        rolldown({
          input: entry,
          platform: "node",
          external: [...builtinModules, /^node:/, /\.node$/],
          logLevel: "silent"
        })
          .then((bundle) =>
            bundle
              .write({
                dir: join(folder, name),
                format: "esm",
                entryFileNames: "main.mjs",
                chunkFileNames: "[name]-[hash].mjs"
              })
              .then(({ output }) => bundle.close().then(() => output))
          )
          .then((output) =>
            output
              .filter((part): part is Rolldown.OutputChunk => part.type === "chunk")
              .flatMap((chunk) => chunk.moduleIds)
          ),
      catch: failed
    })
    const main = join(folder, name, "main.mjs")
    yield* Effect.try({
      try: () => keep(folder, name, { main, inputs: [...modules, ...foldersOf(modules)].flatMap(input) }),
      catch: failed
    })
    return main
  })

/** An update may leave the old package where it is, and change the link to it: that shows in the folder of the link. */
const foldersOf = (modules: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const found: Array<string> = []
  for (const module of modules.filter(isFile)) {
    for (let at = dirname(module); !seen.has(at); at = dirname(at)) {
      seen.add(at)
      const folder = join(at, "node_modules")
      if (!fs.existsSync(folder)) continue
      const scopes = fs.readdirSync(folder).filter((name) => name.startsWith("@"))
      found.push(folder, ...scopes.map((scope) => join(folder, scope)))
    }
  }
  return found
}

/** Those of the bundler itself are none. */
const isFile = (path: string): boolean => !path.startsWith("\0")

const input = (path: string): Manifest["inputs"] => {
  const stat = isFile(path) ? fs.statSync(path, { throwIfNoEntry: false }) : undefined
  return stat === undefined ? [] : [[path, stat.mtimeMs, stat.size]]
}

/** Puts the manifest in place in one step, and lets go of all bundles but this one and the one before. */
const keep = (folder: string, name: string, manifest: Manifest): void => {
  const target = join(folder, manifestName)
  const before = Result.getOrUndefined(Result.try(() => (JSON.parse(fs.readFileSync(target, "utf8")) as Manifest).main))
  const next = join(folder, `${name}.json`)
  fs.writeFileSync(next, JSON.stringify(manifest))
  fs.renameSync(next, target)
  for (const other of fs.readdirSync(folder)) {
    if (other === manifestName || other === name || before?.includes(other) === true) continue
    fs.rmSync(join(folder, other), { recursive: true, force: true })
  }
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
