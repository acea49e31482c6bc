/** Runs layers as a program: `NodeServer.launch`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
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
import { copy } from "../prefork/copy.ts"
import { lineOf } from "../startError.ts"
import { role } from "../worker/child/role.ts"
import { LastResort } from "./lastResort.ts"
import { type Manager, takeManager } from "./manager.ts"
import { tolerate } from "./output.ts"
import { Servers } from "./servers.ts"

export const launch = <A, E>(layer: Layer.Layer<A, E>): void => {
  if (role !== undefined) {
    return void import("../worker/child/run.ts").then(({ run }) =>
      run(
        programOf(
          layer,
          new Servers(),
          () => {},
          () => false,
          undefined
        )
      )
    )
  }
  tolerate()
  const copies = copy === undefined ? setting("PREFORK", countOf) : undefined
  const silence = setting("WATCHDOG", silenceOf)
  setting("RUN_AS", nobodyElse)
  const manager = takeManager()
  if (copies !== undefined) return supervise(copies, manager)
  const lastResort = new LastResort()
  // A debugger that holds the program is no fault of it.
  if (silence !== undefined && !process.execArgv.some((arg) => arg.startsWith("--inspect")))
    lastResort.watchdog.watch(silence)
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
  onSignals((status) => {
    // Who asks twice does not want to wait for the drain. A copy is asked by its supervisor, too, when all processes are.
    if (asked) return copy === undefined ? lastResort.exit(status) : undefined
    asked = true
    stopping()
  })
  const program = programOf(layer, servers, stopping, () => asked, manager)
  // Before it is interrupted its servers stop: what is still being built may be what answers their requests.
  const ending = Effect.suspend(() => (copy?.isRetired === true ? servers.stop : servers.leave))
  const main = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(program), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.andThen(ending, Fiber.interrupt(fiber)))
    )
  )
  main.pipe(
    NodeRuntime.runMain({
      disableErrorReporting: true,
      // Being asked to stop, and having stopped, is success.
      teardown: (exit, onExit) =>
        asked && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          ? lastResort.exit(0)
          : Runtime.defaultTeardown(exit, (status) => (status === 0 ? onExit(0) : lastResort.exit(status)))
    })
  )
}

/** Builds the layers, and waits; at the end their servers stop, and then their scope closes. */
const programOf = <A, E>(
  layer: Layer.Layer<A, E>,
  servers: Servers,
  stopping: () => void,
  isAsked: () => boolean,
  manager: Manager | undefined
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
      copy?.ready(servers.drainMillis)
      manager?.ready()
      manager?.watch(() => true)
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
    Effect.tapCause(report),
    Effect.provideService(Logger.LogToStderr, true)
  )
}

/** Runs copies of the program. A signal that comes before their supervisor is loaded is kept for it. */
const supervise = (copies: number, manager: Manager | undefined): void => {
  let early: number | undefined
  let stop: ((status: number) => void) | undefined
  onSignals((status) => {
    if (stop === undefined) early = status
    else stop(status)
  })
  void import("../prefork/supervisor.ts").then(({ Supervisor }) => {
    if (early !== undefined) process.exit(0)
    const supervisor = new Supervisor(copies, manager)
    stop = (status) => supervisor.stop(status)
    supervisor.run()
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

const silenceOf = (text: string): Result.Result<number | undefined, string> =>
  Result.mapBoth(Settings.duration(text, { off: true }), {
    onSuccess: (time) => (Duration.isFinite(time) ? Duration.toMillis(time) : undefined),
    onFailure: (problem) => `it ${problem}`
  })

// An expected error says what is wrong in its message; a defect needs its stack.
const report = (cause: Cause.Cause<unknown>) => {
  const expected = cause.reasons.filter(Cause.isFailReason)
  if (expected.length > 0) return Effect.forEach(expected, ({ error }) => Console.error(lineOf(error)))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
}
