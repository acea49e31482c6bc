/** A server whose requests say what goes wrong: its loop, a thread, the end of another layer. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"
import { execSync } from "node:child_process"

class Odd extends Server.Service<Odd>()("Odd", { protocol: Protocol.lines() }) {}

const forEver = Effect.sync(() => {
  for (;;) continue
})

const acts: Record<string, () => Effect.Effect<unknown, never, Odd>> = {
  /** The loop does not turn again. */
  loop: () => forEver,
  /** The same, once a stop has begun. */
  "loop later": () => Effect.andThen(Odd, (server) => Effect.andThen(server.stopping, forEver)),
  /** Once the server has left, its stop may take long; and so does this. */
  "drain later": () =>
    Effect.gen(function* () {
      const { control, isReady } = yield* Odd
      while (yield* isReady) yield* Effect.sleep("5 millis")
      yield* Effect.orDie(control.change({ drainTimeout: "1 hour" }))
      yield* Effect.sleep("2500 millis")
    }),
  /** From now on a stop may take no longer. */
  "drain soon": () =>
    Effect.flatMap(Odd, ({ control }) => Effect.orDie(control.change({ drainTimeout: "100 millis" }))),
  /** The loop does not turn for a second. */
  busy: () =>
    Effect.sync(() => {
      for (const end = performance.now() + 1_000; performance.now() < end;) continue
    }),
  /** A thread cannot be ended. */
  exec: () => Effect.sync(() => execSync("sleep 20", { stdio: "ignore" })),
  never: () => Effect.never,
  slow: () => Effect.sleep("200 millis"),
  log: () => Effect.logWarning("a line"),
  print: () => Console.log("a line")
}

const OddLive = Odd.serve(({ body }) =>
  Effect.andThen(
    Effect.sync(() => process.stdout.write(`handling ${body}\n`)),
    Effect.as(acts[body]?.() ?? Effect.void, Response.make(body))
  )
)

/** Something else of the program, which has to be released. */
const Other = Layer.effectDiscard(
  Effect.addFinalizer(() =>
    Effect.andThen(Console.log("releasing"), process.env["OTHER"] === "never ends" ? Effect.never : Effect.void)
  )
)

Layer.mergeAll(OddLive, Odd.announce, Other).pipe(Layer.provide(NodeServer.layerConfig(Odd)), NodeServer.launch)
