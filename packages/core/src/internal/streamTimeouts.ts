import * as Outcome from "../Outcome.ts"
import type { StreamConnection } from "./streamConnection.ts"
import { RequestTimeouts } from "./timeouts.ts"

/** What is to be done in time on a connection of bytes: its peer reads, sends a first byte, sends frames as a whole, and is not silent for ever. */
export class StreamTimeouts<In, Out> extends RequestTimeouts<In, Out> {
  declare protected readonly on: StreamConnection<In, Out>

  /** Its peer is waited for from now on. */
  watch(): void {
    const { firstByteMillis, idleMillis } = this.context.limits
    this.by(this.on.activity.opened.at + Math.min(firstByteMillis, idleMillis))
  }

  /** The rest of a frame is waited for, if one is on its way. */
  framed(): void {
    const { activity } = this.on
    if (activity.inFrame) this.by(activity.frameDue(this.context.limits.frameMillis))
  }

  /** Its input is read from now on, or is not: of a frame that is on its way only the time counts in which it is. */
  reads(reading: boolean): void {
    const { activity } = this.on
    if (!activity.inFrame) return
    if (!reading) return activity.paused(this.context.now())
    activity.resumed(this.context.now())
    this.framed()
  }

  /** Something of what was written has not left. */
  override unsent(): void {
    const { activity, wire } = this.on
    if (activity.isUnsent || this.context.limits.writeMillis === Infinity) return
    const now = this.context.now()
    activity.unsent(wire, now)
    this.by(this.nextSample(now))
  }

  override look(now: number): number {
    const { closing } = this.on
    if (!closing.answers) return Infinity
    const written = this.lookAtWriting(now)
    if (!closing.answers) return Infinity
    const answered = this.lookAtRequests(now)
    if (closing.state !== "open") return Math.min(written, answered)
    const heard = this.lookAtReading(now)
    return closing.answers ? Math.min(written, answered, heard) : Infinity
  }

  private lookAtWriting(now: number): number {
    const { activity, outbox, wire } = this.on
    const { writeMillis } = this.context.limits
    if (!activity.isUnsent) return Infinity
    if (wire.bytesUnsent === 0 && !outbox.blocked) {
      activity.sent()
      return Infinity
    }
    const due = activity.writeDue(wire, now, writeMillis)
    if (now < due) return Math.min(due, this.nextSample(now))
    this.on.reset(Outcome.timedOut(writeMillis, "write"))
    return Infinity
  }

  /** When to look next whether something leaves: together with others, about once a second. */
  protected nextSample(now: number): number {
    const { writeMillis } = this.context.limits
    const every = Math.max(1, Math.min(1_000, Math.floor(writeMillis / 4)))
    return Math.min((Math.floor(now / every) + 1) * every, now + writeMillis)
  }

  private lookAtReading(now: number): number {
    const { activity } = this.on
    const { firstByteMillis, frameMillis, idleMillis } = this.context.limits
    const first = activity.hasHeard ? Infinity : activity.opened.at + firstByteMillis
    if (now >= first) return this.late(Outcome.timedOut(firstByteMillis, "firstByte"))
    const frame = activity.frameDue(frameMillis)
    if (now >= frame) return this.late(Outcome.timedOut(frameMillis, "frame"))
    return Math.min(first, frame, this.lookAtSilence(now, idleMillis))
  }

  private lookAtSilence(now: number, idleMillis: number): number {
    const { activity, awaitsPeer, outbox } = this.on
    if (idleMillis === Infinity || !awaitsPeer) return Infinity
    if (outbox.unsent > 0 || outbox.blocked) {
      // It has to read before it need say anything.
      activity.freeAt = now
      return now + Math.min(1_000, Math.ceil(idleMillis / 4))
    }
    const due = activity.idleDue(idleMillis)
    return now < due ? due : this.late(Outcome.timedOut(idleMillis, "idle"))
  }

  private late(outcome: Outcome.TimedOut): number {
    this.on.late(outcome)
    return Infinity
  }
}
