/**
 * Checks what would be published: packs every package, lints the tarballs, and in a scratch project on the lowest Node we
 * support runs against them `smoke.mjs`, what the documentation shows of `protocols` and `effect`, and examples with their clients.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { type Fence, findFences, moduleOf, writeModules } from "./fences.ts"
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

/** What the how-tos have their readers install beside the packages, as the packages are developed with it. */
const optional = (): Record<string, string> => {
  const peers = ["protocols", "effect"].map((name) => JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8")))
  return Object.fromEntries(
    peers.flatMap(({ devDependencies, peerDependencies }) =>
      Object.keys(peerDependencies)
        .filter((name) => /^\d/.test(devDependencies[name] ?? ""))
        .map((name) => [name, devDependencies[name]])
    )
  )
}

const scratchProject = (tarballs: ReadonlyMap<string, string>): void => {
  const local = Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`]))
  const catalog = /^catalog:\n((?: {2}.*\n)+)/m.exec(readFileSync("pnpm-workspace.yaml", "utf8"))![0]
  const fromCatalog = ["effect", "@effect/platform-node", "@effect/vitest", "vitest"].map((name) => [name, "catalog:"])
  const types = { "@types/node": root.devDependencies["@types/node"] }
  const dependencies = { ...local, ...optional(), ...types, ...Object.fromEntries(fromCatalog), node: lowestNode }
  writeFileSync(join(scratch, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
  writeFileSync(
    join(scratch, "pnpm-workspace.yaml"),
    // A package finds nothing that it does not say it needs.
    `${catalog}hoist: false\nallowBuilds:\n  node: true\noverrides: ${JSON.stringify(local)}\n`
  )
  mkdirSync(join(scratch, "scripts"))
  for (const [from, to] of [
    ["scripts/smoke.mjs", "smoke.mjs"],
    ["scripts/programs.mjs", "programs.mjs"],
    ["scripts/equal.ts", "scripts/equal.ts"]
  ] as const) {
    copyFileSync(from, join(scratch, to))
  }
}

/** What the documentation shows of the packages that are not part of every program: it compiles, and says what it says. */
const documented = (): ReadonlyArray<Fence> => {
  const fences = findFences().filter(
    ({ code, kind }) =>
      kind === "ts" && /@socketserver\/(protocols|effect)\b/.test(code) && !/from "(vitest|@effect\/vitest)"/.test(code)
  )
  writeModules(fences, scratch)
  return fences
}

/** The sources of examples, whose clients are programs of their own. */
const examples = (names: ReadonlyArray<string>): void => {
  for (const name of names) {
    mkdirSync(join(scratch, "examples", name), { recursive: true })
    for (const file of readdirSync(`examples/${name}`)) {
      if (!file.endsWith(".test.ts")) copyFileSync(`examples/${name}/${file}`, join(scratch, "examples", name, file))
    }
  }
}

const compile = (): void => {
  const { compilerOptions } = JSON.parse(readFileSync("tsconfig.base.json", "utf8"))
  const options = { ...compilerOptions, noEmit: true, incremental: false }
  const include = [".fences/**/*.ts", "examples/**/*.ts", "scripts/*.ts"]
  writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include }))
  run(scratch, process.execPath, resolve("node_modules/typescript/bin/tsc"), "-p", "tsconfig.json", "--pretty", "false")
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
  const node = join(scratch, "node_modules/.bin/node")
  console.log(run(scratch, node, "smoke.mjs"))
  const fences = documented()
  examples(["rpc", "http", "redis"])
  compile()
  console.log(`${fences.length} programs of the documentation and three examples compile`)
  const shown = fences.filter(({ run }) => run).map(moduleOf)
  console.log(run(scratch, node, "--disable-warning=ExperimentalWarning", "programs.mjs", ...shown))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
