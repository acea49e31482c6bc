/** A call on the worker's side: look here for what a handler's answer becomes on the channel. */
import * as Outcome from "@socketserver/core/Outcome"
import { Unencodable } from "@socketserver/core/Protocol"
import type * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { type Kind, writeClose, writeDefect, writeDone } from "../channel/calls.ts"
import { cost, type Facts, type FrameWriter, Tell } from "../channel/frames.ts"
import { CurrentCall, type RemoteRef } from "./remoteRef.ts"

/** Makes the payload of a message of the server, or says why it has none. */
export type Encode = ReturnType<typeof Remote.payloadEncoder>

/** A call that this worker has been given, and what it sends back: messages, and how it has ended. */
export class Call {
  readonly id: number
  readonly kind: Kind
  readonly facts: Facts
  readonly ref: RemoteRef<unknown>
  /** What is sent of a response. */
  readonly messages: Outgoing
  private readonly writer: FrameWriter
  private payload: Buffer | undefined
  // Few have any.
  declare private controls: Array<Buffer | undefined> | undefined
  private placed = false
  private close = false
  private outcome: Outcome.Outcome | undefined = undefined

  constructor(options: {
    readonly id: number
    readonly kind: Kind
    readonly facts: Facts
    readonly ref: RemoteRef<unknown>
    readonly payload: Buffer
    readonly writer: FrameWriter
    readonly windowBytes: number
  }) {
    this.id = options.id
    this.kind = options.kind
    this.facts = options.facts
    this.ref = options.ref
    this.payload = options.payload
    this.writer = options.writer
    this.messages = new Outgoing(options.id, options.writer, options.windowBytes)
  }

  /** What it came with, beside its facts; once, so that it is not kept for as long as its handler runs. */
  takePayload(): Buffer | undefined {
    const { payload } = this
    this.payload = undefined
    return payload
  }

  /** A control message has come for it, or its end, before it has begun. */
  control(payload: Buffer | undefined): void {
    ;(this.controls ??= []).push(payload)
  }

  takeControls(): ReadonlyArray<Buffer | undefined> {
    const { controls = none } = this
    this.controls = undefined
    return controls
  }

  /** A handler has it, whose end is then the call's. */
  place(): void {
    this.placed = true
  }

  get isPlaced(): boolean {
    return this.placed
  }

  /** Whether its handler has ended. */
  get isOver(): boolean {
    return this.outcome !== undefined
  }

  /** The ledger of this program says how it has ended. */
  onOutcome(outcome: Outcome.Outcome): void {
    if (this.outcome !== undefined) return
    this.outcome = outcome
    // The last bytes of a whole connection leave after its handler has ended.
    if (this.kind.name !== "connection") this.tellOutcome()
  }

  tellOutcome(): void {
    const outcome = this.outcome ?? Outcome.cancelled("PeerGone")
    if (outcome._tag === "Failed") this.writer.add(Tell.failed, this.id, writeDefect(outcome.cause))
    else this.writer.add(Tell.done, this.id, writeDone(this.close, outcome))
  }

  /** Lets what a handler does know for which call. */
  within<A, E>(effect: Effect.Effect<A, E, unknown>): Effect.Effect<A, E, unknown> {
    return Effect.provideService(effect, CurrentCall, this.id) as Effect.Effect<A, E, unknown>
  }

  /** Sends a response, and leaves one for this program's own server that sends nothing. */
  answer(encode: Encode, response: Response.Response<unknown>): Effect.Effect<Response.Response<unknown>> {
    if (response?._tag === undefined) return Exit.succeed(response)
    this.close = response.close
    const end = Response.withOutcome(Response.empty, response.outcome as Outcome.Outcome)
    switch (response._tag) {
      case "Empty":
        return Exit.succeed(end)
      case "Reply": {
        const problem = this.messages.send(encode, response.value)
        return problem === undefined ? Exit.succeed(end) : unencodable(problem)
      }
      case "Streamed": {
        this.writer.add(Tell.stream, this.id, writeClose(response.close))
        return Effect.as(this.messages.sendAll(encode, response.value), end)
      }
    }
  }
}

/** The messages of a response, to the parent: as many at a time as that takes. */
class Outgoing {
  private readonly id: number
  private readonly writer: FrameWriter
  private readonly windowBytes: number
  /** What the parent has not taken yet, and who waits for that. */
  private unsent = 0
  private resume: (() => void) | undefined = undefined

  constructor(id: number, writer: FrameWriter, windowBytes: number) {
    this.id = id
    this.writer = writer
    this.windowBytes = windowBytes
  }

  /** Sends a message, however much is on its way; or says why it cannot be encoded. */
  send(encode: Encode, message: unknown): string | undefined {
    const payload = encode(message)
    if (payload instanceof Unencodable) return payload.problem
    this.writer.add(Tell.message, this.id, payload)
    this.unsent += cost(typeof payload === "string" ? Buffer.byteLength(payload) : payload.length)
    return undefined
  }

  sendAll(encode: Encode, messages: Stream.Stream<unknown>): Effect.Effect<void> {
    return Stream.runForEachArray(messages, (some) => {
      const from = (start: number): Effect.Effect<void> => {
        for (let i = start; i < some.length; i++) {
          const problem = this.send(encode, some[i])
          if (problem !== undefined) return unencodable(problem)
          if (this.unsent > this.windowBytes) return Effect.flatMap(this.taken(), () => from(i + 1))
        }
        return Effect.void
      }
      return Effect.suspend(() => from(0))
    })
  }

  /** The parent has taken what was sent. */
  credited(bytes: number): void {
    this.unsent -= bytes
    // It waits as long as its parent says that it does, and no longer: whoever is held below the window is not seen to be held.
    if (this.unsent > this.windowBytes) return
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  private taken(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.unsent <= this.windowBytes) return resume(Effect.void)
      this.resume = () => resume(Effect.void)
    })
  }
}

const none: ReadonlyArray<Buffer | undefined> = []

const unencodable = (problem: string): Effect.Effect<never> =>
  Effect.die(new Error(`The response cannot be encoded: ${problem}`))
