/** One worker, seen from its pool: look here for what becomes of a frame of a worker, and when one is killed. */
import * as Result from "effect/Result"
import { hinted } from "../../startError.ts"
import { readDefect } from "../channel/calls.ts"
import { Ask, type FrameReceiver, FrameReader, FrameWriter, Tell } from "../channel/frames.ts"
import type { Tick } from "../channel/tick.ts"
import type { Call } from "./call.ts"
import type { Child, End } from "./child.ts"
import { Deadlines } from "./deadlines.ts"
import { type PoolOptions, slotsOf } from "./options.ts"
import type { Order } from "./order.ts"
import { Slots } from "./slots.ts"
import { WorkerCalls } from "./workerCalls.ts"

/** What a worker reports to. */
export interface Owner {
  /** It is ready, and has used so much of the CPU until then, in milliseconds; 0 if it does not say. */
  readonly onReady: (worker: WorkerHandle, spentMillis: number) => void
  /** It has room for another call. */
  readonly onFreed: (worker: WorkerHandle, call: Call) => void
  /** It has begun a call of which that was in doubt. */
  readonly onBegun: () => void
  /** It will not do a call, which has not begun, and no other. */
  readonly onReturned: (worker: WorkerHandle, call: Call) => void
  /** It will not do these calls, which have not begun. */
  readonly onDropped: (worker: WorkerHandle, calls: ReadonlyArray<Call>) => void
  /** It waits until more of what it has answered to a call is taken, or goes on. */
  readonly onWaiting: (worker: WorkerHandle, call: Call) => void
  /** It has a call no more. */
  readonly onGone: (call: Call) => void
  /** It is about to be killed. */
  readonly onKill: (worker: WorkerHandle) => void
  readonly onEnd: (worker: WorkerHandle, ending: Ending) => void
  readonly onPush: (worker: WorkerHandle, id: number, connection: number, message: Buffer) => void
  readonly onClose: (call: Call | undefined, connection: number) => void
  readonly onShutdown: (worker: WorkerHandle) => void
  /** What a connection has there has died as it was released. */
  readonly onUnreleased: (error: Error) => void
}

/** How a worker has ended, and what it was until then. */
export interface Ending {
  readonly end: End
  readonly wasReady: boolean
  /** It was told to end, had nothing to do, and did. */
  readonly wasAsked: boolean
}

/** One worker, as its pool sees it: its life, its channel, and the calls that it has. */
export class WorkerHandle implements FrameReceiver {
  readonly name: string
  readonly calls: WorkerCalls
  private readonly child: Child
  private readonly owner: Owner
  private readonly graceMillis: number
  private readonly writer: FrameWriter
  private readonly deadlines: Deadlines
  private life: "starting" | "ready" | "retiring" | "ended" = "starting"
  private wasReady = false
  private wasAsked = false
  /** Why it was killed, if it was. */
  private killedFor: string | undefined = undefined
  /** What its program has said of its end. */
  private problem: string | undefined = undefined

  constructor(child: Child, owner: Owner, options: PoolOptions, order: Order, tick: Tick) {
    const { deadlineMillis, startMillis } = options
    this.name = child.name
    this.child = child
    this.owner = owner
    this.graceMillis = options.graceMillis
    this.writer = new FrameWriter(child.link.send, tick.soon)
    this.deadlines = new Deadlines(tick)
    this.calls = new WorkerCalls(new Slots(child.claims, slotsOf(options)), order, {
      tell: (kind, id, body) => this.tell(kind, id, body),
      onTurn: (id) => {
        if (deadlineMillis === Infinity) return
        this.killAfter(`call ${id}`, deadlineMillis, `it took longer than ${deadlineMillis} ms for a request`)
      },
      onWaiting: (call) => owner.onWaiting(this, call),
      onGone: (id, call) => {
        owner.onGone(call)
        this.deadlines.forget(id)
        if (deadlineMillis !== Infinity) this.deadlines.forget(`call ${id}`)
      }
    })
    child.link.start({
      onBytes: reading(this, (problem) => this.kill(`what it sent cannot be read: ${problem}`)),
      onEnd: () => {}
    })
    child.onEnd((end) => this.ended(end))
    this.killAfter("start", startMillis, `it was not ready within ${startMillis} ms`)
  }

  get state(): "starting" | "ready" | "retiring" | "ended" {
    return this.life
  }

  tell(kind: number, id: number, body?: Uint8Array | string): void {
    if (this.life !== "ended") this.writer.add(kind, id, body)
  }

  /** Nobody waits for a call any more; whether it is this one's. */
  cancel(call: Call): boolean {
    const canceled = this.calls.cancel(call)
    if (typeof canceled === "number") {
      this.killAfter(canceled, this.graceMillis, "it did not let go of a request that was cancelled")
    }
    return canceled !== "not mine"
  }

  /** Tells it to end, and sees to it. */
  retire(): void {
    if (this.life === "ended" || this.life === "retiring") return
    this.life = "retiring"
    this.wasAsked = true
    this.writer.add(Ask.stop, 0)
    this.killAfter("retire", this.graceMillis, "it did not end when it was told to")
  }

  onFrame(kind: number, id: number, body: Buffer): void {
    const { calls, owner } = this
    switch (kind) {
      case Tell.ready:
        this.deadlines.forget("start")
        this.wasReady = true
        if (this.life === "starting") this.life = "ready"
        return owner.onReady(this, id)
      case Tell.freed: {
        const call = calls.release(id, "handled")
        return call === undefined ? undefined : owner.onFreed(this, call)
      }
      case Tell.returned: {
        const call = calls.release(id, "returned")
        return call === undefined ? undefined : owner.onReturned(this, call)
      }
      case Tell.dropped: {
        const later = calls.takeBackAfter(id)
        const call = calls.release(id, "dropped")
        return call === undefined ? undefined : owner.onDropped(this, [call, ...later])
      }
      case Tell.push:
        return owner.onPush(this, id, body.readUInt32LE(0), body.subarray(4))
      case Tell.close:
        return owner.onClose(calls.get(id), body.readUInt32LE(0))
      case Tell.shutdown:
        return owner.onShutdown(this)
      case Tell.unreleased:
        return owner.onUnreleased(readDefect(body))
      case Tell.problem:
        this.problem = body.toString()
        return
      default:
        if (calls.hasBegun(id)) owner.onBegun()
        return calls.get(id)?.onFrame(kind, body)
    }
  }

  private killAfter(key: string | number, millis: number, reason: string): void {
    if (this.life !== "ended") this.deadlines.set(key, millis, () => this.kill(reason))
  }

  private kill(reason: string): void {
    this.killedFor ??= reason
    if (this.life === "ready") {
      this.life = "retiring"
      this.owner.onKill(this)
    }
    this.child.kill()
  }

  private ended(end: End): void {
    this.life = "ended"
    this.deadlines.forgetAll()
    this.child.link.close()
    const { killedFor, wasReady } = this
    const said = killedFor ?? end.reason ?? this.problem
    const reason = said === undefined || wasReady ? said : hinted(said)
    const wasAsked = this.wasAsked && this.calls.size === 0 && killedFor === undefined
    this.owner.onEnd(this, { end: { ...end, reason }, wasReady, wasAsked })
  }
}

/** Reads frames. A worker whose handler has written to the channel by itself is lost, and nobody with it. */
const reading = (receiver: FrameReceiver, onGarbled: (problem: string) => void): ((chunk: Uint8Array) => void) => {
  const reader = new FrameReader(receiver)
  let garbled = false
  return (chunk) => {
    if (garbled) return
    const read = Result.try({ try: () => reader.push(chunk), catch: (error) => error as Error })
    if (Result.isSuccess(read)) return
    garbled = true
    onGarbled(read.failure.message)
  }
}
