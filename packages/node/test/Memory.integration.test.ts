/** What peers make a program hold, by what V8 says of it, under attacks. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { startOf } from "./support/bundles.ts"
import { start } from "./support/programs.ts"

const mib = 1_048_576
const maxMemory = 16

const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect({ port, host: "127.0.0.1" }, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

interface Figures {
  readonly bytes: number
  readonly connections: number
  readonly counts: object
}

const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}\n`

describe("what a program holds", () => {
  it.live.each([
    { what: "JSON that is never answered", env: { PROTOCOL: "json", HOW: "never" }, text: deep, count: 150 },
    { what: "replies that nobody reads", env: { REPLY: "65536" }, text: "\n".repeat(100_000), count: 150 }
  ])("stays within the formula: $what", ({ count, env, text }) =>
    Effect.gen(function* () {
      const program = yield* start(process.execPath, ["--expose-gc", startOf("scripts/hostile/target.ts")], {
        LISTEN: "tcp://127.0.0.1:0",
        MAX_MEMORY: `${maxMemory}MiB`,
        ...env
      })
      const [, port] = yield* program.prints(/listening on tcp:\/\/127\.0\.0\.1:(\d+)/)
      let asked = 0
      const figures = Effect.gen(function* () {
        asked++
        yield* program.signal("SIGUSR2")
        const [all] = yield* program.prints(new RegExp(`^(?:[^\\n]*\\n){${asked + 1}}`))
        return JSON.parse(all.trimEnd().split("figures ").at(-1)!) as Figures
      })
      const before = yield* figures
      const sockets = yield* Effect.forEach(Array.from({ length: count }), () => connect(Number(port)))
      for (const socket of sockets) socket.pause().write(text)
      // Until nothing changes any more.
      let most = 0
      let last = ""
      for (let same = 0; same < 3;) {
        const now = yield* figures
        most = Math.max(most, now.bytes)
        const all = JSON.stringify([now.connections, now.counts])
        same = all === last ? same + 1 : 0
        last = all
      }
      const formula = (count * 5_000) / mib + 1.5 * maxMemory
      assert.isAtMost((most - before.bytes) / mib, formula * 1.25)
    }).pipe(Effect.scoped)
  )
})
