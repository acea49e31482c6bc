import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import { node } from "./support/programs.ts"

const serving = (env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const server = yield* node("packages/node/test/fixtures/senders.ts", { LISTEN: "udp://127.0.0.1:0", ...env })
    const [, port = ""] = yield* server.prints(/^listening on udp:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, port: Number(port) }
  })

/** A sender: what it is answered, or nothing where nothing is to come. */
const sender = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = Dgram.createSocket("udp4")
        socket.connect(port, "127.0.0.1")
        await once(socket, "connect")
        return socket
      }),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket) => ({
      send: (text: string) =>
        Effect.promise(async () => {
          const answer = once(socket, "message")
          socket.send(text)
          return String((await answer)[0])
        }),
      tell: (text: string) => Effect.sync(() => socket.send(text))
    })
  )

describe("the state of a sender", () => {
  it.live.each(["fiber", "sequential", "thread:2", "pool:2"])("is its own under %s", (POLICY) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving({ POLICY })
      const senders = yield* Effect.all([sender(port), sender(port), sender(port)])
      for (const n of [1, 2, 3]) {
        for (const [i, { send }] of senders.entries()) assert.strictEqual(yield* send(`${i}`), `${n}: ${i}`)
      }
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live("begins anew where the worker that had it has crashed", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving({ POLICY: "pool:1" })
      const { send, tell } = yield* sender(port)
      assert.strictEqual(yield* send("a"), "1: a")
      yield* tell("crash")
      yield* server.complains(/worker \d+ .*3/)
      assert.strictEqual(yield* send("b"), "1: b")
    })
  )

  it.live("makes room for that of another, where there may be one", () =>
    Effect.gen(function* () {
      const { port } = yield* serving({ POLICY: "fiber", MAX_SENDERS: "1" })
      const [one, other] = yield* Effect.all([sender(port), sender(port)])
      assert.strictEqual(yield* one.send("a"), "1: a")
      assert.strictEqual(yield* other.send("b"), "1: b")
      assert.strictEqual(yield* other.send("c"), "2: c")
      assert.strictEqual(yield* one.send("d"), "1: d")
    })
  )

  it.live("has no place where each request has a process", () =>
    Effect.gen(function* () {
      const server = yield* node("packages/node/test/fixtures/senders.ts", {
        LISTEN: "udp://127.0.0.1:0",
        POLICY: "process"
      })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.include(server.stderr, "a Session keeps state for each connection")
    })
  )
})
