/** Node processes that answer questions, each on a core of its own where the system can pin it, killed with their scope. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"

/** A child that did not start, ended early, or did not answer; `reason` is for a person. */
export class ChildError extends Data.TaggedError("ChildError")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

export interface Child {
  /** The first match of a pattern in what the child prints. */
  readonly prints: (pattern: RegExp) => Effect.Effect<string, ChildError>
  /** The next message of the child, after saying something to it. */
  readonly ask: <A>(question?: string) => Effect.Effect<A, ChildError>
  /** The next message of the child, whenever that is. */
  readonly next: <A>() => Effect.Effect<A, ChildError>
}

/** Whether `taskset` is here and may use the first two cores. */
export const canPin: boolean = ["0", "1"].every(
  (core) => ChildProcess.spawnSync("taskset", ["-c", core, "true"], { stdio: "ignore" }).status === 0
)

const patience = "15 seconds"

export const spawn = (options: {
  readonly core: number
  readonly args: ReadonlyArray<string>
}): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const [command, ...args] = [
          ...(canPin ? ["taskset", "-c", String(options.core)] : []),
          process.execPath,
          ...options.args
        ]
        return start(command!, args)
      }),
      ({ process: child }) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
            return resume(Effect.void)
          }
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    ),
    make
  )

interface Started {
  readonly process: ChildProcess.ChildProcess
  stdout: string
  stderr: string
  failed: string | undefined
}

const start = (command: string, args: ReadonlyArray<string>): Started => {
  const child = ChildProcess.spawn(command, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] })
  const started: Started = { process: child, stdout: "", stderr: "", failed: undefined }
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    started.stdout = (started.stdout + text).slice(-65_536)
  })
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    started.stderr = (started.stderr + text).slice(0, 65_536)
  })
  child.on("error", (error) => {
    started.failed = error.message
  })
  return started
}

const make = (started: Started): Child => {
  const child = started.process
  const gone = () => child.exitCode !== null || child.signalCode !== null || started.failed !== undefined

  /** Waits for one answer; fails as soon as the child is gone. */
  const wait = <A>(listen: (answer: (value: A) => void) => () => void): Effect.Effect<A, ChildError> =>
    Effect.callback<A, ChildError>((resume) => {
      // `close` and not `exit`: by then everything it printed has arrived.
      const onClose = () => done(Effect.fail(new ChildError({ reason: whyEnded(started) })))
      const stop = listen((value) => done(Effect.succeed(value)))
      const done = (result: Effect.Effect<A, ChildError>) => {
        cleanup()
        resume(result)
      }
      const cleanup = () => {
        stop()
        child.off("close", onClose)
        child.off("error", onClose)
      }
      child.on("close", onClose)
      child.on("error", onClose)
      if (gone() && child.stdout!.destroyed) onClose()
      return Effect.sync(cleanup)
    })

  const message = <A>(question?: string) =>
    wait<A>((answer) => {
      const onMessage = (message: unknown) => answer(message as A)
      child.once("message", onMessage)
      if (question !== undefined && child.connected) child.send(question)
      return () => child.off("message", onMessage)
    })

  return {
    prints: (pattern) =>
      inTime(
        wait<string>((answer) => {
          const look = () => {
            const match = pattern.exec(started.stdout)
            if (match !== null) answer(match[1] ?? match[0])
          }
          child.stdout!.on("data", look)
          queueMicrotask(look)
          return () => child.stdout!.off("data", look)
        })
      ),
    ask: (question) => inTime(message(question)),
    next: message
  }
}

const inTime = <A>(answer: Effect.Effect<A, ChildError>): Effect.Effect<A, ChildError> =>
  Effect.timeoutOrElse(answer, {
    duration: patience,
    orElse: () => Effect.fail(new ChildError({ reason: `no answer within ${patience}` }))
  })

const whyEnded = ({ failed, process: { exitCode, signalCode }, stderr }: Started): string => {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
  const said = lines.find((line) => /error/i.test(line) && !line.startsWith("at ")) ?? lines[0]
  const ended = failed ?? (signalCode !== null ? `ended by ${signalCode}` : `exit code ${exitCode}`)
  return said === undefined ? ended : `${ended}: ${said.replaceAll(root, "")}`
}

const root = new URL("../../../", import.meta.url).pathname
