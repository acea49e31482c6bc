/** What a worker is started as. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { programOf } from "../src/internal/worker/parent/program.ts"

const { argv } = process
const directory = mkdtempSync(join(tmpdir(), "program-"))

/** What a worker of the program is that was started as `node MAIN`, from the environment of this test. */
const started = (main: string) => {
  process.argv = [argv[0] as string, main, "--verbose"]
  return programOf(undefined)
}

afterEach(() => {
  process.argv = argv
})

describe("a worker of a program", () => {
  it("is its file, with its arguments, though a test has started it", () => {
    assert.isDefined(process.env["VITEST"])
    const entry = join(directory, "main.mjs")
    writeFileSync(entry, "")
    assert.deepStrictEqual(Result.getOrThrow(started(entry)), { entry, args: ["--verbose"] })
  })

  it("is the file that Node finds where the program was started without its extension, or by its folder", () => {
    writeFileSync(join(directory, "app.js"), "")
    assert.strictEqual(Result.getOrThrow(started(join(directory, "app"))).entry, join(directory, "app.js"))
    mkdirSync(join(directory, "folder"))
    writeFileSync(join(directory, "folder", "index.js"), "")
    assert.strictEqual(
      Result.getOrThrow(started(join(directory, "folder"))).entry,
      join(directory, "folder", "index.js")
    )
  })

  it("cannot be where the program has no file, or is a test", () => {
    const none = started(join(directory, "nothing"))
    assert.match(Result.isFailure(none) ? none.failure : "", /it has no file/)
    process.argv = argv
    const test = programOf(undefined)
    assert.match(Result.isFailure(test) ? test.failure : "", /it is Vitest that runs it/)
    rmSync(directory, { recursive: true })
  })
})
