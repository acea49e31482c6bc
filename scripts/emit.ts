import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** Writes what differs; with `--check` on the command line, names it instead and fails. */
export const emit = (script: string, files: ReadonlyArray<{ readonly file: string; readonly text: string }>): void => {
  const stale = files.filter(({ file, text }) => !existsSync(file) || readFileSync(file, "utf8") !== text)
  if (process.argv.includes("--check")) {
    for (const { file } of stale) console.error(`${file} is not up to date: run \`pnpm ${script}\``)
    if (stale.length > 0) process.exitCode = 1
    return
  }
  for (const { file, text } of stale) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.log(`wrote ${file}`)
  }
}
