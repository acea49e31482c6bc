/** One copy of the program, seen from its supervisor: what it says, how it lives and how it ends. */
import { hinted } from "../startError.ts"
import type { Stopped } from "../launch/servers.ts"
import type { Packed } from "../metrics/packed.ts"
import type { Tick } from "../worker/channel/tick.ts"
import type { End } from "../worker/parent/child.ts"
import { Deadlines } from "../worker/parent/deadlines.ts"
import type { Lent } from "./lending.ts"
import type { Asked, Said, Told } from "./messages.ts"
import { Pulse } from "./pulse.ts"

/** A program that was started to be a copy. `spawnCopy.ts` starts them; tests have their own. */
export interface CopyChild {
  /** Its process id. */
  readonly name: string
  /** `socket` goes with it. */
  readonly send: (told: Told, socket?: unknown) => void
  /** Ends it as the system ends what has not said yet how it ends. */
  readonly end: () => void
  /** Ends it at once, whatever it does. */
  readonly kill: () => void
  /** Calls back from now on; `onEnd` once, when it has ended and everything that it has said is heard. */
  readonly start: (on: { readonly said: (said: Said) => void; readonly end: (end: End) => void }) => void
}

/** How long a copy may take, in milliseconds. */
export interface CopyLimits {
  readonly startMillis: number
  /** How long its event loop may not turn. */
  readonly hangMillis: number
}

/** What a copy reports to. */
export interface Owner {
  readonly onReady: (copy: CopyHandle) => void
  /** It has not started in time, and is told to stop. */
  readonly onLate: (copy: CopyHandle, ending: Ending) => void
  /** It has given no sign of life for half the time that it may. */
  readonly onSilent: (copy: CopyHandle) => void
  readonly onEnd: (copy: CopyHandle, ending: Ending) => void
  readonly onAsked: (
    copy: CopyHandle,
    asked: Asked,
    answer: (told: Omit<Extract<Told, { answer: number }>, "answer">, socket?: unknown) => void
  ) => void
  readonly onStopped: (stopped: ReadonlyArray<Stopped>) => void
  /** How long the stops of copies take, as the last one that has started has said. */
  readonly stopMillis: () => number | undefined
  readonly onStopMillis: (millis: number) => void
  /** It can be told something from now on. */
  readonly onListens: (copy: CopyHandle) => void
  readonly onMeasured: (copy: CopyHandle, own: ReadonlyArray<Packed>) => void
  readonly onGather: (answer: (all: ReadonlyArray<Packed>) => void) => void
  /** Whether what it has counted is worth asking for now and then. */
  readonly measures: () => boolean
}

/** How a copy has ended, or that it was given up. */
export interface Ending {
  /** In words. */
  readonly why: string
  /** What it has said of it itself, and nobody has printed. */
  readonly problem: string | undefined
  readonly status: number
  /** Whether somebody else has ended it, by a signal that it would not have minded once it was there. */
  readonly isFromOutside: boolean
  /** Whether it was killed, since it hung. */
  readonly wasKilled: boolean
  readonly livedMillis: number
}

export class CopyHandle {
  readonly name: string
  private readonly child: CopyChild
  private readonly owner: Owner
  private readonly limits: CopyLimits
  private readonly tick: Tick
  private readonly deadlines: Deadlines
  private readonly pulse: Pulse
  private readonly startedAt: number
  private life: "starting" | "ready" | "stopping" | "ended" = "starting"
  /** Whether it can be told anything. */
  private listens = false
  private isDebugged = false
  /** Whether it gives no sign of life, for half the time that it may. */
  isSilent = false
  private isRetired = false
  private ownStopMillis: number | undefined = undefined
  private stopsBy = Infinity
  private problem: string | undefined = undefined
  private uncaught: string | undefined = undefined
  private killedFor: string | undefined = undefined

  constructor(child: CopyChild, owner: Owner, limits: CopyLimits, tick: Tick) {
    this.name = child.name
    this.child = child
    this.owner = owner
    this.limits = limits
    this.tick = tick
    this.startedAt = tick.now()
    this.deadlines = new Deadlines(tick)
    this.pulse = new Pulse(
      tick,
      () => {
        child.send({ ping: true })
        if (owner.measures()) this.measure()
      },
      (missed) => this.beat(missed)
    )
    child.start({ said: (said) => this.said(said), end: (end) => this.ended(end) })
    this.deadlines.set("start", limits.startMillis, () => this.late())
  }

  get isStopping(): boolean {
    return this.life === "stopping" || this.life === "ended"
  }

  /** Another one has its sockets. It serves those whom it has accepted for a while longer, and then stops. */
  retire(): void {
    if (this.isStopping) return
    this.child.send({ retire: true })
    this.deadlines.set("retire", retiringMillis, () => {
      this.isRetired = true
      // One that hangs is told when it goes on, or killed when its time is over.
      if (!this.isSilent) this.stop()
    })
  }

  /** It takes what comes to the sockets of another place, too. */
  borrow(place: number, sockets: ReadonlyArray<Lent>): void {
    for (const { asked, socket } of sockets) this.child.send({ borrow: place, asked }, socket)
  }

  giveBack(place: number): void {
    if (this.life !== "ended") this.child.send({ giveBack: place })
  }

  /** It drains by its own deadline, as long as its event loop turns. */
  stop(): void {
    if (this.isStopping) return
    this.life = "stopping"
    this.deadlines.forgetAll()
    if (this.listens) this.child.send({ stop: true })
    else this.child.end()
    this.endsInTime()
    this.pulse.start(patienceMillis / patience)
  }

  /** How long its stop may take: that of a copy that has not started yet as long as that of others. */
  private get stopMillis(): number {
    return this.ownStopMillis ?? this.owner.stopMillis() ?? defaultStopMillis
  }

  /** From now on it has all of the time that its stop may take. */
  private endsInTime(): void {
    this.stopsBy = this.tick.now() + this.stopMillis
    this.deadlines.forget("stop")
    this.deadlines.set("stop", this.stopMillis + lastMillis, () => this.kill("it did not end when it was told to"))
  }

  /** It says how long that is: when it is ready, and when it begins to stop, since it may be another time by then. */
  private stopTakes(millis: number): void {
    const isAnother = millis !== this.stopMillis
    this.ownStopMillis = millis
    this.owner.onStopMillis(millis)
    if (isAnother && this.life === "stopping") this.endsInTime()
  }

  kill(why?: string): void {
    this.killedFor ??= why
    this.pulse.stop()
    this.child.kill()
  }

  /** Asks it for what it has counted. */
  measure(): void {
    this.child.send({ measure: true })
  }

  private said({
    ask,
    asked,
    copy,
    stopMillis,
    gather,
    measured,
    pong,
    problem,
    ready,
    stopped,
    uncaught
  }: Said): void {
    // Whatever it says, it lives.
    this.pulse.heard()
    if (copy !== undefined) {
      this.listens = true
      // The signal that it got may have come when it had begun to listen, and let it pass.
      if (this.life === "stopping") this.child.send({ stop: true })
      this.owner.onListens(this)
    }
    if (measured !== undefined) this.owner.onMeasured(this, measured)
    if (gather !== undefined) {
      this.owner.onGather((all) => {
        if (this.life !== "ended") this.child.send({ gathered: gather, all })
      })
    }
    if (pong !== undefined) this.isDebugged = pong.debugged
    if (stopMillis !== undefined) this.stopTakes(stopMillis)
    const wordsOf = (words: string) => (this.life === "starting" ? hinted(words) : words)
    if (problem !== undefined) this.problem = wordsOf(problem)
    if (uncaught !== undefined) this.uncaught = wordsOf(uncaught)
    if (stopped !== undefined) this.owner.onStopped(stopped)
    if (ready === true && this.life === "starting") this.ready()
    if (ask === undefined || asked === undefined) return
    this.owner.onAsked(this, asked, (answered, socket) => {
      if (this.life !== "ended") this.child.send({ ...answered, answer: ask }, socket)
    })
  }

  private ready(): void {
    this.life = "ready"
    this.deadlines.forget("start")
    if (this.limits.hangMillis !== Infinity) this.pulse.start(this.limits.hangMillis / slices)
    this.owner.onReady(this)
  }

  private beat(missed: number): void {
    if (this.life === "stopping") {
      // Until its deadline it may do whatever it likes.
      if (this.tick.now() > this.stopsBy && missed >= patience)
        this.kill("its event loop did not turn when its drain timeout was over")
      return
    }
    if (this.life !== "ready" || this.isDebugged) return
    const wasSilent = this.isSilent
    this.isSilent = missed >= slices / 2
    if (missed >= slices) {
      return this.kill(`its event loop has not turned for ${this.limits.hangMillis} ms`)
    }
    if (this.isSilent && !wasSilent) this.owner.onSilent(this)
    if (this.isRetired && !this.isSilent) this.stop()
  }

  private late(): void {
    const why = `copy ${this.name} was not ready within ${this.limits.startMillis} ms`
    this.stop()
    const { livedMillis } = this
    const none = { problem: undefined, isFromOutside: false, wasKilled: false }
    this.owner.onLate(this, { why, status: 1, livedMillis, ...none })
  }

  private ended({ exitCode, reason, signal }: End): void {
    this.life = "ended"
    this.deadlines.forgetAll()
    this.pulse.stop()
    const { killedFor, problem, uncaught } = this
    const how = signal === undefined ? `exited with ${exitCode ?? "no status"}` : `was ended by ${signal}`
    const because = killedFor ?? problem ?? uncaught ?? reason
    this.owner.onEnd(this, {
      why: `copy ${this.name} ${how}${because === undefined ? "" : ` (${because})`}`,
      problem,
      status: exitCode ?? 1,
      isFromOutside: signal !== undefined && fromOutside.has(signal) && killedFor === undefined,
      wasKilled: killedFor !== undefined,
      livedMillis: this.livedMillis
    })
  }

  private get livedMillis(): number {
    return this.tick.now() - this.startedAt
  }
}

/** How long a copy may take to stop that has not said how long. */
const defaultStopMillis = 10_000

/** How much later than its drain allows a copy is killed: if its loop does not turn, and in any case. */
const patienceMillis = 1_000
const lastMillis = 3_000
const patience = 4

/**
 * How long a copy that is replaced serves what it has accepted before it stops, in
 * milliseconds: a stop closes connections that ask nothing, and what some ask is
 * on its way. What was lost twice comes after three seconds (RFC 6298, 2).
 */
const retiringMillis = 3_000

/** How often in the time that it may be silent a copy is asked. */
const slices = 8

/** Signals that are sent to all processes of a program, and what the system sends that has no memory left. */
const fromOutside = new Set(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
