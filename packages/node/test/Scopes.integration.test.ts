/** The scopes of sessions in workers: each closes to its end, once, when the last handler of its connection has ended. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Dgram from "node:dgram"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { eventually } from "./support/marked.ts"
import { type Environment, node } from "./support/programs.ts"

/** A server whose sessions live in one worker, what they have logged, and the gate that they wait for. */
const serving = (env: Environment) =>
  Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "scopes-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    )
    const [LOG, GATE] = [join(directory, "log"), join(directory, "gate")]
    const server = yield* node("packages/node/test/fixtures/scopes.ts", { LOG, GATE, ...env })
    const [, port = ""] = yield* server.prints(/^listening on \w+:\/\/127\.0\.0\.1:(\d+)\n/)
    const logged = () => (existsSync(LOG) ? readFileSync(LOG, "utf8").trimEnd().split("\n") : [])
    return {
      server,
      port: Number(port),
      logged,
      /** Waits until something was logged so often. */
      logs: (line: string, times = 1) => eventually(() => logged().filter((one) => one === line).length === times),
      open: Effect.sync(() => writeFileSync(GATE, "")),
      /** Stops it, and waits until it says what it has done: then it ends its worker. */
      stop: Effect.andThen(
        server.signal("SIGTERM"),
        eventually(() => server.all.includes("stopped Scopes"))
      ),
      ended: Effect.map(server.end, (ended) => assert.deepStrictEqual(ended, { code: 0, signal: null }))
    }
  })

const connect = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const socket = Net.connect(port, "127.0.0.1")
        // Some are reset, by one side or the other.
        socket.on("error", () => {})
        await once(socket, "connect")
        return socket
      }),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket) => {
      const lines = createInterface(socket)
      return {
        tell: (text: string) => Effect.sync(() => void socket.write(`${text}\n`)),
        ask: (text: string) =>
          Effect.promise(async () => {
            const answer = once(lines, "line")
            socket.write(`${text}\n`)
            return String((await answer)[0])
          }),
        close: Effect.sync(() => void socket.end()),
        reset: Effect.sync(() => void socket.resetAndDestroy())
      }
    }
  )

const workers = ["pool", "thread"]

describe.each(workers)("the scope of a session under %s", (WORKERS) => {
  it.live("closes to its end at a stop, before what it uses does", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, server, stop } = yield* serving({ WORKERS })
      const [one, other] = yield* Effect.all([connect(port), connect(port)])
      for (const peer of [one, other]) yield* peer.ask("who")
      yield* stop
      yield* logs("ends", 2)
      yield* open
      yield* ended
      assert.deepStrictEqual(logged(), [
        "set up",
        "set up",
        "ends",
        "ends",
        "has ended",
        "has ended",
        "the store is closed"
      ])
      assert.strictEqual(server.stderr, "")
    })
  )

  it.live("closes after a handler that a stop has cut off", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, stop } = yield* serving({ WORKERS, DRAIN_TIMEOUT: "100 millis" })
      const peer = yield* connect(port)
      yield* peer.tell("wait")
      yield* logs("handles")
      yield* stop
      yield* logs("interrupted")
      yield* open
      yield* ended
      assert.deepStrictEqual(logged(), [
        "set up",
        "handles",
        "interrupted",
        "let go",
        "ends",
        "has ended",
        "the store is closed"
      ])
    })
  )

  it.live("closes to its end in a worker that is replaced", () =>
    Effect.gen(function* () {
      const { logged, logs, open, port } = yield* serving({ WORKERS, RECYCLE: "1" })
      const peer = yield* connect(port)
      const first = yield* peer.ask("who")
      yield* peer.close
      yield* logs("ends")
      // One that takes its place is there: it was told to end.
      const next = yield* connect(port)
      assert.notStrictEqual(yield* next.ask("who"), first)
      assert.notInclude(logged(), "has ended")
      yield* open
      yield* logs("the store is closed")
      assert.deepStrictEqual(
        logged().filter((line) => line !== "set up"),
        ["ends", "has ended", "the store is closed"]
      )
    })
  )

  it.live("closes after the last handler of a peer that is gone", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, stop } = yield* serving({ WORKERS })
      const peer = yield* connect(port)
      yield* peer.tell("wait")
      yield* logs("handles")
      yield* peer.reset
      yield* logs("interrupted")
      // What its parent says of others comes after what it has said of this.
      const other = yield* connect(port)
      yield* logs("set up", 2)
      yield* other.reset
      yield* logs("ends")
      assert.notInclude(logged(), "let go")
      yield* open
      yield* logs("has ended", 2)
      yield* stop
      yield* ended
      const all = logged()
      assert.isBelow(all.indexOf("let go"), all.lastIndexOf("ends"))
      assert.strictEqual(all.filter((line) => line === "ends").length, 2)
    })
  )

  it.live("closes after the last handler of a peer that has closed", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, stop } = yield* serving({ WORKERS })
      const peer = yield* connect(port)
      yield* peer.tell("wait")
      yield* logs("handles")
      yield* peer.close
      yield* open
      yield* logs("has ended")
      assert.deepStrictEqual(logged(), ["set up", "handles", "handled", "ends", "has ended"])
      yield* stop
      yield* ended
      assert.strictEqual(logged().filter((line) => line === "ends").length, 1)
    })
  )

  it.live("closes to its end at a stop after it has refused its peer", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, stop } = yield* serving({ WORKERS, END: "refuses" })
      yield* connect(port)
      yield* logs("ends")
      yield* stop
      yield* open
      yield* ended
      assert.deepStrictEqual(logged(), ["set up", "ends", "has ended", "the store is closed"])
    })
  )

  it.live("closes to its end at a stop where it is that of a sender of datagrams", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, open, port, stop } = yield* serving({ WORKERS, LISTEN: "udp://127.0.0.1:0" })
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Dgram.createSocket("udp4")),
        (socket) => Effect.sync(() => socket.close())
      )
      yield* Effect.promise(async () => {
        const answer = once(socket, "message")
        socket.send("who", port, "127.0.0.1")
        await answer
      })
      yield* stop
      yield* logs("ends")
      yield* open
      yield* ended
      assert.deepStrictEqual(logged(), ["set up", "ends", "has ended", "the store is closed"])
    })
  )

  it.live("says what it dies of, as in the program itself", () =>
    Effect.gen(function* () {
      const { ended, logged, logs, port, server, stop } = yield* serving({ WORKERS, END: "dies" })
      const peer = yield* connect(port)
      yield* peer.ask("who")
      yield* peer.close
      yield* server.complains(
        /WARN \(#\d+\): Scopes: the state of a connection was not released: it is gone server=Scopes\n$/
      )
      yield* logs("ends")
      yield* stop
      yield* ended
      assert.deepStrictEqual(logged(), ["set up", "ends", "the store is closed"])
    })
  )

  it.live("says what it dies of at a stop", () =>
    Effect.gen(function* () {
      const { ended, port, server, stop } = yield* serving({ WORKERS, END: "dies" })
      const peer = yield* connect(port)
      yield* peer.ask("who")
      yield* stop
      yield* ended
      assert.match(server.stderr, /Scopes: the state of a connection was not released: it is gone/)
    })
  )

  it.live("closes to its end where its own handler stops the server", () =>
    Effect.gen(function* () {
      const { logged, logs, open, port } = yield* serving({ WORKERS })
      const [one, other] = yield* Effect.all([connect(port), connect(port)])
      yield* other.ask("who")
      assert.strictEqual(yield* one.ask("stop"), "stopped")
      yield* logs("ends", 2)
      yield* open
      // Its program goes on.
      yield* logs("the store is closed")
      const ends = ["ends", "ends", "has ended", "has ended"]
      assert.deepStrictEqual(logged(), ["set up", "set up", ...ends, "the store is closed"])
    })
  )

  it.live.each([
    { END: "never", what: "takes longer than the grace period" },
    { END: "blocks", what: "blocks its worker" }
  ])("is cut off where it $what, and the stop ends", ({ END }) =>
    Effect.gen(function* () {
      const { ended, logged, port, stop } = yield* serving({ WORKERS, END, DURATION: "200 millis" })
      const peer = yield* connect(port)
      yield* peer.ask("who")
      yield* stop
      yield* ended
      // On a busy machine it may be cut off before it begins.
      assert.strictEqual(logged()[0], "set up")
      assert.notInclude(logged(), "has ended")
    })
  )
})
