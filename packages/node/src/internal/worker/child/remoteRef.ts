/** The connection that a handler in a worker sees. */
import * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import { Unencodable } from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { type Described, peerOf } from "../channel/description.ts"
import { writeDefect } from "../channel/calls.ts"
import { cost, count, type Facts, type FrameWriter, Tell } from "../channel/frames.ts"
import type { Encode } from "./call.ts"

/** The call whose handler the current fiber is in: what that does to its connection is known by it. */
export const CurrentCall = Context.Reference<number>("@socketserver/node/internal/CurrentCall", {
  defaultValue: () => 0
})

type Pushed = (reason: Connection.Reason | undefined) => void

/** The pushes of a worker that its parent has not confirmed yet. */
export class Pushes {
  private ids = 0
  private readonly waiting = new Map<number, Pushed>()

  add(pushed: Pushed): number {
    this.ids = (this.ids + 1) >>> 0
    this.waiting.set(this.ids, pushed)
    return this.ids
  }

  /** Its parent says what has become of a push. */
  confirm(id: number, reason: Connection.Reason | undefined): void {
    const pushed = this.waiting.get(id)
    this.waiting.delete(id)
    pushed?.(reason)
  }
}

/**
 * A connection of the parent, in a worker: one for each, so that what hangs on
 * its identity (the state of a `Session`) finds it again.
 */
export class RemoteRef<Out> implements Connection.Ref<Out> {
  readonly id: number
  readonly kind: Connection.Info["kind"]
  readonly peer: Peer.Peer
  readonly openedAt: number
  readonly listener: Endpoint.Endpoint
  bytesRead = 0
  bytesWritten = 0
  inFlight = 0
  endedBy: Connection.EndedBy | undefined = undefined
  private readonly writer: FrameWriter
  private readonly pushes: Pushes
  private readonly encode: () => Encode
  private readonly windowBytes: number
  private gone = false
  /** What was pushed and is not confirmed, in bytes, and who waits until that is less. */
  private unconfirmed = 0
  private readonly blocked = new Set<() => void>()
  private finalizers: Array<(exit: Exit.Exit<void>) => Effect.Effect<void>> = []
  /** How many of its calls are at work, and who waits until none is. */
  private atWork = 0
  private onIdle: (() => void) | undefined = undefined

  constructor(options: {
    readonly id: number
    readonly described: Described
    readonly writer: FrameWriter
    readonly pushes: Pushes
    readonly encode: () => Encode
    readonly windowBytes: number
  }) {
    const { described, id } = options
    this.id = id
    this.kind = described.kind
    this.peer = peerOf(described.peer)
    this.openedAt = described.openedAt
    this.listener = Result.getOrElse(Endpoint.parse(described.listener), () => Endpoint.memory(described.listener))
    this.writer = options.writer
    this.pushes = options.pushes
    this.encode = options.encode
    this.windowBytes = options.windowBytes
  }

  /** What its parent knew of it when it sent the latest request. */
  update(facts: Facts): void {
    this.bytesRead = facts.bytesRead
    this.bytesWritten = facts.bytesWritten
    this.inFlight = facts.inFlight
  }

  readonly push = (message: Out): Effect.Effect<void, Connection.ConnectionError> =>
    Effect.suspend(() => {
      if (this.gone) return this.fails({ _tag: "Closed" })
      const payload = this.encode()(message)
      if (payload instanceof Unencodable) return this.fails({ _tag: "EncodeFailed", problem: payload.problem })
      const bytes = typeof payload === "string" ? Buffer.from(payload) : payload
      return Effect.andThen(this.room, this.send(bytes))
    })

  private send(payload: Uint8Array): Effect.Effect<void, Connection.ConnectionError> {
    return Effect.callback((resume) => {
      if (this.gone) return resume(this.fails({ _tag: "Closed" }))
      const bytes = cost(payload.length)
      this.unconfirmed += bytes
      const id = this.pushes.add((reason) => {
        this.unconfirmed -= bytes
        if (this.unconfirmed <= this.windowBytes) this.wake()
        resume(reason === undefined ? Effect.void : this.fails(reason))
      })
      this.writer.add(Tell.push, id, Buffer.concat([count(this.id), payload]))
    })
  }

  /** Waits until what is on its way to the parent leaves room for more: who does not read holds up what is pushed to him. */
  private readonly room: Effect.Effect<void> = Effect.suspend(() =>
    this.unconfirmed <= this.windowBytes || this.gone ? Effect.void : Effect.andThen(this.less, this.room)
  )

  private readonly less: Effect.Effect<void> = Effect.callback((resume) => {
    const wake = () => resume(Effect.void)
    this.blocked.add(wake)
    return Effect.sync(() => this.blocked.delete(wake))
  })

  private wake(): void {
    const blocked = [...this.blocked]
    this.blocked.clear()
    for (const wake of blocked) wake()
  }

  readonly close: Effect.Effect<void> = Effect.withFiber((fiber) =>
    Effect.sync(() => {
      if (!this.gone) this.writer.add(Tell.close, fiber.getRef(CurrentCall), count(this.id))
    })
  )

  readonly [Remote.onEndKey] = (finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>): void => {
    this.finalizers.push(finalizer)
  }

  /** A call of it has begun. */
  began(): void {
    this.atWork++
  }

  /** A call of it has ended, and its handler. */
  ended(): void {
    this.atWork--
    if (this.atWork === 0) this.onIdle?.()
  }

  /** The connection has ended: what hangs on it is run, the last first, once its last handler has ended, too. */
  end(): Effect.Effect<void> {
    this.gone = true
    this.endedBy ??= "peer"
    this.wake()
    return this.atWork === 0 ? this.release : Effect.andThen(this.idle, this.release)
  }

  private readonly idle: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.atWork === 0) return resume(Effect.void)
    this.onIdle = () => resume(Effect.void)
  })

  private readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const { finalizers } = this
    this.finalizers = []
    return Effect.forEach(finalizers.reverse(), (finalizer) => this.ending(finalizer), { discard: true })
  })

  /** What a finalizer dies of is told, and stops none of the others. */
  private ending(finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.catchCause(
      Effect.suspend(() => finalizer(Exit.void)),
      (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => this.tellUnreleased(cause)))
    )
  }

  private tellUnreleased(cause: Cause.Cause<unknown>): void {
    this.writer.add(Tell.unreleased, this.id, writeDefect(Cause.die(Cause.squash(cause))))
    // It may be the last that this program does.
    this.writer.flush()
  }

  private fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.peer }))
  }
}
