/**
 * Writes the generated blocks of `docs/explanation/speed.md` and the README, and the picture, from the results of the
 * last full run (`pnpm bench --json packages/bench/results/full.json`). `--check` only compares.
 */
import { existsSync, readFileSync } from "node:fs"
import { emit } from "./emit.ts"
import { picture } from "./speedPicture.ts"
import type { Results } from "./speedResults.ts"
import { filled, pageBlocks, pictureFile, readmeBlock } from "./speedTables.ts"

const file = "packages/bench/results/full.json"
const results = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : undefined

const page = (file: string, blocks: Readonly<Record<string, string>>) => ({
  file,
  text: filled(readFileSync(file, "utf8"), blocks)
})

emit("bench:page", [
  page("docs/explanation/speed.md", pageBlocks(results)),
  page("README.md", { summary: readmeBlock(results) }),
  ...(results === undefined
    ? []
    : (["light", "dark"] as const).map((mode) => ({ file: pictureFile(mode), text: picture(results, mode) })))
])
