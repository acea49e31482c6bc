/** Python sends what statsd's and DogStatsD's clients send, over UDP and TCP. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { example, printed, type Program, script } from "../../packages/node/test/support/programs.ts"
import { beside } from "../support/adversaries.ts"
import { missing } from "../support/clients.ts"

const listening = (env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const server = yield* example("statsd", { LISTEN: "udp://127.0.0.1:0,tcp://127.0.0.1:0", ...env })
    const [, udp = "", tcp = ""] = yield* server.prints(
      /^listening on udp:\/\/127\.0\.0\.1:(\d+)\nlistening on tcp:\/\/127\.0\.0\.1:(\d+)\n/
    )
    return { server, udp, tcp }
  })

const told = (server: Program) => server.stdout.split("\n").filter((line) => !/^(listening on .*)?$/.test(line))

describe.skipIf(missing("python3", "python3"))("examples/statsd", () => {
  it.live("counts what comes over UDP and TCP, and tells the rest when it stops", () =>
    Effect.gen(function* () {
      const { server, tcp, udp } = yield* listening({ FLUSH: "1 hour" })
      yield* printed(script(sends, [udp, tcp]))
      // Datagrams that were sent before the connection was answered may still be on their way; a stop reads what has arrived.
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.deepStrictEqual(told(server), [
        "answer timer count=12 min=10 mean=19.1666666667 max=20",
        "hits counter 1110",
        "hits{env:prod,path:/} counter 3",
        "queue gauge 5",
        "statsd.bad_lines_seen counter 2",
        "users set 3"
      ])
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live("counts beside those who say nothing, too much, or half of something", () =>
    Effect.gen(function* () {
      const { server, tcp } = yield* listening({ FLUSH: "1 hour" })
      yield* beside({
        server,
        port: tcp,
        half: "hits:1|",
        request: "others:1|c|@0.5|#env:prod\n",
        large: "x".repeat(200_000),
        served: () => Effect.scoped(Effect.asVoid(printed(script(overTcp, [tcp]))))
      })
      // Three beside each of seven.
      assert.include(told(server), "served counter 21")
    })
  )

  it.live("tells each FLUSH", () =>
    Effect.gen(function* () {
      const { server, udp } = yield* listening({ FLUSH: "50ms" })
      for (const name of ["one", "two"]) {
        yield* printed(script(datagram, [udp, `${name}:1|c`]))
        yield* server.prints(new RegExp(`\n${name} counter 1\n$`))
      }
      assert.deepStrictEqual(told(server), ["one counter 1", "two counter 1"])
    })
  )

  it.live.each([
    [
      { POLICY: "pool:2" },
      /^POLICY: Cannot run handlers of Statsd under the policy "pool:2": each worker would have counts of its own; take a policy without workers, as fiber\n$/
    ],
    [
      { POLICY: "thread:1" },
      /^POLICY: Cannot run handlers of Statsd under the policy "thread:1": each worker would have counts of its own; take a policy without workers, as fiber\n$/
    ],
    [
      { PREFORK: "2" },
      /^Cannot run handlers of Statsd under the policy "PREFORK=2": each copy would have counts of its own; leave PREFORK out\n$/
    ],
    [{ FLUSH: "10" }, /FLUSH must be a positive time, not "10"; write "30s"\n$/]
  ] as const)("%j ends the start with one line", ([env, line]) =>
    Effect.gen(function* () {
      const server = yield* example("statsd", { LISTEN: "udp://127.0.0.1:0", ...env })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, line)
      assert.strictEqual(server.stdout, "")
    })
  )
})

const sends = `
import socket, sys
udp, tcp = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
send = lambda text: s.sendto(text.encode(), ("127.0.0.1", udp))
for _ in range(100):
    send("hits:1|c")
send("hits:1|c|@0.1\\nanswer:10|ms\\nanswer:20|ms|@0.1\\nanswer:20|ms")
send("hits:1|c|#env:prod,path:/\\nhits:2|c|#path:/,env:prod\\nqueue:7|g\\nqueue:-2|g")
send("users:ada|s\\nusers:bob|s\\nnothing")
with socket.create_connection(("127.0.0.1", tcp), 30) as c:
    c.sendall(b"users:ada|s\\nusers:eve|s\\nnothing\\n" + b"hits:1|c\\n" * 1000)
    c.shutdown(socket.SHUT_WR)
    c.recv(1)
`

const datagram = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(sys.argv[2].encode(), ("127.0.0.1", int(sys.argv[1])))
`

const overTcp = `
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as c:
    c.sendall(b"served:1|c\\n")
    c.shutdown(socket.SHUT_WR)
    c.recv(1)
`
