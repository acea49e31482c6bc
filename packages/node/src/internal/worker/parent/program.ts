/** Which module workers are started with, and why there may be none. */
import { existsSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import * as Result from "effect/Result"
import type { Program } from "./spawn.ts"

/** What a worker runs: this very program, or the module that was named. Or why neither can be. */
export const programOf = (entry: string | URL | undefined): Result.Result<Program, string> => {
  const args = process.argv.slice(2)
  if (entry !== undefined) {
    const path = String(entry).startsWith("file:") ? fileURLToPath(String(entry)) : String(entry)
    return existsSync(path)
      ? Result.succeed({ entry: path, args })
      : Result.fail(`there is no entry ${path}; name a module that places the server, as a path or a file: URL`)
  }
  const main = process.argv[1]
  const runner = testRunner(main)
  if (runner !== undefined) {
    return Result.fail(
      `a worker is this program started again, and it is ${runner} that runs it. Name a module that places the server: { entry: new URL("./worker.ts", import.meta.url) }`
    )
  }
  const file = main === undefined ? undefined : fileOf(main)
  return file === undefined
    ? Result.fail(
        'a worker is this program started again, and it has no file. Name a module that places the server: { entry: "/path/to/worker.ts" }'
      )
    : Result.succeed({ entry: file, args })
}

/** The file of a program, which may have been started without its extension, or by its folder: `node app`. */
const fileOf = (main: string): string | undefined =>
  statSync(main, { throwIfNoEntry: false })?.isFile() === true
    ? main
    : Result.getOrUndefined(Result.try(() => createRequire(main).resolve(main)))

/**
 * Who runs this program, if it is a runner of tests. The variables that those set
 * say nothing: a program that a test has started inherits them.
 */
const testRunner = (main = ""): string | undefined => {
  if (/[\\/]node_modules[\\/]vitest[\\/]/.test(main)) return "Vitest"
  if (/[\\/]node_modules[\\/]jest(-[a-z-]+)?[\\/]/.test(main)) return "Jest"
  const { env, moduleLoadList = [] } = process as NodeJS.Process & { readonly moduleLoadList?: ReadonlyArray<string> }
  return env["NODE_TEST_CONTEXT"] !== undefined && moduleLoadList.some((name) => name.includes("test_runner"))
    ? "the test runner of Node"
    : undefined
}
