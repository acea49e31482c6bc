/** Programs with copies that start at the same moment: a port is the first one's. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as dgram from "node:dgram"
import * as net from "node:net"
import { Binder } from "../src/internal/prefork/binder.ts"
import type { Bound } from "../src/internal/prefork/supervisor.ts"

type Kind = "tcp" | "udp"

/** A port that nobody has. */
const free = (kind: Kind) =>
  Effect.callback<number>((resume) => {
    if (kind === "tcp") {
      const server = net.createServer().listen({ host: "127.0.0.1", port: 0 }, () => {
        const { port } = server.address() as net.AddressInfo
        server.close(() => resume(Effect.succeed(port)))
      })
    } else {
      const socket = dgram.createSocket("udp4").bind({ address: "127.0.0.1", port: 0 }, () => {
        const { port } = socket.address()
        socket.close(() => resume(Effect.succeed(port)))
      })
    }
  })

const binder = Effect.acquireRelease(
  Effect.sync(() => new Binder(() => {})),
  (binder) => Effect.sync(() => binder.close(() => {}))
)

/** As a copy does with the socket that it gets. */
const listen = ({ socket }: Bound) => (socket as { readonly listen?: (backlog: number) => number }).listen?.(1)

const isElsewhere = process.platform !== "linux"
if (isElsewhere)
  console.warn("sockets of one port are not tried: the kernel spreads what comes among them on Linux alone")

describe.skipIf(isElsewhere).each(["tcp", "udp"] as const)("a port over %s", (kind) => {
  it.live.each([1, 2, 3, 4, 5])("is had by one of three that ask for it at once (%i)", () =>
    Effect.gen(function* () {
      const asked = { kind, host: "127.0.0.1", port: yield* free(kind), index: 0 }
      const binders = [yield* binder, yield* binder, yield* binder]
      const all = binders.map((binder) => binder.bind(0, asked))
      const first = yield* Effect.promise(() => Promise.race(all.map((one, i) => one.then((bound) => ({ bound, i })))))
      // Over UDP whoever fails may be first.
      if (first.bound.error === undefined) listen(first.bound)
      const bound = yield* Effect.promise(() => Promise.all(all))
      assert.deepStrictEqual(bound.map(({ error, port }) => error?.code ?? port).sort(), [
        asked.port,
        "EADDRINUSE",
        "EADDRINUSE"
      ])
      const winner = binders[bound.findIndex(({ error }) => error === undefined)]!
      // Its other copies have it, too.
      const others = yield* Effect.promise(() => Promise.all([1, 2, 3].map((place) => winner.bind(place, asked))))
      assert.deepStrictEqual(
        others.map(({ error, port }) => error ?? port),
        [asked.port, asked.port, asked.port]
      )
    }).pipe(Effect.scoped)
  )

  it.live("is another's when the one that had it first has ended before it listens", () =>
    Effect.gen(function* () {
      const asked = { kind, host: "127.0.0.1", port: yield* free(kind), index: 0 }
      const [first, second] = [yield* binder, yield* binder]
      assert.strictEqual((yield* Effect.promise(() => first.bind(0, asked))).port, asked.port)
      const late = second.bind(0, asked)
      if (kind === "udp") assert.strictEqual((yield* Effect.promise(() => late)).error?.code, "EADDRINUSE")
      first.close(() => {})
      const bound = kind === "udp" ? second.bind(0, asked) : late
      assert.strictEqual((yield* Effect.promise(() => bound)).port, asked.port)
    }).pipe(Effect.scoped)
  )

  it.live("is told at once where its copies listen", () =>
    Effect.gen(function* () {
      const asked = { kind, host: "127.0.0.1", port: yield* free(kind), index: 0 }
      const [first, second] = [yield* binder, yield* binder]
      listen(yield* Effect.promise(() => first.bind(0, asked)))
      const { error } = yield* Effect.promise(() => second.bind(0, asked))
      assert.strictEqual(error?.code, "EADDRINUSE")
    }).pipe(Effect.scoped)
  )
})
