import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deadlines, listening, missing, node, python, serving } from "./support/programs.ts"

const noPython = missing("python3")

/** What a program says that ended by the default deadline, and not by its own. */
const waited = /^waited for/m

describe.skipIf(noPython)("a program that is asked to stop", () => {
  it.live.each(["SIGTERM", "SIGINT"] as const)(
    "on %s answers the 100 requests of 100 connections that are in the handler, and ends with 0",
    (signal) =>
      Effect.gen(function* () {
        const { port, server } = yield* serving("whoami", { DELAY: "500 millis" })
        const client = yield* python(
          port,
          `
all = [connect() for _ in range(100)]
for s in all: s.sendall(b"first\\n")
for s in all: line(s)
for i, s in enumerate(all): s.sendall(f"{i}\\n".encode())
print("sent")
print(sum(rest(s).decode().endswith(f": {i}\\n") for i, s in enumerate(all)), "answered")
`
        )
        yield* client.prints(/sent/)
        yield* server.signal(signal)
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        yield* client.prints(/100 answered/)
        assert.strictEqual(server.stderr, "")
      })
  )

  it.live.each(["sequential", "fiber", "connection"])(
    "under %s answers the 100 requests that one connection has pipelined",
    (policy) =>
      Effect.gen(function* () {
        const { port, server } = yield* serving("whoami", { POLICY: policy, DELAY: "10 millis" })
        const client = yield* python(
          port,
          `
s = connect()
s.sendall(b"first\\n")
line(s)
s.sendall(b"".join(f"{i}\\n".encode() for i in range(100)))
print("sent")
print([l.split(": ")[1] for l in rest(s).decode().split("\\n")[:-1]] == [str(i) for i in range(100)])
`
        )
        yield* client.prints(/sent/)
        yield* server.signal("SIGTERM")
        assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
        yield* client.prints(/True/)
      })
  )

  // The deadline is an hour away: what ends here does not end by it.
  it.live("closes idle connections at once, and ends although their clients never close", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("whoami", { DRAIN_TIMEOUT: "1 hour" })
      const client = yield* python(
        port,
        `
silent = [connect() for _ in range(3)]
asked = [connect() for _ in range(3)]
for s in asked: s.sendall(b"hello\\n")
for s in asked: line(s)
print("idle")
print([rest(s) for s in silent + asked])
sys.stdin.read()
`
      )
      yield* client.prints(/idle/)
      yield* server.signal("SIGTERM")
      yield* client.prints(/\[b'', b'', b'', b'', b'', b''\]/)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.isTrue(yield* client.running)
    })
  )

  it.live.each(["waits", "cannot be interrupted"])("is not held beyond DRAIN_TIMEOUT by a handler that %s", (handler) =>
    Effect.gen(function* () {
      const { port, server } = yield* listening(
        node("packages/node/test/support/stubborn.ts", { ...deadlines, HANDLER: handler, DRAIN_TIMEOUT: "1 second" })
      )
      const client = yield* python(
        port,
        `
s = connect()
s.sendall(b"forever\\n")
try: print("got", s.recv(100))
except ConnectionResetError: print("got", b"")
`
      )
      yield* server.prints(/handling forever/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.notMatch(server.stderr, waited)
      yield* client.prints(/got b''/)
    })
  )

  it.live("is not held beyond DRAIN_TIMEOUT by a peer that never reads its answer", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("echo", { ...deadlines, DRAIN_TIMEOUT: "1 second" })
      const client = yield* python(
        port,
        `
s = connect()
s.settimeout(1)
try:
    while True: s.sendall(b"x" * 65536)
except TimeoutError: print("the server does not read any more")
sys.stdin.read()
`
      )
      yield* client.prints(/does not read any more/)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.notMatch(server.stderr, waited)
    })
  )
})

describe.skipIf(noPython)("a program of two servers, one of which loses its listener", () => {
  it.live.each(["nested", "merged"])("answers what both have received, and ends with the error (%s layers)", (layers) =>
    Effect.gen(function* () {
      const server = yield* node("packages/node/test/support/dying.ts", { LAYERS: layers })
      const [, one = "", two = ""] = yield* server.prints(/listening on \S+:(\d+)\nlistening on \S+:(\d+)\n/)
      const ask = (port: string, line: string) =>
        python(port, `s = connect(); s.sendall(b"${line}\\n"); print("got", rest(s))`)
      const clients = [yield* ask(one, "one"), yield* ask(two, "two")]
      yield* server.prints(/handling one/)
      yield* server.prints(/handling two/)
      yield* server.signal("SIGUSR2")
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.match(server.stderr, /The listener on tcp:\S+ failed: nobody listens/)
      for (const client of clients) yield* client.end
      assert.deepStrictEqual(
        clients.map((client) => client.stdout),
        ["got b'one\\n'\n", "got b'two\\n'\n"]
      )
    })
  )
})
