/** A worker that does what a test says, so that what a pool does can be seen frame by frame. */
import * as Cause from "effect/Cause"
import { writeDefect } from "../../src/internal/worker/channel/calls.ts"
import { bytesOf, Claims, memoryCells } from "../../src/internal/worker/channel/claims.ts"
import { Ask, factsBytes, FrameReader, FrameWriter, readFacts, Tell } from "../../src/internal/worker/channel/frames.ts"
import type { Child, End } from "../../src/internal/worker/parent/child.ts"

export interface Given {
  readonly id: number
  readonly text: string
  /** One more than the slot of its claim. */
  readonly claim: number
}

export class ScriptedWorker {
  /** What it was given, in order. */
  readonly given: Array<Given> = []
  readonly cancelled: Array<number> = []
  isKilled = false
  hasEnded = false
  /** It is killed, or told to end. */
  onKill: () => void = () => {}
  onStop: () => void = () => {}
  private readonly begun = new Set<number>()
  private readonly cells = memoryCells(new SharedArrayBuffer(bytesOf(256)))
  private readonly claims = new Claims(this.cells)
  private readonly replies: FrameWriter
  private onBytes: (bytes: Uint8Array) => void = () => {}
  private onEnd: (end: End) => void = () => {}

  constructor() {
    this.replies = new FrameWriter(
      (parts, bytes) => this.onBytes(Buffer.concat(parts, bytes)),
      () => {}
    )
  }

  child(name: string): Child {
    const reader = new FrameReader({
      onFrame: (kind, id, body) => {
        if (kind === Ask.cancel) this.cancelled.push(id)
        if (kind === Ask.stop) this.onStop()
        if (kind !== Ask.request) return
        this.given.push({ id, text: body.subarray(factsBytes).toString(), claim: readFacts(body).claim })
      }
    })
    return {
      name,
      link: {
        start: ({ onBytes }) => void (this.onBytes = onBytes),
        send: (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
        whenSent: (sent) => sent(),
        close: () => {}
      },
      claims: this.claims,
      kill: () => {
        this.isKilled = true
        this.onKill()
      },
      onEnd: (ended) => void (this.onEnd = ended)
    }
  }

  /** What it has been given and not ended. */
  get holds(): string {
    return this.given.map(({ text }) => text).join("")
  }

  /** Is ready, after so many milliseconds of the CPU. */
  ready(spentMillis = 0): void {
    this.tell(Tell.ready, spentMillis)
  }

  /** Wants to begin what it was given; whether it may. */
  claim(text: string): boolean {
    const { claim, id } = this.find(text)
    if (!this.claims.claim(claim - 1, id)) return false
    this.begun.add(id)
    return true
  }

  /** Has written that it wants to begin what it was given, and not looked yet whether it may. */
  wants(text: string): void {
    const { claim, id } = this.find(text)
    this.cells.write(2 * (claim - 1), id)
  }

  answer(text: string): void {
    const { claim, id: given } = this.find(text)
    // What has no claim has begun as it came.
    if (claim > 0 && !this.begun.has(given) && !this.claim(text)) throw new Error(`it may not begin ${text}`)
    const { id } = this.take(text)
    this.replies.add(Tell.message, id, text)
    this.replies.add(Tell.done, id, "0")
    this.tell(Tell.freed, id)
  }

  /** Begins to answer with a stream, of so many messages of 10,000 bytes. */
  stream(text: string, messages: number): void {
    if (!this.claim(text)) throw new Error(`it may not begin ${text}`)
    this.replies.add(Tell.stream, this.find(text).id, "0")
    this.streamMore(text, messages)
  }

  streamMore(text: string, messages: number): void {
    const { id } = this.find(text)
    for (let i = 0; i < messages; i++) this.replies.add(Tell.message, id, "x".repeat(10_000))
    this.replies.flush()
  }

  /** Says that it will not do what was revoked. */
  drop(text: string): void {
    this.tell(Tell.dropped, this.take(text).id)
  }

  /** Says so of all that was taken back. */
  dropCancelled(): void {
    for (const one of this.given.filter(({ id }) => this.cancelled.includes(id) && !this.begun.has(id))) {
      this.given.splice(this.given.indexOf(one), 1)
      this.tell(Tell.dropped, one.id)
    }
  }

  /** Says that it will not do what it was given, because it stops. */
  giveBack(text: string): void {
    this.tell(Tell.returned, this.take(text).id)
  }

  /** Says what a connection has died of as it was released. */
  cannotRelease(connection: number, text: string): void {
    this.replies.add(Tell.unreleased, connection, writeDefect(Cause.die(new Error(text))))
    this.replies.flush()
  }

  crash(): void {
    this.hasEnded = true
    this.onEnd({ exitCode: 1, signal: undefined, reason: undefined })
  }

  private find(text: string): Given {
    const found = this.given.find((given) => given.text === text)
    if (found === undefined) throw new Error(`it does not have ${text}, but ${this.holds}`)
    return found
  }

  private take(text: string): Given {
    const found = this.find(text)
    this.given.splice(this.given.indexOf(found), 1)
    return found
  }

  private tell(kind: number, id: number): void {
    this.replies.add(kind, id)
    this.replies.flush()
  }
}
