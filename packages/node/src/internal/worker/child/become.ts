/** Makes this program a worker: finds its parent, and ends when that asks for it or is gone. Loaded in workers only. */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import * as threads from "node:worker_threads"
import { WorkerHost } from "./host.ts"
import { forgetCompiled } from "../../compiled.ts"
import { later } from "../../later.ts"
import { fileCells } from "../channel/claimFile.ts"
import { Claims, memoryCells } from "../channel/claims.ts"
import { descriptors, type Given, type Role, roleVariable } from "../channel/given.ts"
import type { Link } from "../channel/link.ts"
import { tolerate } from "../../launch/output.ts"
import { pipeLink, portLink } from "../channel/nodeLinks.ts"
import { platformTick } from "../channel/platformTick.ts"

const noop = () => {}
let stopper: (() => void) | undefined

/** Says how this program ends when its parent asks for it. */
export const onStop = (stop: () => void): void => {
  stopper = stop
}

/** Makes this program the worker that its parent wants. */
export const become = (role: Role): WorkerHost => {
  tolerate()
  const thread = role.kind === "thread"
  if (!thread) {
    forgetCompiled()
    // A Ctrl-C in a terminal, or a supervisor's signal, reaches all processes of a server: the parent decides.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, noop)
  }
  const own = thread ? 0 : 1
  const given = thread ? (threads.workerData as { readonly [roleVariable]: Given })[roleVariable] : undefined
  const stop = () => {
    later(role.graceMillis, () => process.exit(0)).unref()
    if (stopper !== undefined) return stopper()
    // A program that another runner has started ends as that runner ends programs.
    if (process.listenerCount("SIGTERM") > own) process.emit("SIGTERM", "SIGTERM")
    else process.exit(0)
  }
  const host = new WorkerHost({
    role,
    tick: platformTick,
    run: Effect.runFork,
    id: thread ? threads.threadId : process.pid,
    link: given === undefined ? pipes() : portLink(given.port),
    claims: new Claims(given === undefined ? fileCells(descriptors.claims) : memoryCells(given.shared)),
    onStop: stop,
    // Nobody is there to answer any more.
    onLost: () => process.exit(0),
    spentMillis: () => (thread ? 0 : cpuMillis())
  })
  // A thread's parent hears of it anyway.
  if (!thread)
    process.on("uncaughtExceptionMonitor", (error) => host.ends(error instanceof Error ? error.message : String(error)))
  return host
}

const cpuMillis = (): number => {
  const { system, user } = process.cpuUsage()
  return Math.ceil((system + user) / 1_000)
}

const pipes = (): Link =>
  pipeLink(
    new net.Socket({ fd: descriptors.asks, readable: true, writable: false }),
    new net.Socket({ fd: descriptors.tells, readable: false, writable: true })
  )
