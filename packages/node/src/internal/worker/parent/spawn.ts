/** Starts the threads and processes of Node that are workers: the only place that makes a {@link Child}. */
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import type * as net from "node:net"
import * as threads from "node:worker_threads"
import { fileCells, openFile } from "../channel/claimFile.ts"
import { bytesOf, Claims, memoryCells } from "../channel/claims.ts"
import { descriptors, type Given, type Role, roleVariable } from "../channel/given.ts"
import { pipeLink, portLink } from "../channel/nodeLinks.ts"
import { compiledOf } from "../../compiled.ts"
import { outputs } from "../../outputs.ts"
import { directoryOf, flagsOf, goneDirectory, threadFlagsOf } from "../../startedAs.ts"
import { type Child, type End, NoRoom } from "./child.ts"
import * as guard from "./guard.ts"
import { type PoolOptions, slotsOf } from "./options.ts"

/** What is started, and with which arguments. */
export interface Program {
  readonly entry: string
  readonly args: ReadonlyArray<string>
}

export const spawnChild = (program: Program, role: Role, options: PoolOptions): Child =>
  role.kind === "thread" ? startThread(program, role, options) : startProcess(program, role, options)

/** How a policy of workers starts one; tests start others. */
export const Starter: Context.Reference<typeof spawnChild> = Context.Reference("@socketserver/node/internal/Starter", {
  defaultValue: () => spawnChild
})

const startProcess = (program: Program, role: Role, options: PoolOptions): Child => {
  const memory = options.memoryMb === undefined ? [] : [`--max-old-space-size=${options.memoryMb}`]
  const shared = openFile(slotsOf(options))
  const own = outputs()
  const release = () => {
    own.release()
    if (shared !== undefined) fs.closeSync(shared)
  }
  const spawned = Result.try(() =>
    spawn(process.execPath, [...flagsOf(), ...memory, program.entry, ...program.args], {
      cwd: directoryOf(),
      // Its logs are this program's. A session of its own: a Ctrl-C is for the parent alone.
      stdio: ["ignore", ...own.stdio, "pipe", "pipe", ...(shared === undefined ? [] : [shared])],
      detached: true,
      env: { ...process.env, ...compiledOf(program.entry), [roleVariable]: JSON.stringify(role) }
    })
  )
  if (Result.isFailure(spawned)) {
    release()
    throw spawned.failure
  }
  const child = spawned.success
  // Where there are no descriptors left it has no pipe either, and says so only by this event.
  child.on("error", () => {})
  const { pid } = child
  if (pid === undefined) {
    release()
    const gone = goneDirectory()
    if (gone !== undefined) throw new Error(`no process can be started: ${gone}`)
    throw new NoRoom("no process can be started: the system has no descriptors or processes left")
  }
  const tells = child.stdio[descriptors.tells] as net.Socket
  guard.watch(pid)
  return {
    name: String(pid),
    link: pipeLink(tells, child.stdio[descriptors.asks] as net.Socket),
    claims: shared === undefined ? undefined : new Claims(fileCells(shared)),
    kill: () => void child.kill("SIGKILL"),
    onEnd: (ended) => {
      const over = (end: End) => {
        guard.forget(pid)
        ended(end)
        release()
      }
      child.once("exit", (code, signal) => {
        const end = {
          exitCode: code ?? undefined,
          signal: signal ?? undefined,
          reason: reasonOf(code, signal, options)
        }
        if (tells.destroyed) return over(end)
        // What it has sent before it ended counts. Somebody it has started may hold the pipe open.
        const timer = setTimeout(() => tells.destroy(), 200)
        tells.once("close", () => {
          clearTimeout(timer)
          over(end)
        })
      })
    }
  }
}

/** V8 ends a process that has no heap left by an abort. */
const reasonOf = (code: number | null, signal: string | null, options: PoolOptions): string | undefined =>
  options.memoryMb !== undefined && (signal === "SIGABRT" || code === 134)
    ? `out of memory, of which it may have ${options.memoryMb} MiB`
    : undefined

/**
 * At its limit a thread is given 16 MiB more, to end in. One collection of a young generation of the usual 48 MiB can take more than that, and
 * then V8 ends the whole process (`Worker::NearHeapLimit` in https://github.com/nodejs/node/blob/main/src/node_worker.cc).
 */
const youngMb = 16

const startThread = (program: Program, role: Role, options: PoolOptions): Child => {
  const { port1, port2 } = new threads.MessageChannel()
  const shared = new SharedArrayBuffer(bytesOf(slotsOf(options)))
  const flags = threadFlagsOf()
  const thread = new threads.Worker(program.entry, {
    argv: [...program.args],
    ...(flags !== undefined && { execArgv: [...flags] }),
    env: { ...process.env, [roleVariable]: JSON.stringify(role) },
    workerData: { [roleVariable]: { port: port2, shared } satisfies Given },
    transferList: [port2],
    ...(options.memoryMb === undefined
      ? {}
      : { resourceLimits: { maxOldGenerationSizeMb: options.memoryMb, maxYoungGenerationSizeMb: youngMb } })
  })
  const { threadId } = thread
  let reason: string | undefined
  let killed = false
  thread.on("error", (error: NodeJS.ErrnoException) => {
    reason =
      error.code === "ERR_WORKER_OUT_OF_MEMORY"
        ? `out of memory, of which it may have ${options.memoryMb ?? "no more"} MiB`
        : error.message
  })
  return {
    name: `thread-${threadId}`,
    link: portLink(port1),
    claims: new Claims(memoryCells(shared)),
    kill: () => {
      killed = true
      void thread.terminate()
    },
    onEnd: (ended) =>
      thread.once("exit", (code) =>
        // What it has sent before it ended is delivered in the turns that follow.
        setImmediate(() =>
          setImmediate(() => {
            port1.close()
            ended({ exitCode: killed ? undefined : code, signal: killed ? "termination" : undefined, reason })
          })
        )
      )
  }
}
