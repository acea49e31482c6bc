/** A call on the worker's side: look here for what a handler's answer becomes on the channel. */
import * as Outcome from "@socketserver/core/Outcome"
import type { Side } from "@socketserver/core/Codec"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Kind, writeClose, writeDefect, writeDone } from "../channel/calls.ts"
import { type Facts, type FrameWriter, Tell } from "../channel/frames.ts"
import { CurrentCall } from "./currentCall.ts"
import { Outgoing, unencodable } from "./outgoing.ts"
import type { RemoteRef } from "./remoteRef.ts"

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
  }) {
    this.id = options.id
    this.kind = options.kind
    this.facts = options.facts
    this.ref = options.ref
    this.payload = options.payload
    this.writer = options.writer
    this.messages = new Outgoing(options.id, options.writer)
  }

  /** What it came with, beside its facts; once, so that it is not kept for as long as its handler runs. */
  takePayload(): Buffer | undefined {
    const { payload } = this
    this.payload = undefined
    return payload
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
  answer(side: Side<unknown, never>, response: Response.Response<unknown>): Effect.Effect<Response.Response<unknown>> {
    if (response?._tag === undefined) return Exit.succeed(response)
    this.close = response.close
    const end = Response.withOutcome(Response.empty, response.outcome as Outcome.Outcome)
    switch (response._tag) {
      case "Empty":
        return Exit.succeed(end)
      case "Reply": {
        const problem = this.messages.send(side, response.value)
        return problem === undefined ? Exit.succeed(end) : unencodable(problem)
      }
      case "Streamed": {
        this.writer.add(Tell.stream, this.id, writeClose(response.close))
        return Effect.as(this.messages.sendAll(side, response.value), end)
      }
    }
  }
}
