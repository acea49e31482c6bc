import type * as Outcome from "@socketserver/core/Outcome"
import { type ChildProcess, spawn } from "node:child_process"
import { activated } from "../activation.ts"
import { lineOf, type Stopped } from "../launch/servers.ts"
import { plus } from "../launch/summary.ts"
import type { Manager } from "../launch/manager.ts"
import * as guard from "../worker/parent/guard.ts"
import { Binder } from "./binder.ts"
import { type Asked, copyVariable } from "./copy.ts"

/** How long a copy may take to stop that has not said how long. */
const defaultDrainMillis = 10_000

/** How much later than its drain allows a copy is killed: if its loop does not turn, and in any case. */
const patienceMillis = 1_000
const lastMillis = 3_000

/** How often a copy that stops is asked for a sign of life. */
const pingMillis = 250

/** How long what a copy has said is waited for when it has ended. */
const lastWordsMillis = 1_000

/**
 * How long a copy that is replaced serves what it has accepted before it stops, in
 * milliseconds: a stop closes connections that have asked nothing yet, and the
 * first bytes of some are on their way.
 */
const retiringMillis = 1_000

/** Between two starts of a copy, in milliseconds. */
const longestDelay = 10_000

/**
 * Runs copies of this program that accept on the same addresses.
 *
 * It binds for them, starts again those that end, replaces all of them one by
 * one on SIGHUP, and stops them on SIGINT and SIGTERM. It serves nothing itself.
 */
export class Supervisor {
  private readonly slots: Array<Slot>
  private readonly binder = new Binder()
  private stoppedAt: number | undefined = undefined
  private restarting = false
  /** Whether a restart was asked for during one: what changed meanwhile is not in all copies. */
  private again = false
  private exitCode = 0
  /** What the servers of copies have done that have stopped, by their names. */
  private readonly totals = new Map<string, Outcome.Totals>()

  private readonly manager: Manager | undefined

  constructor(count: number, manager: Manager | undefined) {
    this.manager = manager
    const toldBy = (all: ReadonlyArray<Stopped>) => {
      for (const stopped of all) {
        const before = this.totals.get(stopped.name)
        this.totals.set(stopped.name, before === undefined ? stopped : plus(before, stopped))
      }
    }
    const owner = { binder: this.binder, onGone: () => this.onGone(), onStopped: toldBy }
    this.slots = Array.from({ length: count }, (_, index) => new Slot(index, owner))
  }

  private get stopping(): boolean {
    return this.stoppedAt !== undefined
  }

  run(): void {
    process.on("SIGHUP", () => this.restart())
    const first = this.slots[0] as Slot
    // One shows whether the program starts at all, and says what is wrong once.
    first.start({
      announces: this.slots.length === 1,
      ready: () => this.startOthers(),
      failed: (code) => {
        this.exitCode = code
        this.stoppedAt = performance.now()
        this.onGone()
      }
    })
  }

  /** The last one says where they listen, when all others do. */
  private startOthers(): void {
    const last = this.slots.length > 1 ? this.slots.at(-1) : undefined
    const between = this.slots.slice(1, -1)
    let waiting = between.length
    const started = () => {
      this.manager?.ready()
      this.manager?.watch(() => this.slots.some((slot) => slot.isRunning))
    }
    const announce = () => (last === undefined ? started() : last.start({ announces: true, ready: started }))
    if (waiting === 0) return announce()
    const ready = () => {
      if (--waiting === 0) announce()
    }
    for (const slot of between) slot.start({ announces: false, ready })
  }

  /** Stops all copies, and the program with them; the second time at once. */
  stop(status: number): void {
    if (this.stopping) {
      for (const slot of this.slots) slot.kill()
      process.exit(status)
    }
    this.stoppedAt = performance.now()
    this.manager?.stopping()
    for (const slot of this.slots) slot.stop()
    this.onGone()
  }

  /** Replaces one copy after the other; the next one when the new one is ready. */
  private restart(): void {
    if (this.restarting) this.again = true
    if (this.restarting || this.stopping) return
    this.restarting = true
    this.manager?.reloading()
    const end = () => {
      this.restarting = false
      this.manager?.ready()
      const { again } = this
      this.again = false
      if (again) this.restart()
    }
    const next = (index: number): void => {
      const slot = this.slots[index]
      if (slot === undefined || this.stopping) return end()
      slot.replace((replaced) => {
        if (replaced) return next(index + 1)
        say("the restart ends here: the new copy did not start, and the old ones go on")
        end()
      })
    }
    next(0)
  }

  private onGone(): void {
    if (!this.stopping || this.slots.some((slot) => slot.isRunning)) return
    const millis = performance.now() - (this.stoppedAt ?? 0)
    for (const [name, totals] of this.totals) say(lineOf({ ...totals, name, millis }))
    this.binder.close((error) => say(error instanceof Error ? error.message : String(error)))
    process.exit(this.exitCode)
  }
}

interface StartOptions {
  readonly announces: boolean
  readonly ready?: () => void
  /** It ended before it was ready. Without this it is started again. */
  readonly failed?: (code: number) => void
}

/** What the place of a copy is told by, and tells. */
interface Owner {
  readonly binder: Binder
  readonly onGone: () => void
  readonly onStopped: (stopped: ReadonlyArray<Stopped>) => void
}

/** The place of one copy, and of those that follow it. */
class Slot {
  private readonly index: number
  private readonly owner: Owner
  private current: ChildProcess | undefined = undefined
  private readonly running = new Set<ChildProcess>()
  /** Those that were told to end. */
  private readonly told = new WeakSet<ChildProcess>()
  /** How long each may take to stop. */
  private readonly drains = new WeakMap<ChildProcess, number>()
  private stopping = false
  private failures = 0
  /** How the copy was started that has not been ready yet. */
  private pending: StartOptions | undefined = undefined
  private timer: NodeJS.Timeout | undefined = undefined

  constructor(index: number, owner: Owner) {
    this.index = index
    this.owner = owner
  }

  get isRunning(): boolean {
    return this.running.size > 0
  }

  start(options: StartOptions): void {
    // One that became ready while all were told to stop has others started.
    if (this.stopping) return
    const child = this.spawn(options.announces)
    this.current = child
    this.pending = options
    let ready = false
    onSaid(child, (said) => {
      if (said.ready !== true) return
      ready = true
      this.pending = undefined
      options.ready?.()
    })
    child.once("exit", (code, signal) => {
      if (this.current !== child) return
      this.current = undefined
      // What was told to end has not failed.
      if (this.stopping) return
      if (!ready && options.failed !== undefined) options.failed(code ?? 1)
      else this.startAgain(`copy ${child.pid} ${signal === null ? `exited with ${code}` : `was ended by ${signal}`}`)
    })
  }

  /** Starts another, and stops the one that is there when the new one is ready. */
  replace(done: (replaced: boolean) => void): void {
    const child = this.spawn(false)
    let over = false
    const finish = (replaced: boolean) => {
      if (over) return
      over = true
      done(replaced)
    }
    onSaid(child, ({ ready }) => {
      if (ready !== true || over) return
      // The one that was there may have ended meanwhile, and another one may be there or be about to be.
      clearTimeout(this.timer)
      const old = this.current
      this.current = child
      if (old !== undefined) this.retire(old)
      finish(true)
    })
    child.once("exit", () => {
      finish(false)
      if (this.current !== child) return
      this.current = undefined
      if (!this.stopping) this.startAgain(`copy ${child.pid} has ended`)
    })
  }

  stop(): void {
    this.stopping = true
    clearTimeout(this.timer)
    for (const child of this.running) this.stopChild(child)
  }

  kill(): void {
    for (const child of this.running) child.kill("SIGKILL")
  }

  private startAgain(why: string): void {
    const delay = Math.min(longestDelay, 100 * 2 ** Math.min(this.failures++, 10))
    say(`${why}; another is started in ${delay} ms`)
    // Who was never ready still has something to say.
    const { announces = false, ready } = this.pending ?? {}
    this.timer = setTimeout(() => this.start({ announces, ...(ready && { ready }) }), delay)
  }

  /** It accepts nothing more, and stops when those whom it has accepted have had time to ask. */
  private retire(child: ChildProcess): void {
    child.send({ retire: true }, () => {})
    const timer = setTimeout(() => this.stopChild(child), retiringMillis)
    child.once("exit", () => clearTimeout(timer))
  }

  /** It drains by its own deadline, as long as its event loop turns. */
  private stopChild(child: ChildProcess): void {
    // A second signal would end the drain.
    if (this.told.has(child) || child.exitCode !== null || child.signalCode !== null) return
    this.told.add(child)
    child.kill("SIGTERM")
    const end = performance.now() + (this.drains.get(child) ?? defaultDrainMillis)
    let heard = performance.now()
    child.on("message", () => (heard = performance.now()))
    const ping = setInterval(() => {
      const now = performance.now()
      const late = now - end
      if (late > lastMillis || (late > 0 && now - heard > patienceMillis)) child.kill("SIGKILL")
      else if (child.connected) child.send({ ping: true }, () => {})
    }, pingMillis)
    child.once("exit", () => clearInterval(ping))
  }

  private spawn(announces: boolean): ChildProcess {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      // Sockets that were handed to this program are every copy's, under the same numbers.
      stdio: ["ignore", "inherit", "inherit", ...activated().map(({ fd }) => fd), "ipc"],
      // A Ctrl-C is for the supervisor alone.
      detached: true,
      env: { ...process.env, PREFORK: "", [copyVariable]: announces ? "announces" : "silent" }
    })
    this.running.add(child)
    const startedAt = performance.now()
    const { pid } = child
    if (pid !== undefined) guard.watch(pid)
    child.on("error", (error) => {
      say(`a copy cannot be started: ${error.message}`)
      if (pid === undefined) child.emit("exit", 1, null)
    })
    onSaid(child, ({ ask, asked, drainMillis, stopped }) => {
      if (drainMillis !== undefined) this.drains.set(child, drainMillis)
      if (stopped !== undefined) this.owner.onStopped(stopped)
      if (ask === undefined || asked === undefined) return
      void this.owner.binder.bind(this.index, asked).then(({ handle, ...answer }) => {
        if (child.connected) child.send({ ...answer, answer: ask }, handle as never, () => {})
      })
    })
    child.once("exit", () => {
      // What it has said last may still be on its way, and who was never started says nothing.
      const gone = () => {
        // After those who decide whether another one follows.
        if (this.running.delete(child)) queueMicrotask(this.owner.onGone)
      }
      if (pid === undefined) gone()
      child.once("close", gone)
      setTimeout(gone, lastWordsMillis)
      // Who has lived for longer than the longest delay had started well.
      if (performance.now() - startedAt > longestDelay) this.failures = 0
      if (pid !== undefined) guard.forget(pid)
    })
    return child
  }
}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

/** What a copy says to its supervisor. The program may send what it likes to its parent, as for a process manager. */
interface Said {
  readonly ready?: boolean
  readonly drainMillis?: number
  readonly stopped?: ReadonlyArray<Stopped>
  readonly ask?: number
  readonly asked?: Asked
}

const onSaid = (child: ChildProcess, then: (said: Said) => void): void =>
  void child.on("message", (message: Said | string | number | boolean | null) => {
    if (typeof message === "object" && message !== null) then(message)
  })
