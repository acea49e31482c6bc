/** Streamed responses of workers, on the parent's side. */
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Response from "@socketserver/core/Response"
import * as Remote from "@socketserver/core/Remote"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { defaultWindow } from "../channel/calls.ts"

interface On {
  /** So many bytes more wait here, or fewer. */
  readonly holds: (bytes: number) => void
  /** So many bytes were taken. */
  readonly taken: (bytes: number) => void
  /** There is as much as the worker may have on its way, so that it waits; or it goes on. */
  readonly waits: (waiting: boolean) => void
  /** Nobody takes the rest. */
  readonly left: () => void
}

/** A streamed response that comes from a worker. How it ends is known when it has. */
export class RemoteStream<Out> implements Response.Streamed<Out> {
  readonly _tag = "Streamed"
  close: boolean
  outcome: Outcome.Outcome | undefined = undefined
  private messages: Array<Out> = []
  private bytes = 0
  private ended: Exit.Exit<never, Cause.Done> | undefined = undefined
  private wake: (() => void) | undefined = undefined
  private started = false
  private readonly on: On
  private readonly windowBytes: number

  constructor(close: boolean, on: On, windowBytes = defaultWindow) {
    this.close = close
    this.on = on
    this.windowBytes = windowBytes
  }

  /** A message has come, which counts for so many bytes. */
  offer(body: Uint8Array, bytes: number): void {
    // Until its turn comes it keeps no more than its own: not all that has come with it, of other calls.
    this.messages.push(Remote.encoded(this.started ? body : new Uint8Array(body)))
    const waited = this.bytes > this.windowBytes
    this.bytes += bytes
    this.on.holds(bytes)
    if (!waited && this.bytes > this.windowBytes) this.on.waits(true)
    this.wake?.()
  }

  end(close: boolean, outcome: Outcome.Outcome | undefined): void {
    this.close ||= close
    this.outcome = outcome
    this.finish(Exit.fail(Cause.Done()))
  }

  fail(exit: Exit.Exit<never>): void {
    this.finish(exit)
  }

  get value(): Stream.Stream<Out> {
    return Stream.ensuring(Stream.fromPull(Effect.succeed(this.pull)), Effect.sync(this.leave))
  }

  /** Nobody takes the rest, which may be all of it: what has come is let go of. */
  readonly leave = (): void => {
    this.clear()
    this.on.left()
  }

  private readonly pull: Pull.Pull<readonly [Out, ...Array<Out>]> = Effect.suspend(() => {
    const { bytes, messages } = this
    this.started = true
    if (messages.length === 0) return this.ended ?? Effect.andThen(this.something, this.pull)
    this.clear()
    this.on.taken(bytes)
    if (bytes > this.windowBytes) this.on.waits(false)
    return Exit.succeed(messages as unknown as readonly [Out, ...Array<Out>])
  })

  private clear(): void {
    this.on.holds(-this.bytes)
    this.messages = []
    this.bytes = 0
  }

  private readonly something: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.messages.length > 0 || this.ended !== undefined) return resume(Effect.void)
    this.wake = () => {
      this.wake = undefined
      resume(Effect.void)
    }
  })

  private finish(exit: Exit.Exit<never, Cause.Done>): void {
    this.ended ??= exit
    this.wake?.()
  }
}
