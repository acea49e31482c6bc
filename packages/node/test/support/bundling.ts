/**
 * The programs that integration tests start, each bundled before the first test: from its sources a program takes 0.45 s
 * of CPU to start, and its workers as much, from a bundle 0.18 s, and there are thousands of starts.
 *
 * What looks for files beside itself runs from its sources.
 */
import { globSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"
import { folder, root } from "./bundles.ts"

const programs = [
  "examples/*/main.ts",
  "examples/rpc/client.ts",
  "packages/{node,effect}/test/{support,fixtures}/*.ts",
  "scripts/hostile/target.ts"
]

const looksBeside = (path: string): boolean =>
  readdirSync(join(root, path, ".."))
    .filter((file) => file.endsWith(".ts") && (path.endsWith("/main.ts") || path.endsWith(`/${file}`)))
    .some((file) => readFileSync(join(root, path, "..", file), "utf8").includes("import.meta.url"))

const starts = (path: string): boolean =>
  /NodeServer\.launch|NodeRuntime\.runMain/.test(readFileSync(join(root, path), "utf8"))

export const setup = async (): Promise<void> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const paths = globSync(programs, { cwd: root }).filter((path) => starts(path) && !looksBeside(path))
  await bundled(Object.fromEntries(paths.map((path) => [path.replace(/\.ts$/, ""), join(root, path)])), folder)
}

/** Bundles programs, by what they are called in the folder. */
export const bundled = async (input: Record<string, string>, dir: string): Promise<void> => {
  const bundle = await rolldown({
    cwd: root,
    input,
    external: ["koffi", "rolldown"],
    platform: "node",
    onLog: () => {}
  })
  await bundle.write({ dir, entryFileNames: "[name].mjs", chunkFileNames: "chunks/[name]-[hash].mjs" })
  await bundle.close()
}
