/** A port below 1024 without being root, as `docs/how-to/bind-a-low-port.md` has it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { startOf } from "./support/bundles.ts"
import { mark } from "./support/marked.ts"
import { type Environment, example, interpreter, listening, printed, python, start } from "./support/programs.ts"

const page = readFileSync(new URL("../../../docs/how-to/bind-a-low-port.md", import.meta.url), "utf8")

/** The options of the page's `setpriv`, for a user that every machine has. */
const [, flags = ""] = /^setpriv (.*) node server\.ts$/m.exec(page.replaceAll("\\\n", "")) ?? []
const options = flags.trim().replace("--reuid dns --regid dns", "--reuid 65534 --regid 65534").split(/ +/)

/** Why it cannot be tried here, if so. */
const problem = ((): string | undefined => {
  if (process.getuid?.() !== 0) return "it takes root to start a program as somebody else"
  const { error, status, stderr } = spawnSync("setpriv", [...options, "true"], { encoding: "utf8" })
  return status === 0 ? undefined : (error?.message ?? stderr)
})()
if (problem !== undefined) console.warn(`low ports are not tried: ${problem}`)

const whoami = (port: number, how: ReadonlyArray<string>, env: Environment) =>
  start("setpriv", [...how, process.execPath, startOf("examples/whoami/main.ts")], {
    ...env,
    NODE_COMPILE_CACHE: "",
    LISTEN: `tcp://127.0.0.1:${port}`
  })

/** A port that nobody has, of those that are root's. */
const lowPort = Effect.gen(function* () {
  const found = yield* printed(
    start(interpreter(), [
      "-c",
      `
import random, socket
for port in random.sample(range(600, 1023), 400):
    try: socket.create_server(("127.0.0.1", port)).close()
    except OSError: continue
    print(port); break
`
    ])
  )
  return Number(found)
})

/** The users of a process: real, effective, saved, and of the file system. */
const usersOf = (pid: number): string => /^Uid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""

const capabilitiesOf = (pid: number): string =>
  /^CapPrm:\t0*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? ""

const bindsLowPorts = (1 << 10).toString(16)

describe.skipIf(problem !== undefined)("a server that is not root", () => {
  it.live.each([
    { placed: "in process", env: {} },
    { placed: "with processes", env: { POLICY: "pool:1" } },
    { placed: "as copies", env: { PREFORK: "2" } }
  ] as ReadonlyArray<{ readonly placed: string; readonly env: Environment }>)(
    "has a low port by one capability, and nothing else ($placed)",
    ({ env }) =>
      Effect.gen(function* () {
        const { env: marked, pids } = mark()
        const port = yield* lowPort
        const { server } = yield* listening(whoami(port, options, { ...env, ...marked }))
        assert.match(
          yield* printed(python(String(port), `s = connect(); s.sendall(b"hi\\n"); print(line(s).decode())`)),
          /: hi\n/
        )
        for (const pid of pids()) {
          assert.strictEqual(usersOf(pid), Array(4).fill("65534").join("\t"))
          assert.strictEqual(capabilitiesOf(pid), bindsLowPorts)
        }
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      })
  )

  it.live("is told why it has none without it", () =>
    Effect.gen(function* () {
      const port = yield* lowPort
      const server = yield* whoami(port, ["--reuid", "65534", "--regid", "65534", "--clear-groups"], {})
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, new RegExp(`^Cannot bind tcp://127.0.0.1:${port}: permission denied[^\\n]*\\n$`))
    })
  )
})

/** What the page has an administrator say, in a network of its own. */
const [opened = ""] = /^sysctl -w net\.ipv4\.ip_unprivileged_port_start=\d+/m.exec(page) ?? []
const inNamespace = `ip link set lo up && ${opened} > /dev/null && exec "$@"`

const closedOff = ((): string | undefined => {
  const { error, status, stderr } = spawnSync("unshare", ["--net", "sh", "-c", inNamespace, "sh", "true"], {
    encoding: "utf8"
  })
  return status === 0 ? undefined : (error?.message ?? stderr)
})()
if (closedOff !== undefined) console.warn(`a network of its own is not tried: ${closedOff}`)

describe.skipIf(problem !== undefined || closedOff !== undefined)("a network without low ports", () => {
  it.live("lets a server that is not root have one, and no capability", () =>
    Effect.gen(function* () {
      const user = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
      const { server } = yield* listening(
        start(
          "unshare",
          ["--net", "sh", "-c", inNamespace, "sh", "setpriv", ...user, process.execPath, "examples/whoami/main.ts"],
          { NODE_COMPILE_CACHE: "", LISTEN: "tcp://127.0.0.1:53" }
        )
      )
      const ask = `import socket; s = socket.create_connection(("127.0.0.1", 53), 30); s.sendall(b"hi\\n"); print(s.recv(99).decode())`
      const inside = start("nsenter", ["--net", "-t", String(server.pid), "python3", "-c", ask])
      assert.match(yield* printed(inside), /: hi\n/)
      assert.strictEqual(usersOf(server.pid), Array(4).fill("65534").join("\t"))
      assert.strictEqual(capabilitiesOf(server.pid), "")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )
})

describe("a program that is told to become somebody else", () => {
  it.live.each([{ env: {} }, { env: { PREFORK: "2" } }] as ReadonlyArray<{ readonly env: Environment }>)(
    "does not start, since it would go on as who it is (%o)",
    ({ env }) =>
      Effect.gen(function* () {
        const server = yield* example("echo", { ...env, RUN_AS: "nobody" })
        assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
        assert.match(server.stderr, /^RUN_AS: a program does not change its user; start it as that user[^\n]*\n$/)
        assert.strictEqual(server.stdout, "")
      })
  )
})
