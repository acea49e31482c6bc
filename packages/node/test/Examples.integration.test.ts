import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deadlines, example, missing, printed, serving, socat } from "./support/programs.ts"

const noSocat = missing("socat")

describe.skipIf(noSocat)("examples/chat", () => {
  it.live("greets, passes lines on to the others, and says who left, killed or not", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("chat", { DRAIN_TIMEOUT: "1 hour" })
      const ada = yield* socat(port)
      yield* ada.prints(/^Welcome, guest-1\.\n/)
      const bob = yield* socat(port)
      yield* bob.prints(/^Welcome, guest-2\.\n/)
      const eve = yield* socat(port)
      yield* eve.prints(/^Welcome, guest-3\.\n/)
      yield* ada.prints(/guest-2 has joined\n\* guest-3 has joined\n$/)
      yield* bob.prints(/guest-3 has joined\n$/)

      yield* ada.write("Hello, you two\n")
      yield* bob.prints(/guest-1: Hello, you two\n$/)
      yield* eve.prints(/guest-1: Hello, you two\n$/)

      yield* bob.signal("SIGKILL")
      yield* ada.prints(/\* guest-2 has left\n$/)
      yield* eve.closeInput
      yield* eve.end
      yield* ada.prints(/\* guest-3 has left\n$/)

      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
      assert.deepStrictEqual(ada.stdout.split("\n"), [
        "Welcome, guest-1.",
        "* guest-2 has joined",
        "* guest-3 has joined",
        "* guest-2 has left",
        "* guest-3 has left",
        ""
      ])
    })
  )
})

describe("examples/traced-echo", () => {
  it.live.skipIf(noSocat)("says the steps of a request in the ancestor's order", () =>
    Effect.gen(function* () {
      const server = yield* example("traced-echo")
      // It says that it listens when it can answer, which is after what its layers say of themselves.
      const [, port = ""] = yield* server.prints(/^EchoServer: waiting for request\nlistening on \S+:(\d+)\n$/)
      const client = yield* socat(port)
      yield* client.write("Hello, world")
      yield* client.closeInput
      yield* client.end
      assert.strictEqual(client.stdout, "Hello, world")
      yield* server.signal("SIGINT")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.deepStrictEqual(server.stdout.replaceAll(/127\.0\.0\.1:\d+/g, "PEER").split("\n"), [
        tracedEcho[0],
        "listening on tcp://PEER",
        ...tracedEcho.slice(1),
        ""
      ])
      assert.strictEqual(server.stderr, "")
    })
  )
})

describe("examples/compose", () => {
  it.live.skipIf(noSocat)("serves two protocols over one store, each server with its own variables", () =>
    Effect.gen(function* () {
      const server = yield* example("compose", {
        KV_LISTEN: "tcp://127.0.0.1:0",
        ADMIN_LISTEN: "tcp://127.0.0.1:0",
        ADMIN_POLICY: "sequential"
      })
      const [, kv = "", admin = ""] = yield* server.prints(/^listening on \S+:(\d+)\nlistening on \S+:(\d+)\n$/)
      const ask = (port: string, text: string) =>
        printed(Effect.tap(socat(port), (client) => Effect.andThen(client.write(text), client.closeInput)))
      assert.strictEqual(yield* ask(kv, "SET name Ada\nGET name\n"), "OK\nAda\n")
      assert.strictEqual(yield* ask(admin, '{"op":"count"}\n{"op":"clear"}\n'), '{"keys":1}\n{"keys":0}\n')
      assert.strictEqual(yield* ask(kv, "GET name\n"), "(nil)\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live.each([
    { name: "KV_POLICY", value: "nonsense" },
    { name: "ADMIN_LISTEN", value: "foo://x" }
  ])("says that it is $name that is wrong", ({ name, value }) =>
    Effect.gen(function* () {
      const program = yield* example("compose", {
        KV_LISTEN: "tcp://127.0.0.1:0",
        ADMIN_LISTEN: "tcp://127.0.0.1:0",
        [name]: value
      })
      assert.deepStrictEqual(yield* program.end, { code: 1, signal: null })
      assert.strictEqual(program.stdout, "")
      assert.include(program.stderr, `${name}: Invalid`)
      assert.include(program.stderr, JSON.stringify(value))
    })
  )
})

describe("examples/demo", () => {
  it.live("prints the transcripts of the ancestor's documentation, and ends by itself", () =>
    Effect.gen(function* () {
      // None of its drains may take as long as it might.
      const demo = yield* example("demo", deadlines)
      assert.deepStrictEqual(yield* demo.end, { code: 0, signal: null })
      assert.strictEqual(demo.stderr, "")
      const lines = demo.stdout
        .replaceAll(/127\.0\.0\.1:\d+/g, "PEER")
        .replaceAll(/fiber-\d+/g, "fiber-N")
        .replaceAll(/b'\d+: /g, "b'PID: ")
        .split("\n")
      const at = lines.indexOf(`  ${tracedEcho[0]}`)
      assert.deepStrictEqual(
        lines.slice(at, at + tracedEcho.length),
        tracedEcho.map((line) => `  ${line}`)
      )
      const hello = [
        "Server:",
        "  127.0.0.1 wrote:",
        "  b'hello world with TCP'",
        "  127.0.0.1 wrote:",
        "  b'python is nice'",
        "Client:",
        "  Sent:     hello world with TCP",
        "  Received: HELLO WORLD WITH TCP",
        "  Sent:     python is nice",
        "  Received: PYTHON IS NICE"
      ].join("\n")
      assert.strictEqual(lines.join("\n").split(hello).length - 1, 2)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("  Received: b'")),
        ["sequential", "fiber-N", "fiber-N", "thread-1", "PID"].map(
          (worker) => `  Received: b'${worker}: Hello, world'`
        )
      )
      // The child is not the server.
      const [, loop = ""] = /Server loop running in process: (\d+)/.exec(demo.stdout) ?? []
      const [, child = ""] = /Received: b'(\d+): Hello, world'/.exec(demo.stdout) ?? []
      assert.strictEqual(loop, String(demo.pid))
      assert.notStrictEqual(child, loop)
    })
  )
})

/** https://pymotw.com/3/socketserver/, from the first `waiting for request` on. */
const tracedEcho = [
  "EchoServer: waiting for request",
  "EchoServer: verify_request(PEER)",
  "EchoServer: process_request(PEER)",
  "EchoServer: finish_request(PEER)",
  "EchoRequestHandler: setup",
  "EchoRequestHandler: handle",
  `EchoRequestHandler: recv()->"b'Hello, world'"`,
  "EchoRequestHandler: finish",
  "EchoServer: close_request(PEER)",
  "EchoServer: shutdown()"
]
