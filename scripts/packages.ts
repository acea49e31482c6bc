/**
 * Checks what would be published: packs every package, lints the tarballs, and runs `smoke.mjs` against them
 * in a scratch project on the lowest Node we support.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { modulesOf, packages } from "./sources.ts"

const lowestNode = "22.19.0"
const root = JSON.parse(readFileSync("package.json", "utf8"))
const bin = resolve("node_modules/.bin")
const scratch = mkdtempSync(join(tmpdir(), "packages-"))

/** Shows what a command printed only when it fails. */
const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  const { output, status } = spawnSync(command, args, { cwd, encoding: "utf8" })
  if (status === 0) return output.join("")
  throw new Error(`${command} ${args.join(" ")} ended with ${status}\n${output?.join("")}`)
}

/** The pinned pnpm, whichever way this script was started. */
const pnpm = (cwd: string, ...args: ReadonlyArray<string>) => run(cwd, "npx", "--yes", root.packageManager, ...args)

const pack = (name: string): readonly [string, string] => {
  pnpm(`packages/${name}`, "pack", "--pack-destination", scratch)
  const tarball = readdirSync(scratch).find((file) => file.startsWith(`socketserver-${name}-`))
  return [`@socketserver/${name}`, join(scratch, tarball!)]
}

const scratchProject = (tarballs: ReadonlyMap<string, string>): void => {
  const local = Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`]))
  const catalog = /^catalog:\n((?: {2}.*\n)+)/m.exec(readFileSync("pnpm-workspace.yaml", "utf8"))![0]
  const fromCatalog = ["effect", "@effect/platform-node", "@effect/vitest", "vitest"].map((name) => [name, "catalog:"])
  const dependencies = { ...local, ...Object.fromEntries(fromCatalog), node: lowestNode }
  writeFileSync(join(scratch, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
  writeFileSync(
    join(scratch, "pnpm-workspace.yaml"),
    `${catalog}allowBuilds:\n  node: true\noverrides: ${JSON.stringify(local)}\n`
  )
  copyFileSync("scripts/smoke.mjs", join(scratch, "smoke.mjs"))
}

try {
  const tarballs = new Map(packages.map(pack))
  for (const name of packages) {
    const tarball = tarballs.get(`@socketserver/${name}`)!
    const entries = modulesOf(name).map((module) => `./${module.name}`)
    run(".", join(bin, "publint"), "run", tarball, "--strict")
    run(".", join(bin, "attw"), tarball, "--profile", "esm-only", "--entrypoints", ".", ...entries)
    console.log(`${name}: packed, ${entries.length} modules resolve`)
  }
  scratchProject(tarballs)
  pnpm(scratch, "install", "--no-frozen-lockfile")
  console.log(run(scratch, join(scratch, "node_modules/.bin/node"), "smoke.mjs"))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
