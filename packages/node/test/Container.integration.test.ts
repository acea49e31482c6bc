/** The container recipe of the documentation: its command as process 1 of a namespace of its own, on a root that cannot be written to. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { startOf } from "./support/bundles.ts"
import { type Environment, listening, missing, type Program, printed, python, start } from "./support/programs.ts"

const repository = fileURLToPath(new URL("../../../", import.meta.url))

const page = readFileSync(join(repository, "docs/how-to/run-in-a-container.md"), "utf8")
const [, recipe = ""] = /^```dockerfile\n(.*?)^```$/ms.exec(page) ?? []
/** What an instruction of its last stage says. */
const instruction = (name: string): string =>
  new RegExp(`^${name} (.*)$`, "m").exec(recipe.slice(recipe.lastIndexOf("FROM ")))?.[1] ?? ""
const command = JSON.parse(instruction("CMD") || "[]") as ReadonlyArray<string>
const environment: Environment = Object.fromEntries(
  instruction("ENV")
    .split(" ")
    .map((pair) => pair.split("=", 2))
)

// The program of the recipe: the image has it where it works.
const app = mkdtempSync(join(tmpdir(), "container-"))
afterAll(() => rmSync(app, { recursive: true, force: true }))
writeFileSync(
  join(app, "server.ts"),
  `import ${JSON.stringify(resolve(repository, startOf("examples/whoami/main.ts")))}\n`
)

/** Process 1 of namespaces of its own, whoever runs the tests. */
const isolated = ["--user", "--map-root-user", "--pid", "--fork", "--mount", "--mount-proc"]
const script = 'mount -o remount,bind,ro / && cd "$0" && ! touch denied 2>/dev/null && exec "$@"'

/** Why there can be no such process here, if so: a container without the right to, for example. */
const problem = ((): string | undefined => {
  const { error, status, stderr } = spawnSync("unshare", [...isolated, "sh", "-c", script, app, "true"], {
    encoding: "utf8"
  })
  return status === 0 ? undefined : (error?.message ?? stderr)
})()
if (problem !== undefined)
  console.warn(`the container recipe is not run, since no namespaces can be had here: ${problem}`)

const contained = (env: Environment) =>
  start("unshare", [...isolated, "sh", "-c", script, app, ...command], {
    ...environment,
    PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`,
    LISTEN: "tcp://127.0.0.1:0",
    ...env
  })

/** The first process in there, as it is called out here. */
const firstOf = (program: Program): number =>
  Number(readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, "utf8").split(" ")[0])

describe("the container recipe", () => {
  it("starts node itself, with nothing between", () => {
    assert.deepStrictEqual(command, ["node", "server.ts"])
    assert.strictEqual(instruction("USER"), "node")
    assert.match(environment["LISTEN"] ?? "", /0\.0\.0\.0/)
  })
})

describe.skipIf(problem !== undefined || missing("python3"))(
  "the command of the recipe, as process 1 on a root that is read only",
  () => {
    it.live.each([
      { placed: "in process", env: {} },
      { placed: "with threads", env: { POLICY: "thread:1" } },
      { placed: "with processes", env: { POLICY: "pool:1" } },
      { placed: "a process for each request", env: { POLICY: "process:2" } },
      { placed: "as copies", env: { PREFORK: "2" } }
    ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment }>)(
      "answers, and drains on SIGTERM ($placed)",
      ({ env }) =>
        Effect.gen(function* () {
          const { port, server } = yield* listening(contained(env))
          const first = firstOf(server)
          assert.match(readFileSync(`/proc/${first}/status`, "utf8"), /^NSpid:\t\d+\t1$/m)
          assert.match(
            yield* printed(python(port, `s = connect(); s.sendall(b"hi\\n"); print(line(s).decode())`)),
            /: hi\n/
          )
          process.kill(first, "SIGTERM")
          assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
          assert.match(server.all, /stopped Whoami in \d+ ms: 1 completed, 0 interrupted, 0 refused, 1 connection\n$/)
        })
    )
  }
)
