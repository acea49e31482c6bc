import type * as Connection from "@socketserver/core/Connection"
import * as Result from "effect/Result"
import type { Body, End } from "./spawn.ts"
import { Ask, type FrameReceiver, FrameReader, FrameWriter, Tell } from "../channel/frames.ts"
import type { Job } from "./calls.ts"

/** What a worker reports to. */
export interface Owner {
  readonly onReady: (member: Member) => void
  /** It has room for another job. */
  readonly onFreed: (member: Member, job: Job) => void
  /** It will not do a job, which has not begun, and no other. */
  readonly onReturned: (member: Member, job: Job) => void
  /** It is about to be killed. */
  readonly onKill: (member: Member) => void
  /** It will not do a job, which has not begun. */
  readonly onDropped: (member: Member, job: Job) => void
  readonly onEnd: (member: Member, end: End) => void
  readonly onPush: (member: Member, id: number, connection: number, message: Buffer) => void
  readonly onClose: (member: Member, job: Job | undefined, connection: number) => void
  readonly onShutdown: (member: Member) => void
}

/** One worker, as its pool sees it. */
export class Member implements FrameReceiver {
  readonly body: Body
  readonly startedAt = performance.now()
  state: "starting" | "ready" | "retiring" | "ended" = "starting"
  /** What it has been given and has not let go of, by its id there. */
  readonly jobs = new Map<number, Job>()
  /** Of those, how many take a place. */
  taken = 0
  /** Of those, what it was given ahead of its turn, which comes first for the first. */
  readonly ahead = new Set<number>()
  /** How many it has let go of. */
  served = 0
  /** How many requests its pool had done when it last did one, or began after it had nothing to do. */
  doneBefore = 0
  /** The connections that it knows. */
  readonly connections = new Set<number>()
  /** The connections that have their state in it. */
  readonly pins = new Set<Connection.Ref<never>>()
  /** What waits for it alone, because its connection has its state here. */
  readonly waiting: Array<Job> = []
  everReady = false
  /** Whether it was told to end. */
  asked = false
  /** Whether it takes nothing more, though it has not been told to end. */
  exhausted = false
  /** Why it was killed, if it was. */
  killedFor: string | undefined = undefined
  private garbled = false
  private readonly owner: Owner
  private readonly writer: FrameWriter
  private readonly timers = new Map<string | number, NodeJS.Timeout>()
  private ids = 0
  /** Where claims can be settled that nobody uses now. */
  private readonly freeSlots: Array<number>
  /** The slot of each call that has a claim, until it is heard that it has ended or was dropped. */
  private readonly slots = new Map<number, number>()

  constructor(body: Body, owner: Owner, slots: number) {
    this.body = body
    this.freeSlots = body.claims === undefined ? [] : Array.from({ length: slots }, (_, slot) => slot)
    this.owner = owner
    this.writer = new FrameWriter(body.link.send)
    const reader = new FrameReader(this)
    body.link.start({ onBytes: (chunk) => this.receive(reader, chunk), onEnd: () => {} })
    body.onEnd((end) => {
      this.state = "ended"
      for (const timer of this.timers.values()) clearTimeout(timer)
      this.timers.clear()
      body.link.close()
      owner.onEnd(this, this.killedFor === undefined ? end : { ...end, reason: this.killedFor })
    })
  }

  /** A worker whose handler has written to the channel by itself is lost, and nobody with it. */
  private receive(reader: FrameReader, chunk: Uint8Array): void {
    if (this.garbled) return
    const read = Result.try({ try: () => reader.push(chunk), catch: (error) => error as Error })
    if (Result.isSuccess(read)) return
    this.garbled = true
    this.kill(`what it sent cannot be read: ${read.failure.message}`)
  }

  tell(kind: number, id: number, body?: Uint8Array | string): void {
    if (this.state !== "ended") this.writer.add(kind, id, body)
  }

  /** Gives it a job. Its id tells the job's frames apart from those of others. */
  assign(job: Job): number {
    const id = job.id ?? this.nextId()
    if (job.occupies) this.taken++
    this.give(id, job)
    return id
  }

  /** Whether it can be given a job ahead of its turn. */
  get canHaveAhead(): boolean {
    return this.state === "ready" && this.freeSlots.length > 0
  }

  /** Gives it a job that it begins when it has let go of another, unless that is revoked before. */
  assignAhead(job: Job): void {
    const id = this.nextId()
    this.ahead.add(id)
    this.give(id, job)
  }

  private give(id: number, job: Job): void {
    this.jobs.set(id, job)
    const slot = job.isClaimed ? this.freeSlots.pop() : undefined
    if (slot !== undefined) this.slots.set(id, slot)
    job.begin({ claim: slot === undefined ? 0 : slot + 1, tell: (kind, body) => this.tell(kind, id, body) })
  }

  /** The turn has come of what it was given ahead first; that job's id. */
  promote(): number | undefined {
    for (const id of this.ahead) {
      this.ahead.delete(id)
      this.taken++
      return id
    }
    return undefined
  }

  /** Takes the first job back of those that it was given ahead and has not begun. */
  revokeAhead(): Job | undefined {
    for (const id of this.ahead) {
      const job = this.revoke(id)
      if (job !== undefined) return job
    }
    return undefined
  }

  /** Takes everything back that it has not begun. */
  revokeAll(): ReadonlyArray<Job> {
    return [...this.jobs.keys()].flatMap((id) => this.revoke(id) ?? [])
  }

  /** Takes a job back that it has not begun. */
  private revoke(id: number): Job | undefined {
    const slot = this.slots.get(id)
    if (slot === undefined || this.body.claims?.revoke(slot, id) !== true) return undefined
    // Its slot is free when the worker has heard of it.
    this.tell(Ask.cancel, id)
    return this.take(id)
  }

  /** Whether it may have begun a job that it has. */
  hasBegun(id: number): boolean {
    const slot = this.slots.get(id)
    return slot === undefined || this.body.claims?.isClaimed(slot, id) !== false
  }

  /** Nobody waits for a job any more; whether it is this one's. */
  cancel(job: Job, graceMillis: number): boolean {
    for (const [id, mine] of this.jobs) {
      if (mine !== job) continue
      const hadItsTurn = !this.ahead.has(id)
      if (this.revoke(id) !== undefined) {
        // It counts as handled, as one that was cancelled a moment later.
        if (hadItsTurn) this.served++
        return true
      }
      this.tell(Ask.cancel, id)
      this.killAfter(id, graceMillis, "it did not let go of a request that was cancelled")
      return true
    }
    return false
  }

  /** Kills it in a while, unless that is forgotten before. */
  killAfter(key: string | number, millis: number, reason: string): void {
    if (this.state === "ended" || this.timers.has(key)) return
    const timer = setTimeout(
      // Where this program was busy meanwhile, what the worker has said counts first.
      () =>
        setImmediate(() => {
          if (this.timers.get(key) === timer) this.kill(reason)
        }),
      millis
    )
    this.timers.set(key, timer)
  }

  forget(key: string | number): void {
    clearTimeout(this.timers.get(key))
    this.timers.delete(key)
  }

  kill(reason: string): void {
    this.killedFor ??= reason
    if (this.state === "ready") {
      this.state = "retiring"
      this.owner.onKill(this)
    }
    this.body.kill()
  }

  /** Tells it to end, and sees to it. */
  retire(graceMillis: number): void {
    if (this.state === "ended" || this.state === "retiring") return
    this.state = "retiring"
    this.asked = true
    this.writer.add(Ask.stop, 0)
    this.killAfter("retire", graceMillis, "it did not end when it was told to")
  }

  onFrame(kind: number, id: number, body: Buffer): void {
    switch (kind) {
      case Tell.ready:
        this.forget("start")
        this.everReady = true
        if (this.state === "starting") this.state = "ready"
        return this.owner.onReady(this)
      case Tell.freed: {
        const job = this.release(id)
        if (job === undefined) return
        this.served++
        return this.owner.onFreed(this, job)
      }
      case Tell.returned: {
        const job = this.release(id)
        return job === undefined ? undefined : this.owner.onReturned(this, job)
      }
      case Tell.dropped: {
        // One that has had its turn counts as handled: another worker may have been started for what comes next.
        if (this.jobs.has(id) && !this.ahead.has(id)) this.served++
        const job = this.release(id)
        return job === undefined ? undefined : this.owner.onDropped(this, job)
      }
      case Tell.push:
        return this.owner.onPush(this, id, body.readUInt32LE(0), body.subarray(4))
      case Tell.close:
        return this.owner.onClose(this, this.jobs.get(id), body.readUInt32LE(0))
      case Tell.shutdown:
        return this.owner.onShutdown(this)
      default:
        return this.jobs.get(id)?.onFrame(kind, body)
    }
  }

  private release(id: number): Job | undefined {
    const slot = this.slots.get(id)
    if (slot !== undefined) this.freeSlots.push(slot)
    this.slots.delete(id)
    return this.take(id)
  }

  private take(id: number): Job | undefined {
    const job = this.jobs.get(id)
    if (job === undefined) return undefined
    this.jobs.delete(id)
    if (!this.ahead.delete(id) && job.occupies) this.taken--
    this.forget(id)
    this.forget(`deadline ${id}`)
    return job
  }

  private nextId(): number {
    do this.ids = (this.ids + 1) >>> 0 || 1
    while (this.jobs.has(this.ids) || this.slots.has(this.ids))
    return this.ids
  }
}
