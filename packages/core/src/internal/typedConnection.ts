import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Wire from "../Wire.ts"
import { unguarded } from "./guardedWire.ts"
import { Input, type InputOptions } from "./input.ts"
import type { Outbox } from "./outbox.ts"
import type { ValueHolder } from "./reading.ts"
import { type Relay, relayKey } from "./relay.ts"
import { WireEnd } from "./wireEnd.ts"

type Info = Pick<Connection.Info, "id" | "openedAt" | "inFlight" | "endedBy">

/** What carries a connection is changed by it. */
interface Upgrading<Out, E> {
  readonly change: (wire: Wire.Wire) => Effect.Effect<void, E>
  readonly impossible?: ((wire: Wire.Wire) => string | undefined) | undefined
  readonly problemOf: (error: E) => string
  readonly last?: Out | undefined
}

/**
 * A typed connection over a wire: what a `Protocol.connection` handler holds,
 * and what a client holds.
 */
export class TypedConnection<In, Out> extends WireEnd<Out> implements Connection.Connection<In, Out>, Wire.Receiver {
  readonly input: Input<In>
  readonly take: Effect.Effect<In, Connection.ConnectionError | Cause.Done>
  private readonly info: Info
  /** What its server counts it by; a client's counts nowhere. */
  readonly holding: ValueHolder | undefined
  /** What has ended a client's. */
  private ended: Connection.EndedBy | undefined = undefined

  constructor(options: InputOptions<In> & { readonly outbox: Outbox<Out>; readonly info: Info }) {
    super(options.wire, options.outbox, options.info.id, options.info.openedAt)
    this.input = new Input(options)
    this.info = options.info
    this.holding = options.holding
    this.take = Effect.andThen(
      this.readMore,
      Effect.map(this.input.inbox.takeOne, (messages) => messages[0])
    )
  }

  get inFlight(): number {
    return this.info.inFlight
  }

  get endedBy(): Connection.EndedBy | undefined {
    return this.info.endedBy ?? this.ended
  }

  readonly pull: Pull.Pull<readonly [In, ...Array<In>], Connection.ConnectionError> = Effect.suspend(() => {
    this.input.demand(Infinity)
    return this.input.inbox.takeAll
  })

  private readonly readMore = Effect.sync(() => {
    this.input.demand(1)
  })

  /** One message for each pull: a stream that is left early must not take along what it has not emitted. */
  get stream(): Stream.Stream<In, Connection.ConnectionError> {
    return Stream.fromPull(Effect.succeed(Effect.andThen(this.readMore, this.input.inbox.takeOne)))
  }

  readonly write = (message: Out): Effect.Effect<void, Connection.ConnectionError> =>
    Effect.suspend(() => this.writeNow(message))

  /** The same, at once: what is returned waits for the peer. */
  writeNow(message: Out): Effect.Effect<void, Connection.ConnectionError> {
    if (this.outbox.isClosed || this.outbox.isEnding) return this.fails({ _tag: "Closed" })
    return this.sent(message)
  }

  /** Several that nothing comes between. */
  writeTogether(messages: ReadonlyArray<Out>): Effect.Effect<void, Connection.ConnectionError> {
    if (this.outbox.isClosed || this.outbox.isEnding) return this.fails({ _tag: "Closed" })
    return this.sentTogether(messages)
  }

  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.outbox.end()
  })

  readonly close: Effect.Effect<void> = Effect.sync(() => {
    this.ended ??= "self"
    this.input.close()
    this.outbox.end()
    this.wire.resume()
  })

  readonly reset: Effect.Effect<void> = Effect.sync(() => {
    this.ended ??= "self"
    this.wire.reset()
  })

  /**
   * Changes what carries the connection, between two messages. What was written
   * leaves before, and `last` with it. What has been read already would be taken
   * for what comes after, so there may be none.
   */
  upgrade<E>(options: Upgrading<Out, E>): Effect.Effect<void, Connection.UpgradeFailed> {
    const { change, impossible, last, problemOf } = options
    return Effect.suspend(() => {
      const obstacle = this.obstacle(impossible)
      if (obstacle !== undefined) return this.broken(obstacle)
      const wire = unguarded(this.wire)
      this.input.read(false)
      if (this.input.inbox.size > 0 || this.input.reader.hasRest()) {
        return this.broken("the peer has sent more in clear after it had asked for encryption")
      }
      // Whoever takes them one by one has nothing of what came after.
      if (this.input.inbox.handed > 1 && this.input.reader.isFramed) return this.broken(together)
      const problem = last === undefined ? undefined : this.outbox.add(last)
      if (problem !== undefined) return this.broken(`the message cannot be encoded: ${problem}`)
      this.outbox.hold()
      return change(wire).pipe(
        Effect.onInterrupt(() => Effect.ignore(this.broken("it was interrupted"))),
        Effect.catch((error) => this.broken(problemOf(error), error)),
        Effect.andThen(
          Effect.sync(() => {
            this.input.reader.restart()
            this.outbox.release()
            this.input.read(true)
          })
        )
      )
    })
  }

  /** Why what carries it cannot be changed. */
  obstacle(impossible: ((wire: Wire.Wire) => string | undefined) | undefined): string | undefined {
    if (!this.input.inflow.isOpen || this.outbox.isClosed || this.outbox.isEnding) return "the connection is closed"
    if (this.input.reader.separate) return "datagrams have no connection to upgrade"
    return impossible?.(unguarded(this.wire))
  }

  /** Says nothing more, least of all in clear, and breaks the connection off. */
  private broken(problem: string, cause?: unknown): Effect.Effect<never, Connection.UpgradeFailed> {
    return Effect.suspend(() => {
      this.input.decoding.fault ??= Outcome.refused(problem, "Opening")
      this.input.stop()
      this.outbox.close()
      this.wire.destroy()
      return Effect.fail(new Connection.UpgradeFailed({ peer: this.peer, problem, cause }))
    })
  }

  /**
   * Gives what carries it away, with what has come and nobody has read: nothing is
   * read or written here any more. Nothing is returned where it cannot be, or not now.
   */
  giveAway(onStop: () => void): object | undefined {
    const wire = unguarded(this.wire)
    if (wire.detach === undefined || this.outbox.isClosed || this.outbox.isEnding) return undefined
    const { isStopping, owner } = this.input.inflow
    const held = this.input.giveUp()
    if (held === undefined) return undefined
    const given = wire.detach(held)
    owner.onGivenAway?.(onStop)
    if (isStopping) onStop()
    return given
  }

  onData(chunk: Uint8Array): void {
    this.input.onData(chunk)
  }

  onEnd(): void {
    this.ended ??= "peer"
    this.input.onEnd()
  }

  onDrain(): void {
    this.outbox.onDrain()
  }

  onFinish(): void {
    this.outbox.onFinish()
  }

  onClose(error: unknown): void {
    this.ended ??= "peer"
    this.outbox.close()
    const reset =
      error === undefined
        ? undefined
        : Exit.fail(new Connection.ConnectionError({ reason: { _tag: "Reset", cause: error }, peer: this.peer }))
    this.input.close(reset)
  }

  /** A handler takes it, by bytes: nothing is decoded here any more. */
  readonly [relayKey] = (): Relay => {
    return {
      carries: this.wire.carries,
      start: this.input.relay(),
      write: (bytes) =>
        Effect.suspend(() => {
          this.outbox.pass(bytes)
          return this.outbox.writable
        }),
      read: (reading) => this.input.read(reading),
      end: () => this.outbox.end(),
      reset: () => this.wire.reset()
    }
  }
}

const together =
  "the message that asks for encryption was pulled together with others, which came in clear; take one at a time (take, stream)"

/** {@link TypedConnection.upgrade} of a connection that may be another. */
export const upgrading = <In, Out, E>(
  connection: Connection.Connection<In, Out>,
  options: Upgrading<Out, E>
): Effect.Effect<void, Connection.UpgradeFailed> =>
  connection instanceof TypedConnection
    ? (connection as TypedConnection<In, Out>).upgrade(options)
    : Effect.fail(new Connection.UpgradeFailed({ peer: connection.peer, problem: noWire }))

export const noWire = "this connection has no wire"
