/** A program that may have 64 descriptors, and 200 clients: each of them is let in or refused, and is counted so. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { startOf } from "./support/bundles.ts"
import { directory, selfSigned } from "./support/certificates.ts"
import { descriptors } from "./support/marked.ts"
import { type Environment, missing, type Program, script, start } from "./support/programs.ts"

const limit = 64
const clients = 200
const asking = 8

const home = mkdtempSync(join(tmpdir(), "few-"))
afterAll(() => rmSync(home, { recursive: true, force: true }))
const { cert, key } = selfSigned(directory(), "localhost")

/** A shell says how many descriptors the program may have, and is the program from then on. */
const whoami = (env: Environment): ReturnType<typeof start> =>
  start(
    "/bin/sh",
    ["-c", `ulimit -n ${limit}; exec "$0" "$1"`, process.execPath, startOf("examples/whoami/main.ts")],
    env
  )

/**
 * `count` clients come one after the other and stay until something has been seen; the first of them ask at once, since
 * who is silent for long makes room. How many are answered.
 */
const crowd = (endpoint: string, count: number, seen: Effect.Effect<unknown> = Effect.void) =>
  Effect.gen(function* () {
    const clients = yield* script(
      `
import socket, ssl, sys, time
scheme, rest = sys.argv[1].split(":", 1)
rest = rest.removeprefix("//")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
def connect():
    if scheme == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.connect(rest)
        return s
    host, port = rest.split(":")
    s = socket.create_connection((host, int(port)), 30)
    return context.wrap_socket(s) if scheme == "tls" else s
all = []
served = 0
for _ in range(${count}):
    try:
        s = connect()
        all.append(s)
        if len(all) > ${asking}: continue
        s.settimeout(60)
        s.sendall(b"x\\n")
        if s.recv(100): served += 1
    except OSError: pass
print(served)
sys.stdin.readline()
`,
      [endpoint]
    )
    const [, served] = yield* clients.prints(/^(\d+)\n/)
    yield* seen
    yield* clients.write("\n")
    assert.deepStrictEqual(yield* clients.end, { code: 0, signal: null })
    return Number(served)
  })

/** What it says of a stop: how many connections there were, and how many were refused. */
const stopped = (server: Program) =>
  Effect.gen(function* () {
    yield* server.signal("SIGTERM")
    assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    const [, refused, connections] = /stopped Whoami in [^\n]* (\d+) refused, (\d+) connections?/.exec(server.all) ?? []
    return { refused: Number(refused), connections: Number(connections) }
  })

describe.skipIf(missing("python3"))("200 clients of a program with 64 descriptors", () => {
  const tcp = "tcp://127.0.0.1:0"
  const placements: ReadonlyArray<Environment> = [
    { LISTEN: tcp },
    { LISTEN: `unix://${home}/socket` },
    { LISTEN: `tls://127.0.0.1:0?cert=${cert}&key=${key}` },
    { LISTEN: tcp, POLICY: "pool:2" },
    { LISTEN: tcp, POLICY: "thread:2" },
    { LISTEN: tcp, POLICY: "process" },
    { LISTEN: tcp, PREFORK: "2" }
  ]
  // What follows from the limit; and what a program says that knows better, wherever its connections are.
  const all = [
    ...placements,
    { LISTEN: tcp, MAX_CONNECTIONS: "4096" },
    { LISTEN: tcp, POLICY: "pool:2", MAX_CONNECTIONS: "4096" },
    { LISTEN: tcp, PREFORK: "2", MAX_CONNECTIONS: "4096" }
  ]

  it.live.each(all)("are let in or refused, and counted so: %j", (env) =>
    Effect.gen(function* () {
      const server = yield* whoami(env)
      const [, endpoint = ""] = yield* server.prints(/^listening on (\S+)\n/)
      // The kernel connects them before the server sees them.
      const refused = server.complains(/WARN [^\n]*descriptors/)
      assert.strictEqual(yield* crowd(endpoint, clients, refused), asking)
      assert.notMatch(server.stderr, /EMFILE|ERROR/)
      assert.isAtMost(descriptors(server.pid), limit)
      // It has recovered when they have left.
      assert.strictEqual(yield* crowd(endpoint, 1), 1)
      const stop = yield* stopped(server)
      assert.strictEqual(stop.connections + stop.refused, clients + 1)
      assert.isAtLeast(stop.connections, asking + 1)
    }).pipe(Effect.scoped)
  )
})
