/** Runs layers as a program: `NodeServer.launch`. */
import { Gather } from "@socketserver/core/Metrics"
import * as Server from "@socketserver/core/Server"
import { PolicyError, ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Runtime from "effect/Runtime"
import * as once from "../onlyParent.ts"
import { copiesVariable } from "../prefork/copies.ts"
import { copy } from "../prefork/copy.ts"
import type { CopyLimits } from "../prefork/copyHandle.ts"
import { lineOf } from "../startError.ts"
import { role } from "../worker/child/role.ts"
import { onHangUp } from "./hangUp.ts"
import { LastResort } from "./lastResort.ts"
import { loggers } from "./lines.ts"
import { type Manager, takeManager } from "./manager.ts"
import { tolerate } from "./output.ts"
import { Servers } from "./servers.ts"
import { copyLimitsOf, ofEnvironment, OnProgramSettings, type ProgramSettings } from "./settings.ts"

const noop = () => {}

export const launch = <A, E>(layer: Layer.Layer<A, E>): void => {
  if (role !== undefined) {
    return void import("../worker/child/run.ts").then(({ problem, ready, run }) =>
      run(programOf(layer, { ...led, servers: new Servers(), ready, problem }))
    )
  }
  tolerate()
  const set = ofEnvironment()
  if (Result.isFailure(set)) {
    process.stderr.write(`${set.failure}\n`)
    process.exit(1)
  }
  const manager = takeManager()
  const asCopies = (copies: number, set: ProgramSettings) =>
    supervise(copies, copyLimitsOf(set), manager, once.isAsked() ? layer : undefined)
  const { copies, silenceMillis } = set.success
  if (copies !== undefined && copy === undefined) return asCopies(copies, set.success)
  const lastResort = new LastResort()
  if (silenceMillis !== undefined) lastResort.watchdog.watch(silenceMillis)
  let asked = false
  let isStopping = false
  // What bounds it may be changed until each has left.
  const servers = new Servers(() => isStopping && arm())
  const arm = () => {
    const { stopMillis } = servers
    copy?.stopping(stopMillis)
    lastResort.arm(
      stopMillis,
      () => (asked ? 0 : 1),
      (millis) => servers.unstopped(millis)
    )
  }
  const stopping = () => {
    isStopping = true
    manager?.stopping()
    arm()
  }
  const problem = (line: string) => copy?.ends(line) ?? Console.error(line)
  const ready = () => {
    copy?.ready(servers.stopMillis)
    manager?.ready()
    manager?.watch(() => true)
  }
  // What its provider sets is known only once a part of it is built, which ends again where copies are to be built instead.
  const prefork = Deferred.makeUnsafe<() => void>()
  const program = Effect.provideService(
    programOf(layer, { servers, ready, stopping, isAsked: () => asked, problem, gather: copy?.gather }),
    OnProgramSettings,
    (set) =>
      Effect.suspend(() => {
        const { copies, silenceMillis } = set
        if (copies !== undefined && copy === undefined) {
          Deferred.doneUnsafe(
            prefork,
            Exit.succeed(() => asCopies(copies, set))
          )
          return Effect.never
        }
        if (silenceMillis !== undefined) lastResort.watchdog.watch(silenceMillis)
        return Effect.void
      })
  )
  // Before it is interrupted its servers stop: what is still being built may be what answers their requests.
  const ending = Effect.suspend(() =>
    copy?.isRetired === true || Deferred.isDoneUnsafe(prefork) ? servers.stop : servers.leave
  )
  const main = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(program), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.andThen(ending, Fiber.interrupt(fiber)))
    )
  )
  const stop = () => {
    asked = true
    stopping()
    fiber?.interruptUnsafe()
  }
  const unheard =
    copy === undefined
      ? onSignals((status) => {
          // Who asks twice does not want to wait for the drain.
          if (asked) lastResort.exit(status)
          else stop()
        })
      : noop
  const unreloaded = onHangUp(manager, (line) => servers.log(line))
  let fiber: Fiber.Fiber<() => void, E | ServerError | PolicyError> | undefined
  fiber = Effect.runFork(Effect.raceFirst(main, Deferred.await(prefork)))
  // Until it ends, whether or not anything else keeps it alive.
  const alive = setInterval(noop, 2 ** 31 - 1)
  fiber.addObserver((exit) => {
    clearInterval(alive)
    // Being asked to stop, and having stopped, is success.
    if (asked && (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause))) return lastResort.exit(0)
    if (Exit.isFailure(exit)) {
      return Runtime.defaultTeardown(exit, (status) => status !== 0 && lastResort.exit(status))
    }
    unheard()
    unreloaded()
    exit.value()
  })
  copy?.onStop(stop)
  copy?.onRetire(() => servers.retire())
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
  /** Makes of its metrics those of all copies, where it is one of several, or their supervisor. */
  readonly gather?: Gather | undefined
}

/** Of a program whose end somebody else decides. */
const led: Pick<Run, "stopping" | "isAsked"> = { stopping: noop, isAsked: () => false }

/** Builds the layers, and waits; at the end their servers stop, and then their scope closes. */
const programOf = <A, E>(
  layer: Layer.Layer<A, E>,
  { gather = Effect.succeed, isAsked, problem, ready, servers, stopping }: Run
): Effect.Effect<never, E | ServerError | PolicyError> => {
  const died = Deferred.makeUnsafe<never, ServerError | PolicyError>()
  const whole = Deferred.makeUnsafe<void>()
  let built = false
  const started = Effect.andThen(
    Layer.build(layer),
    Effect.suspend(() => {
      built = true
      Deferred.doneUnsafe(whole, Exit.void)
      return servers.ready
    })
  )
  const running = Effect.andThen(
    started,
    Effect.suspend(() => {
      servers.tellStarted()
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
    Effect.provideService(Transport.WhenBuilt, Deferred.await(whole)),
    Effect.provideService(Gather, gather),
    Effect.tapCause((cause) => report(cause, problem)),
    Effect.provideService(References.LogToStderr, true),
    Effect.provideService(References.CurrentLoggers, loggers)
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
    process.env[copiesVariable] = String(copies)
    const beside =
      layer &&
      ((ready: () => void, gather: Gather) =>
        programOf(layer, { ...led, servers: new Servers(), ready, problem: Console.error, gather }))
    const running = run(copies, limits, manager, beside)
    stop = running.stop
    restart = running.restart
  })
}

/** Calls `stop` with the exit status that the signal stands for, until the returned function is called. */
const onSignals = (stop: (status: number) => void): (() => void) => {
  const on = (_: NodeJS.Signals, signal: number) => stop(128 + signal)
  process.on("SIGINT", on)
  process.on("SIGTERM", on)
  return () => void process.off("SIGINT", on).off("SIGTERM", on)
}

// An expected error says what is wrong in its message; a defect needs its stack.
const report = (cause: Cause.Cause<unknown>, problem: Run["problem"]) => {
  const expected = cause.reasons.flatMap(expectedOf)
  if (expected.length > 0) return Effect.forEach(expected, (error) => problem(lineOf(error)))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
}

/** A server that was built where no error has a place, as Effect's HTTP servers are, dies of what is as expected as ever. */
const expectedOf = (reason: Cause.Reason<unknown>): ReadonlyArray<unknown> => {
  if (Cause.isFailReason(reason)) return [reason.error]
  const defect = Cause.isDieReason(reason) ? reason.defect : undefined
  return defect instanceof ServerError || defect instanceof PolicyError ? [defect] : []
}
