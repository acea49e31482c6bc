/** Users of a Unix socket, as programs see them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startOf } from "./support/bundles.ts"
import { missing, node, socatTo, start } from "./support/programs.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => {
    const path = fs.mkdtempSync(join(tmpdir(), "users-"))
    // Others have to reach the socket.
    fs.chmodSync(path, 0o755)
    return path
  }),
  (path) => Effect.sync(() => fs.rmSync(path, { recursive: true }))
)

const other = ["--reuid=65534", "--regid=65534", "--clear-groups"]

/** Why nobody else can connect here. */
const alone = (): string | undefined => {
  if (process.getuid?.() !== 0) return "it takes root to connect as somebody else"
  const { error, status } = spawnSync("setpriv", [...other, "true"])
  return error !== undefined || status !== 0 ? "setpriv cannot be another user here" : undefined
}
const problem = alone()
if (problem !== undefined) console.warn(`skipped, users of Unix sockets: ${problem}`)
const without = [missing("socat"), problem !== undefined].includes(true)

const program = "packages/node/test/support/users.ts"

/** What a program on a socket tells the others who connect: itself, and another user. */
const asked = (options: string, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const path = join(yield* directory, "s")
    const server = yield* node(program, { LISTEN: `unix://${path}?mode=666&${options}`, ...env })
    yield* server.prints(/^listening/)
    const tell = (client: ReturnType<typeof socatTo>) =>
      Effect.gen(function* () {
        const one = yield* client
        yield* Effect.andThen(one.write("who\n"), one.closeInput)
        yield* one.end
        return one.stdout.trim().replace(String(one.pid), "itself")
      })
    const mine = yield* tell(socatTo(`unix:${path}`))
    const others = yield* tell(start("setpriv", [...other, "socat", "-t10", "-", `unix:${path}`]))
    return { mine, others, server }
  })

describe.skipIf(without)("users of a Unix socket", () => {
  it.live.each([{ POLICY: "fiber" }, { POLICY: "pool:2" }, { POLICY: "thread:1" }, { PREFORK: "2" }])(
    "are told apart, with %j",
    (env) =>
      Effect.gen(function* () {
        const { mine, others } = yield* asked("peers=any", env as never)
        assert.strictEqual(mine, "itself 0 0")
        assert.strictEqual(others, "itself 65534 65534")
      })
  )

  it.live("are kept out, where only that of the server may connect, or another", () =>
    Effect.gen(function* () {
      const same = yield* asked("peers=same-user")
      assert.deepStrictEqual([same.mine, same.others], ["itself 0 0", ""])
      const another = yield* asked("peers=65534")
      assert.deepStrictEqual([another.mine, another.others], ["", "itself 65534 65534"])
      yield* another.server.complains(/user 0 may not connect/)
    })
  )

  it.live("have their connections counted apart", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const MAX_CONNECTIONS_PER_PEER = "1"
      const server = yield* node(program, { LISTEN: `unix://${path}?mode=666&peers=any`, MAX_CONNECTIONS_PER_PEER })
      yield* server.prints(/^listening/)
      const first = yield* socatTo(`unix:${path}`)
      yield* first.write("who\n")
      yield* first.prints(/ 0 0\n/)
      const again = yield* socatTo(`unix:${path}`)
      yield* again.closeInput
      yield* again.end
      assert.strictEqual(again.stdout, "")
      const else_ = yield* start("setpriv", [...other, "socat", "-t10", "-", `unix:${path}`])
      yield* else_.write("who\n")
      yield* else_.prints(/ 65534 65534\n/)
    })
  )
})

describe("without koffi", () => {
  it.live("the start fails where users are asked for, and says what to do", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "s")
      const cases = {
        missing:
          "Node has no users of peers, and koffi, which reaches the system's, is not installed; npm install koffi",
        elsewhere: "on darwin there is no way to users of peers"
      }
      const preload = ["--import", `${import.meta.dirname}/support/koffi.ts`]
      for (const [KOFFI, problem] of Object.entries(cases)) {
        const asking = yield* start(process.execPath, [...preload, startOf(program)], {
          LISTEN: `unix://${path}?peers=any`,
          KOFFI
        })
        assert.deepStrictEqual(yield* asking.end, { code: 1, signal: null })
        assert.include(asking.stderr, `LISTEN: Invalid option peers of unix://${path}?peers=any: ${problem}`)
      }
      const silent = yield* start(process.execPath, [...preload, startOf(program)], {
        LISTEN: `unix://${path}`,
        KOFFI: "missing"
      })
      yield* silent.prints(/^listening/)
    })
  )
})
