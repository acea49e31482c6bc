/** Runs layers as a program: `NodeServer.launch`. */
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import * as Runtime from "effect/Runtime"
import * as once from "../onlyParent.ts"
import { copy } from "../prefork/copy.ts"
import type { CopyLimits } from "../prefork/copyHandle.ts"
import { lineOf } from "../startError.ts"
import { role } from "../worker/child/role.ts"
import { isDebugged } from "./debugger.ts"
import { LastResort } from "./lastResort.ts"
import { type Manager, takeManager } from "./manager.ts"
import { tolerate } from "./output.ts"
import { Servers } from "./servers.ts"

const noop = () => {}

export const launch = <A, E>(layer: Layer.Layer<A, E>): void => {
  if (role !== undefined) {
    return void import("../worker/child/run.ts").then(({ problem, ready, run }) =>
      run(programOf(layer, { ...led, servers: new Servers(), ready, problem }))
    )
  }
  tolerate()
  const copies = copy === undefined ? setting("PREFORK", countOf) : undefined
  const silence = setting("WATCHDOG", timeOf({ off: true }))
  setting("RUN_AS", nobodyElse)
  const manager = takeManager()
  if (copies !== undefined) {
    const limits = {
      startMillis: setting("START_TIMEOUT", timeOf({})) ?? 30_000,
      hangMillis: setting("HANG_TIMEOUT", timeOf({ off: true })) ?? 10_000
    }
    return supervise(copies, limits, manager, once.isAsked() ? layer : undefined)
  }
  const lastResort = new LastResort()
  // A debugger that holds the program is no fault of it.
  if (silence !== undefined && silence !== Infinity && !isDebugged()) lastResort.watchdog.watch(silence)
  const servers = new Servers()
  let asked = false
  const stopping = () => {
    manager?.stopping()
    lastResort.arm(
      servers.drainMillis,
      () => (asked ? 0 : 1),
      (millis) => servers.unstopped(millis)
    )
  }
  const problem = (line: string) => copy?.ends(line) ?? Console.error(line)
  const ready = () => {
    copy?.ready(servers.drainMillis)
    manager?.ready()
    manager?.watch(() => true)
  }
  const program = programOf(layer, { servers, ready, stopping, isAsked: () => asked, problem })
  // Before it is interrupted its servers stop: what is still being built may be what answers their requests.
  const ending = Effect.suspend(() => (copy?.isRetired === true ? servers.stop : servers.leave))
  const main = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(program), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.andThen(ending, Fiber.interrupt(fiber)))
    )
  )
  const fiber = Effect.runFork(main)
  // Until it ends, whether or not anything else keeps it alive.
  const alive = setInterval(noop, 2 ** 31 - 1)
  fiber.addObserver((exit) => {
    clearInterval(alive)
    // Being asked to stop, and having stopped, is success.
    if (asked && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) lastResort.exit(0)
    else Runtime.defaultTeardown(exit, (status) => status !== 0 && lastResort.exit(status))
  })
  const stop = () => {
    asked = true
    stopping()
    fiber.interruptUnsafe()
  }
  if (copy !== undefined) return copy.onStop(stop)
  onSignals((status) => {
    // Who asks twice does not want to wait for the drain.
    if (asked) lastResort.exit(status)
    else stop()
  })
}

/** What a program is run with. */
interface Run {
  readonly servers: Servers
  /** Its layers are built. */
  readonly ready: () => void
  /** Its stop begins. */
  readonly stopping: () => void
  /** Whether it was asked to stop. */
  readonly isAsked: () => boolean
  /** Says, in a line, why it cannot start or go on. */
  readonly problem: (line: string) => Effect.Effect<void>
}

/** Of a program whose end somebody else decides. */
const led: Pick<Run, "stopping" | "isAsked"> = { stopping: noop, isAsked: () => false }

/** Builds the layers, and waits; at the end their servers stop, and then their scope closes. */
const programOf = <A, E>(
  layer: Layer.Layer<A, E>,
  { isAsked, problem, ready, servers, stopping }: Run
): Effect.Effect<never, E | ServerError> => {
  const died = Deferred.makeUnsafe<never, ServerError>()
  let built = false
  const started = Effect.andThen(
    Layer.build(layer),
    Effect.suspend(() => {
      built = true
      return servers.ready
    })
  )
  const running = Effect.andThen(
    started,
    Effect.suspend(() => {
      ready()
      return Effect.never
    })
  )
  const stop = Effect.suspend(() => {
    // A start that failed has nothing to tell but why.
    if (!built && !isAsked()) return servers.stop
    stopping()
    return Effect.flatMap(servers.stop, (all) => {
      if (copy !== undefined) return copy.stopped(all)
      servers.tell()
      return Effect.void
    })
  })
  return Effect.scoped(Effect.ensuring(running, stop)).pipe(
    Effect.raceFirst(Deferred.await(died)),
    Effect.provideService(Server.OnListenerDied, (error) => Effect.asVoid(Deferred.fail(died, error))),
    Effect.provideService(Server.OnListening, servers.add),
    Effect.tapCause((cause) => report(cause, problem)),
    Effect.provideService(Logger.LogToStderr, true)
  )
}

/** Runs copies of the program, and beside them what exists once. A signal that comes before their supervisor is loaded is kept for it. */
const supervise = <A, E>(
  copies: number,
  limits: CopyLimits,
  manager: Manager | undefined,
  layer: Layer.Layer<A, E> | undefined
): void => {
  let early: number | undefined
  let stop: ((status: number) => void) | undefined
  onSignals((status) => {
    if (stop === undefined) early = status
    else stop(status)
  })
  // Until there are copies there is nothing to begin anew.
  let restart = noop
  process.on("SIGHUP", () => restart())
  void import("../prefork/run.ts").then(({ run }) => {
    if (early !== undefined) process.exit(0)
    const beside =
      layer &&
      ((ready: () => void) => programOf(layer, { ...led, servers: new Servers(), ready, problem: Console.error }))
    const running = run(copies, limits, manager, beside)
    stop = running.stop
    restart = running.restart
  })
}

/** Calls `stop` with the exit status that the signal stands for. */
const onSignals = (stop: (status: number) => void): void => {
  const on = (_: NodeJS.Signals, signal: number) => stop(128 + signal)
  process.on("SIGINT", on)
  process.on("SIGTERM", on)
}

/** Reads a variable of the program itself, whose error is its end. */
const setting = <A>(name: string, parse: (text: string) => Result.Result<A, string>): A | undefined => {
  const text = process.env[name]
  if (text === undefined || text === "") return undefined
  const parsed = parse(text)
  if (Result.isSuccess(parsed)) return parsed.success
  process.stderr.write(`${name}: ${parsed.failure}\n`)
  process.exit(1)
}

const countOf = (text: string): Result.Result<number, string> =>
  /^[1-9]\d{0,3}$/.test(text)
    ? Result.succeed(Number(text))
    : Result.fail(`${JSON.stringify(text)} is not a positive integer`)

/** Whoever sets it believes that the program is not root any more. */
const nobodyElse = (): Result.Result<never, string> =>
  Result.fail(
    "a program does not change its user; start it as that user, with CAP_NET_BIND_SERVICE or with a socket of its manager where it has a port below 1024"
  )

/** In milliseconds. */
const timeOf =
  (forms: Settings.DurationForms) =>
  (text: string): Result.Result<number, string> =>
    Result.mapBoth(Settings.duration(text, forms), {
      onSuccess: Duration.toMillis,
      onFailure: (problem) => `it ${problem}`
    })

// An expected error says what is wrong in its message; a defect needs its stack.
const report = (cause: Cause.Cause<unknown>, problem: Run["problem"]) => {
  const expected = cause.reasons.filter(Cause.isFailReason)
  if (expected.length > 0) return Effect.forEach(expected, ({ error }) => problem(lineOf(error)))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
}
