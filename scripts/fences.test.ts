import { spawn, spawnSync } from "node:child_process"
import { resolve } from "node:path"
import { describe, it } from "vitest"
import { type Fence, findFences, moduleOf, writeModules } from "./fences.ts"

const fences = findFences()
writeModules(fences)
const diagnostics = typeCheck()

it("the packages compile for the documentation", () => {
  const others = diagnostics.filter((line) => !line.startsWith(".fences/"))
  if (others.length > 0) throw new Error(others.join("\n"))
})

for (const fence of fences) {
  const title = `${fence.document}:${fence.line} \`${fence.kind}\``
  if (fence.kind === "sh") it(title, () => shell(fence), 70_000)
  // A fence that shows a test is one: its cases are collected under the fence's name.
  else if (fence.run && /from "(vitest|@effect\/vitest)"/.test(fence.code)) {
    describe(title, async () => {
      it("compiles", () => compiles(fence))
      if (errorsOf(fence).length === 0) await load(fence)
    })
  } else {
    it(title, async () => {
      compiles(fence)
      if (fence.run) await load(fence)
    })
  }
}

function load(fence: Fence): Promise<unknown> {
  return import(/* @vite-ignore */ resolve(moduleOf(fence)))
}

function compiles(fence: Fence): void {
  const errors = errorsOf(fence)
  if (errors.length > 0) throw new Error(errors.join("\n"))
}

/** `.fences/README.md/L10.ts(12,3): error …` → `README.md:12: error …` */
function errorsOf(fence: Fence): ReadonlyArray<string> {
  const prefix = `${moduleOf(fence)}(`
  return diagnostics
    .filter((line) => line.startsWith(prefix))
    .map((line) => line.slice(prefix.length).replace(/^(\d+),\d+\)/, `${fence.document}:$1`))
}

/** One compiler run for all fences; one entry per diagnostic, its indented details included. */
function typeCheck(): ReadonlyArray<string> {
  const tsc = spawnSync(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "-b", "scripts/tsconfig.fences.json", "--pretty", "false"],
    { encoding: "utf8" }
  )
  const lines = (tsc.stdout + tsc.stderr)
    .trim()
    .split(/\n(?! )/)
    .filter((line) => line !== "")
  return tsc.status === 0 || lines.length > 0 ? lines : [`tsc ended with ${tsc.status ?? tsc.signal}`]
}

/** Runs in its own process group, so that what it leaves behind ends with it. */
function shell(fence: Fence): Promise<void> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", fence.code], {
    detached: true,
    env: { ...process.env, PATH: `${resolve("node_modules/.bin")}:${process.env["PATH"]}` },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
  const killGroup = () => {
    try {
      process.kill(-child.pid!, "SIGKILL")
    } catch {
      // Nothing was left.
    }
  }
  const deadline = setTimeout(killGroup, 60_000)
  return new Promise((done, fail) => {
    child.on("error", fail)
    child.on("exit", (code, signal) => {
      clearTimeout(deadline)
      killGroup()
      if (code === 0) done()
      else fail(new Error(`${fence.document}:${fence.line}: ended with ${code ?? signal}\n${output}`))
    })
  })
}
