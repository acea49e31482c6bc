/** A cheap sample of what `pnpm hostile` does to an example for longer: each adversary in turn, and somebody served beside it. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as net from "node:net"
import type { Program } from "../../packages/node/test/support/programs.ts"

export interface Crowds {
  readonly server: Program
  readonly port: string
  /** The beginning of a request. */
  readonly half: string
  /** A request, or what is as good as one. */
  readonly request: string
  /** What is larger than anything that is taken, or as bad. */
  readonly large: string
  /** Somebody who behaves well. */
  readonly served: (name: string) => Effect.Effect<void>
}

const mib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024

/** In MiB: what code, garbage and a young generation may come to in a server that was idle before. */
const unsettled = 150

export const beside = ({ half, large, port, request, served, server }: Crowds) =>
  Effect.gen(function* () {
    const before = mib(server.pid)
    const adversaries: ReadonlyArray<readonly [name: string, size: number, attack: (socket: net.Socket) => void]> = [
      ["says nothing", 200, () => {}],
      ["says half of it", 100, (socket) => void socket.write(half, "latin1")],
      ["half-closes in the middle", 100, (socket) => void socket.end(half, "latin1")],
      ["resets in the middle", 100, (socket) => void socket.write(half, "latin1", () => socket.resetAndDestroy())],
      ["never reads", 20, (socket) => void socket.pause().write(request.repeat(500), "latin1")],
      ["says too much", 20, (socket) => void socket.write(large, "latin1")],
      ["speaks something else", 20, (socket) => void socket.write("\0\x16\x03\x01\xff\r\n\r\n".repeat(1_000), "latin1")]
    ]
    for (const [name, size, attack] of adversaries) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const one = Effect.acquireRelease(
            Effect.callback<net.Socket>((resume) => {
              const socket = net.connect(Number(port), "127.0.0.1").on("error", () => {})
              socket.once("connect", () => resume(Effect.succeed(socket)))
            }),
            (socket) => Effect.sync(() => void socket.destroy())
          )
          const all = yield* Effect.forEach(Array.from({ length: size }), () => one, { concurrency: 50 })
          all.forEach(attack)
          for (let times = 0; times < 3; times++) yield* served(name)
          assert.isBelow(mib(server.pid) - before, unsettled, name)
        })
      )
    }
    yield* server.signal("SIGTERM")
    assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
  })
