import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as NodePolicy from "@socketserver/node/NodePolicy"
import * as Effect from "effect/Effect"
import { example, missing, printed, python, serving, socat } from "./support/programs.ts"

const noPython = missing("python3")
const noSocat = missing("socat")

describe("examples/echo", () => {
  it.live.skipIf(noPython)("answers python3, which sends, half-closes and only then reads", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("echo")
      const answer = yield* printed(
        python(
          port,
          `
data = bytes(range(256)) * 400
s = connect()
s.sendall(data)
s.shutdown(socket.SHUT_WR)
print(rest(s) == data)
`
        )
      )
      assert.strictEqual(answer, "True\n")
    })
  )

  it.live.skipIf(noSocat)("answers socat, which half-closes", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("echo")
      const client = yield* socat(port)
      yield* client.write("Hello, world")
      yield* client.closeInput
      assert.deepStrictEqual(yield* client.end, { code: 0, signal: null })
      assert.strictEqual(client.stdout, "Hello, world")
    })
  )

  it.live.each(["SIGTERM", "SIGINT"] as const)("on %s ends with status 0, having printed one line", (signal) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("echo")
      yield* server.signal(signal)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stdout, `listening on tcp://127.0.0.1:${port}\n`)
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live.skipIf(noPython)("goes on when a client is killed in the middle of sending", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("echo")
      // It never reads, so the server is stopped in the middle of its answer, too.
      const victim = yield* python(
        port,
        `
s = connect()
threading.Thread(target=lambda: [s.sendall(b"x" * 65536) for _ in range(10000)], daemon=True).start()
s.recv(1)
print("in the middle")
time.sleep(60)
`
      )
      yield* victim.prints(/in the middle/)
      yield* victim.signal("SIGKILL")
      yield* victim.end
      const answer = yield* printed(python(port, `s = connect(); s.sendall(b"still here"); print(s.recv(100))`))
      assert.strictEqual(answer, "b'still here'\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live.each([
    {
      env: { POLICY: "nonsense" },
      message: `POLICY: Invalid policy "nonsense": there is no policy "nonsense". Accepted: ${NodePolicy.forms.filter((form) => !/^(and|,)/.test(form)).join(", ")}`
    },
    {
      env: { LISTEN: "foo://x" },
      message: `LISTEN: Invalid endpoint "foo://x": unknown scheme "foo". Accepted: ${Endpoint.forms.join(", ")}`
    },
    { env: { MAX_CONNECTIONS: "0" }, message: 'MAX_CONNECTIONS: "0" is not a positive integer' },
    {
      env: { LISTEN: "tcp://192.0.2.1:9000" },
      message: "Cannot bind tcp://192.0.2.1:9000: this machine does not have that address"
    }
  ])("with $env does not start, and says so", ({ env, message }) =>
    Effect.gen(function* () {
      const program = yield* example("echo", env)
      assert.deepStrictEqual(yield* program.end, { code: 1, signal: null })
      assert.strictEqual(program.stderr, `${message}\n`)
      assert.strictEqual(program.stdout, "")
    })
  )

  it.live("does not start on a port that is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("echo")
      const second = yield* example("echo", { LISTEN: `tcp://127.0.0.1:${port}` })
      assert.deepStrictEqual(yield* second.end, { code: 1, signal: null })
      assert.match(second.stderr, new RegExp(`^Cannot bind tcp://127\\.0\\.0\\.1:${port}: address in use.*\\n$`))
    })
  )
})
