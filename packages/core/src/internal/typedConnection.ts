import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type { Side } from "../Codec.ts"
import type { DecodeError } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { BatchQueue } from "./batchQueue.ts"
import type { Outbox } from "./outbox.ts"
import { Reader } from "./reading.ts"
import { type InputEnd, type Relay, relayKey } from "./relay.ts"
import { WireEnd } from "./wireEnd.ts"

/**
 * A typed connection over a wire: what a `Protocol.connection` handler holds,
 * and what a client holds.
 */
export class TypedConnection<In, Out> extends WireEnd<Out> implements Connection.Connection<In, Out>, Wire.Receiver {
  private readonly reader: Reader<In>
  private readonly info: Pick<Connection.Info, "id" | "openedAt" | "inFlight">
  protected readonly inbox = new BatchQueue<In, Connection.ConnectionError>()
  private reading = true
  /** Whether anything is still to come: `ended` by the peer or a fault, `stopped` by the server, which makes nothing of what has come of a message. */
  private input: "open" | InputEnd = "open"
  /** Why the input could not be decoded, or the connection not be upgraded. */
  fault: DecodeError | Outcome.Refused | undefined = undefined
  /** What arrived before the handler began, which may want it as bytes. */
  private held: Array<Uint8Array> | undefined
  /** Who takes the bytes, if a handler has asked for them. */
  private relayed: Parameters<Relay["start"]>[0] | "waiting" | undefined = undefined
  /** Called when it is taken that was handed on. */
  onTaken: () => void = () => {}

  constructor(options: {
    readonly wire: Wire.Wire
    readonly side: Side<In, Out>
    readonly outbox: Outbox<Out>
    readonly info: Pick<Connection.Info, "id" | "openedAt" | "inFlight">
    /** Whether what arrives is held until {@link deliver}. */
    readonly holds?: boolean
  }) {
    super(options.wire, options.outbox, options.info.id, options.info.openedAt)
    this.reader = new Reader(options.side, options.wire.carries)
    this.info = options.info
    this.held = options.holds === true ? [] : undefined
  }

  get inFlight(): number {
    return this.info.inFlight
  }

  readonly pull: Pull.Pull<readonly [In, ...Array<In>], Connection.ConnectionError> = Effect.suspend(() => {
    this.read(true)
    return this.inbox.takeAll
  })

  private readonly readMore = Effect.sync(() => {
    if (this.inbox.size <= 1) this.read(true)
  })

  readonly take = Effect.andThen(
    this.readMore,
    Effect.map(this.inbox.takeOne, (messages) => messages[0])
  )

  /** One message for each pull: a stream that is left early must not take along what it has not emitted. */
  get stream(): Stream.Stream<In, Connection.ConnectionError> {
    return Stream.fromPull(Effect.succeed(Effect.andThen(this.readMore, this.inbox.takeOne)))
  }

  readonly write = (message: Out): Effect.Effect<void, Connection.ConnectionError> =>
    Effect.suspend(() => {
      if (this.outbox.isClosed || this.outbox.isEnding) return this.fails({ _tag: "Closed" })
      return this.sent(message)
    })

  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.outbox.end()
  })

  readonly close: Effect.Effect<void> = Effect.sync(() => {
    this.input = "ended"
    this.endInbox()
    this.outbox.end()
    this.wire.resume()
  })

  readonly reset: Effect.Effect<void> = Effect.sync(() => this.wire.reset())

  /**
   * Changes what carries the connection, between two messages. What was written
   * leaves before, and `last` with it. What has been read already would be taken
   * for what comes after, so there may be none.
   */
  upgrade<E>(options: {
    readonly change: (wire: Wire.Wire) => Effect.Effect<void, E>
    readonly impossible?: ((wire: Wire.Wire) => string | undefined) | undefined
    readonly problemOf: (error: E) => string
    readonly last?: Out | undefined
  }): Effect.Effect<void, Connection.UpgradeFailed> {
    const { change, impossible, last, problemOf } = options
    return Effect.suspend(() => {
      if (this.input !== "open" || this.outbox.isClosed || this.outbox.isEnding) {
        return this.broken("the connection is closed")
      }
      if (this.reader.separate) return this.broken("datagrams have no connection to upgrade")
      const obstacle = impossible?.(this.wire)
      if (obstacle !== undefined) return this.broken(obstacle)
      this.read(false)
      if (this.inbox.size > 0 || this.reader.hasRest()) {
        return this.broken("the peer has sent more in clear after it had asked for encryption")
      }
      const problem = last === undefined ? undefined : this.outbox.add(last)
      if (problem !== undefined) return this.broken(`the message cannot be encoded: ${problem}`)
      this.outbox.hold()
      return change(this.wire).pipe(
        Effect.onInterrupt(() => Effect.ignore(this.broken("it was interrupted"))),
        Effect.catch((error) => this.broken(problemOf(error), error)),
        Effect.andThen(
          Effect.sync(() => {
            this.reader.restart()
            this.outbox.release()
            this.read(true)
          })
        )
      )
    })
  }

  /** Says nothing more, least of all in clear, and breaks the connection off. */
  private broken(problem: string, cause?: unknown): Effect.Effect<never, Connection.UpgradeFailed> {
    return Effect.suspend(() => {
      this.fault ??= Outcome.refused(problem)
      this.stop()
      this.outbox.close()
      this.wire.destroy()
      return Effect.fail(new Connection.UpgradeFailed({ peer: this.peer, problem, cause }))
    })
  }

  onData(chunk: Uint8Array): void {
    if (this.input === "open") this.decode(chunk)
  }

  onEnd(): void {
    if (this.input !== "open") return
    if (this.held === undefined) this.decode(undefined)
    this.endInput("ended")
  }

  onDrain(): void {
    this.outbox.onDrain()
  }

  onFinish(): void {
    this.outbox.onFinish()
  }

  /** Nothing more will be read. What has arrived of a message is none. */
  stop(): void {
    if (this.input === "open") this.endInput("stopped")
  }

  onClose(error: unknown): void {
    this.outbox.close()
    if (this.input === "open") this.input = "ended"
    this.endInbox(error === undefined ? undefined : Exit.fail(this.error({ _tag: "Reset", cause: error })))
  }

  /** A handler takes what was held, by messages unless it has asked for the bytes. */
  deliver(): void {
    const { held } = this
    if (held === undefined || this.relayed !== undefined) return
    this.held = undefined
    for (const chunk of held) this.decode(chunk)
    if (this.input === "open") return
    if (this.input === "ended") this.decode(undefined)
    this.endInbox()
  }

  /** Whether a handler has asked for the bytes, for somebody who has not taken them yet. */
  get isHandedOn(): boolean {
    return this.relayed === "waiting"
  }

  /** A handler takes it, by bytes: nothing is decoded here any more. */
  readonly [relayKey] = (): Relay => {
    this.relayed = "waiting"
    return {
      carries: this.wire.carries,
      start: (receiver) => {
        this.relayed = receiver
        this.onTaken()
        const held = this.held ?? []
        this.held = undefined
        for (const chunk of held) receiver.onData(chunk)
        if (this.input !== "open") receiver.onEnd(this.input)
      },
      write: (bytes) =>
        Effect.suspend(() => {
          this.outbox.pass(bytes)
          return this.outbox.writable
        }),
      read: (reading) => this.read(reading),
      end: () => this.outbox.end(),
      reset: () => this.wire.reset()
    }
  }

  /** The input has ended: by the peer, or because the server stops. */
  private endInput(input: InputEnd): void {
    this.input = input
    if (this.held !== undefined) return
    if (this.relayed !== undefined && this.relayed !== "waiting") this.relayed.onEnd(input)
    this.endInbox()
  }

  /** Decodes a chunk, or the end of the input. */
  private decode(chunk: Uint8Array | undefined): void {
    if (chunk !== undefined && this.held !== undefined) {
      this.held.push(chunk)
      return this.read(false)
    }
    if (this.relayed !== undefined && this.relayed !== "waiting") {
      if (chunk !== undefined) this.relayed.onData(chunk)
      return
    }
    const fault = this.reader.read(chunk, this.bytesRead)
    const { messages } = this.reader
    if (messages.length > 0) {
      this.reader.clear()
      this.received(messages)
    }
    if (fault !== undefined) {
      this.fault = fault
      if (this.reader.separate) this.inbox.offerFault(this.error(fault))
      else {
        this.input = "ended"
        this.endInbox(Exit.fail(this.error(fault)))
      }
    }
    // What nobody waits for stays in the kernel.
    this.read(this.inbox.size === 0 || this.isAwaited)
  }

  /** Messages have arrived. */
  protected received(messages: Array<In>): void {
    this.inbox.offer(messages)
  }

  /** Whether somebody waits for a message beside those who read. */
  protected get isAwaited(): boolean {
    return false
  }

  /** Nothing more will be received. */
  protected endInbox(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    this.inbox.end(exit)
  }

  protected read(reading: boolean): void {
    if (this.reading === reading) return
    this.reading = reading
    if (reading) this.wire.resume()
    else this.wire.pause()
  }

  protected error(reason: Connection.Reason): Connection.ConnectionError {
    return new Connection.ConnectionError({ reason, peer: this.peer })
  }
}
