/** The main of a program under `PREFORK`: what `NodeServer.launch` does where it has copies. */
import * as Policy from "@socketserver/core/Policy"
import type { Gather } from "@socketserver/core/Metrics"
import type * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { later } from "../later.ts"
import type { Manager } from "../launch/manager.ts"
import { unpack } from "../metrics/packed.ts"
import { platformTick } from "../worker/channel/platformTick.ts"
import { becomeInert } from "../worker/child/role.ts"
import { Binder } from "./binder.ts"
import type { CopyLimits } from "./copyHandle.ts"
import { spawnCopy } from "./spawnCopy.ts"
import { Supervisor } from "./supervisor.ts"

/**
 * Runs so many copies of the program until it is stopped, and ends it when they
 * have. What exists once is run in this process: copies start when that is ready,
 * and it ends after them.
 */
export const run = (
  count: number,
  limits: CopyLimits,
  manager: Manager | undefined,
  beside: ((ready: () => void, gather: Gather) => Effect.Effect<never, unknown>) | undefined
): { readonly restart: () => void; readonly stop: (status: number) => void } => {
  const binder = new Binder(say)
  let once: Fiber.Fiber<never, unknown> | undefined
  const supervisor = new Supervisor(count, limits, {
    tick: platformTick,
    spawn: spawnCopy,
    bind: (place, asked) => binder.bind(place, asked),
    socketsOf: (place) => binder.socketsOf(place),
    say,
    manager,
    onEnd: (status) => {
      binder.close((error) => say(error instanceof Error ? error.message : String(error)))
      const exit = () => process.exit(status)
      if (once === undefined) return exit()
      once.addObserver(exit)
      once.interruptUnsafe()
      // It may have an end that does not come.
      later(lastMillis, exit)
    }
  })
  if (beside === undefined) supervisor.start()
  else {
    becomeInert(nobody)
    const gather: Gather = () =>
      Effect.callback((resume) => supervisor.measures.gather((all) => resume(Effect.succeed(unpack(all)))))
    once = Effect.runFork(beside(() => supervisor.start(), gather))
    once.addObserver(() => supervisor.fail(1))
  }
  return { restart: () => supervisor.restart(), stop: (status) => supervisor.stop(status) }
}

/** No server of this process takes anything: its layers are built for the sake of those that exist once. */
const nobody: Remote.Host = {
  service: "",
  address: "",
  worker: { kind: "supervisor", id: 0, requests: 0 },
  policy: Policy.sequential,
  open: () => {}
}

/** How long what exists once may take to end, when all copies have. */
const lastMillis = 2_000

const say = (line: string): void => void process.stderr.write(`${line}\n`)
