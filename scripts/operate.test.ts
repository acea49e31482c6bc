/**
 * The table of `docs/how-to/operate.md` quotes what the programs say: each quotation is in a source.
 */
import { globSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"

const page = readFileSync("docs/how-to/operate.md", "utf8")
const rows = page
  .slice(page.indexOf("## What you see"))
  .split("\n")
  .filter((line) => /^\| [^-*]/.test(line))

/** What is quoted in the first column, as far as it is a line of the log and no name. */
const quoted = rows
  .flatMap((row) => [...row.split(" | ")[0]!.matchAll(/`([^`]+)`/g)].map(([, text]) => text!))
  .filter((text) => text.includes(" ") && !text.startsWith("POLICY="))

const sources = globSync("packages/{core,node}/src/**/*.ts").map((file) => readFileSync(file, "utf8"))

it("has many rows", () => {
  expect(quoted.length).toBeGreaterThan(20)
})

it.each(quoted)("is said: %s", (text) => {
  expect(sources.some((source) => source.includes(text))).toBe(true)
})
