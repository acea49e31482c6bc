/** The messages of a response, from a worker to its parent: as many at a time as that takes. */
import type { Side } from "@socketserver/core/Codec"
import { Unencodable } from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { windowBytes } from "../channel/calls.ts"
import { cost, type FrameWriter, Tell } from "../channel/frames.ts"

export class Outgoing {
  private readonly id: number
  private readonly writer: FrameWriter
  /** What the parent has not taken yet, and who waits for that. */
  private unsent = 0
  private resume: (() => void) | undefined = undefined

  constructor(id: number, writer: FrameWriter) {
    this.id = id
    this.writer = writer
  }

  /** Sends a message, however much is on its way; or says why it cannot be encoded. */
  send(side: Side<unknown, never>, message: unknown): string | undefined {
    const payload = Remote.encodePayload(side, message)
    if (payload instanceof Unencodable) return payload.problem
    this.writer.add(Tell.message, this.id, payload)
    this.unsent += cost(typeof payload === "string" ? Buffer.byteLength(payload) : payload.length)
    return undefined
  }

  sendAll(side: Side<unknown, never>, messages: Stream.Stream<unknown>): Effect.Effect<void> {
    return Stream.runForEachArray(messages, (some) => {
      const from = (start: number): Effect.Effect<void> => {
        for (let i = start; i < some.length; i++) {
          const problem = this.send(side, some[i])
          if (problem !== undefined) return unencodable(problem)
          if (this.unsent > windowBytes) return Effect.flatMap(this.taken(), () => from(i + 1))
        }
        return Effect.void
      }
      return Effect.suspend(() => from(0))
    })
  }

  /** The parent has taken what was sent. */
  credited(bytes: number): void {
    this.unsent -= bytes
    if (this.unsent > windowBytes / 2) return
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  private taken(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.unsent <= windowBytes) return resume(Effect.void)
      this.resume = () => resume(Effect.void)
    })
  }
}

export const unencodable = (problem: string): Effect.Effect<never> =>
  Effect.die(new Error(`The response cannot be encoded: ${problem}`))
