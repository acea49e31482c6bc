/** Where workers and copies find what Node has compiled for an earlier start. */
import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compiledOf } from "../src/internal/compiled.ts"

describe("what Node has compiled for workers and copies", () => {
  const installed = (use: (entry: string, folder: string) => void): void => {
    const root = mkdtempSync(join(tmpdir(), "compiled-"))
    try {
      mkdirSync(join(root, "node_modules"))
      use(join(root, "app/src/main.ts"), join(root, "node_modules/.cache/socketserver/compiled"))
    } finally {
      rmSync(root, { recursive: true })
    }
  }

  it("is kept where the program's packages are", () =>
    installed((entry, folder) => assert.deepStrictEqual(compiledOf(entry, {}), { NODE_COMPILE_CACHE: folder })))

  it.each(["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE", "NODE_V8_COVERAGE"])(
    "is left to whoever has set %s, also to nothing",
    (name) =>
      installed((entry) => {
        assert.deepStrictEqual(compiledOf(entry, { [name]: "/elsewhere" }), {})
        assert.deepStrictEqual(compiledOf(entry, { [name]: "" }), {})
      })
  )

  it("is not kept where nothing is installed, or there is no file", () => {
    assert.deepStrictEqual(compiledOf("/main.mjs", {}), {})
    assert.deepStrictEqual(compiledOf(undefined, {}), {})
  })
})
