/**
 * Joins the modules of a built package that are always loaded together: `node scripts/chunks.ts packages/core`.
 *
 * A program that loads a package from its modules pays for each file. Here each public module stays a file of its own,
 * and what is inside becomes a few chunks, each loaded by the same public modules as before.
 */
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"

const [root = "packages/core", out = join(root, "dist")] = process.argv.slice(2)
const source = join(root, "src")
const entries = readdirSync(source).filter((file) => file.endsWith(".ts"))

const bundle = await rolldown({
  input: Object.fromEntries(entries.map((file) => [file.replace(/\.ts$/, ""), join(source, file)])),
  // All but what is written here: each package loads its own.
  external: (id) => !/^[./]/.test(id),
  preserveEntrySignatures: "strict",
  platform: "neutral"
})
for (const file of readdirSync(out, { recursive: true, encoding: "utf8" })) {
  if (/\.js(\.map)?$/.test(file)) rmSync(join(out, file))
}
await bundle.write({
  dir: out,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name]-[hash].js",
  format: "esm",
  sourcemap: true
})
await bundle.close()
