/** Copies that do what a test says, under a supervisor whose time passes when the test says so. */
import type { CopyChild, CopyLimits } from "../../src/internal/prefork/copyHandle.ts"
import type { Said, Standing, Told } from "../../src/internal/prefork/messages.ts"
import { Supervisor } from "../../src/internal/prefork/supervisor.ts"
import type { End } from "../../src/internal/worker/parent/child.ts"
import { ManualTick } from "./manualTick.ts"

/** A copy: what it was told, and what was done to it. */
export class ScriptedCopy implements CopyChild {
  readonly name: string
  readonly standing: Standing
  readonly told: Array<string> = []
  private isStopped = false
  /** Whether it was asked for a sign of life meanwhile. */
  private isAsked = false
  debugged = false
  private on: Parameters<CopyChild["start"]>[0] | undefined = undefined

  constructor(name: string, standing: Standing) {
    this.name = name
    this.standing = standing
  }

  start(on: Parameters<CopyChild["start"]>[0]): void {
    this.on = on
  }

  send(told: Told): void {
    if ("borrow" in told) this.told.push(`borrow ${told.borrow}`)
    else if ("giveBack" in told) this.told.push(`giveBack ${told.giveBack}`)
    else if (!("ping" in told)) this.told.push(Object.keys(told)[0] ?? "")
    else if (this.isStopped) this.isAsked = true
    else this.say({ pong: { debugged: this.debugged } })
  }

  /** Whether it gives a sign of life when it is asked, and what it was asked while it did not. */
  set lives(lives: boolean) {
    this.isStopped = !lives
    if (!lives || !this.isAsked) return
    this.isAsked = false
    this.say({ pong: { debugged: this.debugged } })
  }

  end(): void {
    this.told.push("SIGTERM")
  }

  kill(): void {
    this.told.push("SIGKILL")
  }

  say(said: Said): void {
    this.on?.said(said)
  }

  /** It can be told what to do. */
  listens(): void {
    this.say({ copy: Number(this.name) })
  }

  ready(stopMillis = 10_000): void {
    this.listens()
    this.say({ ready: true, stopMillis })
  }

  ends(end: Partial<End>): void {
    this.on?.end({ exitCode: undefined, signal: undefined, reason: undefined, ...end })
  }
}

export class ScriptedCopies {
  readonly tick = new ManualTick()
  readonly all: Array<ScriptedCopy> = []
  readonly said: Array<string> = []
  readonly supervisor: Supervisor
  status: number | undefined = undefined
  /** What a service manager has heard, and whether it would get a sign of life. */
  readonly heard: Array<string> = []
  isAlive = (): boolean => false

  constructor(count: number, limits: Partial<CopyLimits> = {}) {
    this.supervisor = new Supervisor(
      count,
      { startMillis: 30_000, hangMillis: 10_000, ...limits },
      {
        tick: this.tick,
        spawn: (standing) => {
          const copy = new ScriptedCopy(String(this.all.length + 1), standing)
          this.all.push(copy)
          return copy
        },
        bind: () => Promise.resolve({}),
        socketsOf: (place) => [{ asked: { kind: "tcp", port: place, index: 0 }, socket: { close: () => {} } }],
        say: (line) => void this.said.push(line),
        onEnd: (status) => (this.status = status),
        manager: {
          ready: () => void this.heard.push("ready"),
          reloading: () => void this.heard.push("reloading"),
          stopping: () => void this.heard.push("stopping"),
          watch: (isAlive) => void (this.isAlive = isAlive)
        }
      }
    )
    this.supervisor.start()
  }

  /** So many copies that are ready. */
  static serving(count: number, limits?: Partial<CopyLimits>): ScriptedCopies {
    const copies = new ScriptedCopies(count, limits)
    for (let i = 0; i < count; i++) copies.at(i).ready()
    return copies
  }

  at(index: number): ScriptedCopy {
    const copy = this.all[index]
    if (copy === undefined) throw new Error(`there is no copy ${index}`)
    return copy
  }

  get last(): ScriptedCopy {
    return this.at(this.all.length - 1)
  }
}
