/** Which module workers are started with, and why there may be none. */
import { existsSync } from "node:fs"
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
  const runner = testRunner()
  if (runner !== undefined) {
    return Result.fail(
      `a worker is this program started again, and it is ${runner} that runs it. Name a module that places the server: { entry: new URL("./worker.ts", import.meta.url) }`
    )
  }
  const main = process.argv[1]
  return main === undefined || !existsSync(main)
    ? Result.fail(
        'a worker is this program started again, and it has no file. Name a module that places the server: { entry: "/path/to/worker.ts" }'
      )
    : Result.succeed({ entry: main, args })
}

const testRunner = (): string | undefined => {
  const { env } = process
  if (env["VITEST"] !== undefined) return "Vitest"
  if (env["JEST_WORKER_ID"] !== undefined) return "Jest"
  return env["NODE_TEST_CONTEXT"] === undefined ? undefined : "the test runner of Node"
}
