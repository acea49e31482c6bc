/**
 * The programs that integration tests start, each bundled before the first test: from its sources a program takes 0.45 s
 * of CPU to start, and its workers as much, from a bundle 0.18 s, and there are thousands of starts.
 *
 * What looks for files beside itself runs from its sources, and so does a program with a preload, which changes modules.
 */
import { globSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"
import { folder, root } from "./bundles.ts"

const programs = ["examples/*/main.ts", "packages/node/test/support/*.ts"]

const looksBeside = (path: string): boolean =>
  readdirSync(join(root, path, ".."))
    .filter((file) => file.endsWith(".ts") && (path.endsWith("/main.ts") || path.endsWith(`/${file}`)))
    .some((file) => readFileSync(join(root, path, "..", file), "utf8").includes("import.meta.url"))

const starts = (path: string): boolean => readFileSync(join(root, path), "utf8").includes("NodeServer.launch")

export const setup = async (): Promise<void> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const paths = globSync(programs, { cwd: root }).filter((path) => starts(path) && !looksBeside(path))
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(paths.map((path) => [path.replace(/\.ts$/, ""), join(root, path)])),
    external: ["koffi", "rolldown"],
    platform: "node",
    onLog: () => {}
  })
  await bundle.write({ dir: folder, entryFileNames: "[name].mjs", chunkFileNames: "chunks/[name]-[hash].mjs" })
  await bundle.close()
}
