/**
 * The units of systemd in the documentation, as `systemd-analyze verify` sees them: each is a fence `ini` that begins with its path.
 */
import { spawnSync } from "node:child_process"
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { describe, expect, it } from "vitest"

interface Unit {
  readonly page: string
  readonly name: string
  readonly text: string
}

const units = globSync("docs/**/*.md").flatMap((page): ReadonlyArray<Unit> =>
  [...readFileSync(page, "utf8").matchAll(/^```ini\n# \/etc\/systemd\/system\/(\S+)\n(.*?)^```$/gms)].map(
    ([, name, text]) => ({ page, name: name!, text: text! })
  )
)
const pages = [...Map.groupBy(units, ({ page }) => page)]

const missing = spawnSync("systemd-analyze", ["--version"]).error !== undefined
if (missing)
  console.warn("systemd-analyze is not installed (package systemd): the units of the documentation are not checked")

/** What is said of the units of a page; nothing, if they are right. */
const verify = (units: ReadonlyArray<Unit>): string => {
  const directory = mkdtempSync(join(tmpdir(), "units-"))
  const files = units.map(({ name, text }) => {
    const file = join(directory, name)
    // Programs have to be there.
    writeFileSync(file, text.replaceAll("/usr/bin/node", process.execPath))
    return file
  })
  const { status, stderr, stdout } = spawnSync("systemd-analyze", ["verify", "--man=no", ...files], {
    encoding: "utf8",
    env: { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` }
  })
  rmSync(directory, { recursive: true })
  // What the machine has of its own is not the page's.
  const said = (stdout + stderr)
    .split("\n")
    .filter((line) => line.includes(directory) || units.some(({ name }) => line.includes(name)))
  return said.length > 0 ? said.join("\n") : status === 0 ? "" : stdout + stderr
}

it("the documentation has units", () => {
  expect(units.length).toBeGreaterThan(4)
})

describe.skipIf(missing)("systemd-analyze verify", () => {
  it.each(pages)("has nothing to say about those of %s", (_, units) => {
    expect(verify(units)).toBe("")
  })

  it("says what is wrong in one", () => {
    const [unit] = units.filter(({ text }) => text.includes("KillMode=mixed"))
    expect(verify([{ ...unit!, text: unit!.text.replace("KillMode=mixed", "KillMode=mixxed") }])).toMatch(/mixxed/)
  })
})

it.each(
  units
    .filter(({ name }) => name.endsWith(".service"))
    .map((unit) => [`${basename(unit.page)}, ${unit.name}`, unit] as const)
)("signals the program alone: %s", (_, { text }) => {
  // With systemd's default every process would get the signal.
  expect(text).toMatch(/^KillMode=mixed$/m)
  expect(text).toMatch(/^ExecStart=\/usr\/bin\/node /m)
})
