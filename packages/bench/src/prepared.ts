/** What has to be made before a start can be measured: built packages, a bundle, a list of modules, a program of Go. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { run } from "./processes.ts"

/** A directory of this run, gone with it. */
export const scratch = mkdtempSync(join(tmpdir(), "bench-"))
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }))

let names = 0
const places = new Map<string, string>()
const place = (root: string): string => {
  const known = places.get(root)
  if (known !== undefined) return known
  const made = join(scratch, `tree-${names++}`)
  mkdirSync(made)
  places.set(root, made)
  return made
}

const smallest = (root: string) => join(root, "packages/bench/src/servers/smallest.ts")

/** Makes something once for each tree. */
const once = (make: (root: string, into: string) => Promise<void>): ((root: string) => Promise<void>) => {
  const made = new Map<string, Promise<void>>()
  return (root) => {
    const known = made.get(root)
    if (known !== undefined) return known
    const making = make(root, place(root))
    made.set(root, making)
    return making
  }
}

export const built = (root: string) => [join(place(root), "built/smallest.mjs")]
/** The packages as they are published, beside the very dependencies of the tree. */
export const prepareBuilt = once(async (root, into) => {
  const project = join(into, "built")
  for (const name of ["core", "node"]) {
    const from = join(root, "packages", name)
    const to = join(project, "node_modules/@socketserver", name)
    mkdirSync(to, { recursive: true })
    const tsc = join(root, "node_modules/.bin/tsc")
    // The checked types are not asked for again: what is wanted is what runs.
    const config = join(from, "tsconfig.src.json")
    await run({
      program: tsc,
      args: [
        "-p",
        config,
        "--outDir",
        join(to, "dist"),
        "--noCheck",
        "--composite",
        "false",
        "--incremental",
        "false",
        "--declarationMap",
        "false",
        "--tsBuildInfoFile",
        "null"
      ]
    })
    // As `pnpm build` does it; an older commit has no such script.
    const chunks = join(root, "scripts/chunks.ts")
    if (name === "core" && existsSync(chunks)) {
      await run({ program: process.execPath, args: [chunks, from, join(to, "dist")] })
    }
    const { publishConfig, ...manifest } = JSON.parse(readFileSync(join(from, "package.json"), "utf8"))
    writeFileSync(join(to, "package.json"), JSON.stringify({ ...manifest, exports: publishConfig.exports }))
    if (name === "node") {
      mkdirSync(join(project, "node_modules/@effect"), { recursive: true })
      symlinkSync(join(from, "node_modules/effect"), join(project, "node_modules/effect"))
      symlinkSync(join(from, "node_modules/@effect/platform-node"), join(project, "node_modules/@effect/platform-node"))
    }
  }
  // One type is all that makes it TypeScript.
  writeFileSync(join(project, "smallest.mjs"), readFileSync(smallest(root), "utf8").replace("<Echo>", ""))
})

export const bundled = (root: string) => [join(place(root), "bundled.mjs")]
export const prepareBundled = once(async (root, into) => {
  const rolldown = createRequire(join(root, "packages/node/package.json")).resolve("rolldown")
  const { build } = (await import(pathToFileURL(rolldown).href)) as {
    readonly build: (options: object) => Promise<unknown>
  }
  await build({
    input: smallest(root),
    platform: "node",
    logLevel: "silent",
    output: { dir: into, entryFileNames: "bundled.mjs", chunkFileNames: "[name].mjs", format: "esm", minify: true }
  })
})

export const effectModules = (root: string) => [join(place(root), "modules.mjs")]
/** A program that imports those modules of Effect that the smallest server loads, and does nothing with them. */
export const prepareModules = once(async (root, into) => {
  const hook = join(into, "hook.mjs")
  writeFileSync(
    hook,
    `import { registerHooks } from "node:module"
registerHooks({ load: (url, context, next) => { console.log("loaded " + url); return next(url, context) } })
const log = console.log
console.log = (text) => { log(text); if (String(text).startsWith("listening")) process.exit() }`
  )
  const out = await run({ program: process.execPath, args: ["--import", hook, smallest(root)] })
  const urls = [...out.matchAll(/^loaded (file:.*)$/gm)]
    .map(([, url]) => url!)
    .filter((url) => url.includes("/node_modules/"))
  if (urls.length === 0) throw new Error("no module of Effect was loaded")
  const lines = urls.map((url) => `import ${JSON.stringify(url)}`)
  writeFileSync(
    join(into, "modules.mjs"),
    `${lines.join("\n")}\nconsole.log("listening on 0")\nsetInterval(() => {}, 1000)\n`
  )
})

export const buildGo = async (root: string) => {
  const file = join(root, "packages/bench/src/servers/lines.go")
  await run({
    program: "go",
    args: ["build", "-o", join(scratch, "lines-go"), file],
    env: { GOCACHE: join(scratch, "go"), GO111MODULE: "off" }
  })
}
