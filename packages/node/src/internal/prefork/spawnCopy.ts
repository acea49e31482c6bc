/** Starts the program once more, as a copy: the only place that makes a {@link CopyChild} of a process. */
import * as Result from "effect/Result"
import { spawn } from "node:child_process"
import { activated } from "../activation.ts"
import { compiledOf } from "../compiled.ts"
import { isAsked } from "../onlyParent.ts"
import { outputs } from "../outputs.ts"
import { directoryOf, flagsOf, goneDirectory } from "../startedAs.ts"
import type { End } from "../worker/parent/child.ts"
import * as guard from "../worker/parent/guard.ts"
import type { CopyChild } from "./copyHandle.ts"
import { copyVariable, type Said, type Standing } from "./messages.ts"

/** How long what a copy has said is waited for when it has ended: somebody whom it has started may hold its channel open. */
const lastWordsMillis = 1_000

export const spawnCopy = (standing: Standing): CopyChild => {
  const { release, stdio } = outputs()
  // What the system refuses for want of memory is thrown, other than what it refuses for want of processes.
  const spawned = Result.try(() =>
    spawn(process.execPath, [...flagsOf(), ...process.argv.slice(1)], {
      cwd: directoryOf(),
      // Sockets that were handed to this program are every copy's, under the same numbers.
      stdio: ["ignore", ...stdio, ...activated().map(({ fd }) => fd), "ipc"],
      // A Ctrl-C is for the supervisor alone.
      detached: true,
      env: {
        ...process.env,
        ...compiledOf(process.argv[1]),
        PREFORK: "",
        [copyVariable]: isAsked() ? `${standing} beside` : standing
      }
    })
  )
  release()
  if (Result.isFailure(spawned)) return unstarted(spawned.failure)
  const child = spawned.success
  const { pid } = child
  if (pid !== undefined) guard.watch(pid)
  return {
    name: String(pid ?? nameless),
    send: (told, socket) => {
      if (child.connected) child.send(told, socket as never, () => {})
    },
    end: () => void child.kill("SIGTERM"),
    kill: () => void child.kill("SIGKILL"),
    start: ({ end, said }) => {
      child.on("message", (message: Said | string | number | boolean | null) => {
        if (typeof message === "object" && message !== null) said(message)
      })
      let how: End | undefined
      const over = () => {
        if (how === undefined) return
        const ended = how
        how = undefined
        end(ended)
      }
      child.on("error", (error) => {
        if (pid !== undefined) return
        how = unstartable(error)
        over()
      })
      child.once("exit", (code, signal) => {
        if (pid !== undefined) guard.forget(pid)
        how = { exitCode: code ?? undefined, signal: signal ?? undefined, reason: undefined }
        const timer = setTimeout(over, lastWordsMillis)
        child.once("close", () => {
          clearTimeout(timer)
          over()
        })
      })
    }
  }
}

/** One that the system has not started. */
const unstarted = (error: unknown): CopyChild => ({
  name: nameless,
  send: noop,
  end: noop,
  kill: noop,
  start: ({ end }) => queueMicrotask(() => end(unstartable(error)))
})

const unstartable = (error: unknown): End => ({
  exitCode: undefined,
  signal: undefined,
  reason: `it cannot be started: ${goneDirectory() ?? (error instanceof Error ? error.message : String(error))}`
})

const nameless = "without a process"

const noop = () => {}
