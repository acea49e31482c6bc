/** What `curl` is told, and what `promtool` says of it (Debian: curl, prometheus). */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { example, missing, printed, socat, start } from "../../packages/node/test/support/programs.ts"

/** In CI what is missing is an error. `promtool` comes with all of Prometheus, and is used where it is there. */
const noCurl = missing("curl") && process.env["CI"] === undefined
const noPromtool = missing("promtool")

const curl = (...args: ReadonlyArray<string>) => printed(start("curl", ["--silent", "--fail-with-body", ...args]))

const shouting = (env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const server = yield* example("metrics", { METRICS_LISTEN: "tcp://127.0.0.1:0", ...env })
    const [, port = ""] = yield* server.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/)
    const [, at = ""] = yield* server.complains(/are told on (\S+)\n/)
    const client = yield* socat(port)
    yield* client.write("hello\n")
    yield* client.prints(/HELLO\n/)
    yield* client.closeInput
    yield* client.end
    return { at: at.replace("tcp:", "http:"), server }
  })

describe.skipIf(noCurl)("curl", () => {
  it.live.each([{ POLICY: "fiber" }, { POLICY: "pool:2" }, { PREFORK: "2" }])("is told how it does: %j", (env) =>
    Effect.gen(function* () {
      const { at } = yield* shouting(env)
      assert.match(yield* curl(`${at}/metrics`), /^socketserver_requests_total\{.*outcome="Completed"\} 1$/m)
      assert.strictEqual(yield* curl(`${at}/ready`, `${at}/health`), "ready\nok\n")
      assert.match(yield* curl("--head", `${at}/metrics`), /^HTTP\/1\.1 200 OK\r\n/)
      assert.strictEqual(
        yield* curl("--output", "/dev/null", "--write-out", "%{http_code}", "--http1.0", `${at}/ready`),
        "200"
      )
    })
  )

  it.live("is told by a Unix socket", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "metrics-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      yield* shouting({ METRICS_LISTEN: `unix://${directory}/metrics.sock` })
      const health = yield* curl("--unix-socket", `${directory}/metrics.sock`, "http://localhost/health")
      assert.strictEqual(health, "ok\n")
    })
  )
})

describe.skipIf(noCurl || noPromtool)("promtool", () => {
  it.live.each([{ POLICY: "pool:2" }, { PREFORK: "2" }])("has nothing to say: %j", (env) =>
    Effect.gen(function* () {
      const { at } = yield* shouting(env)
      const input = yield* curl(`${at}/metrics`)
      const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" })
      assert.deepStrictEqual([status, stdout, stderr], [0, "", ""])
    })
  )
})
