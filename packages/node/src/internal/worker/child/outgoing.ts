/** The messages of a response, from a worker to its parent: as many at a time as that takes. */
import type { Codec } from "@socketserver/core/Protocol"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { windowBytes } from "../channel/calls.ts"
import { encode } from "../channel/crossing.ts"
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
  send(codec: Codec<never, unknown>, message: unknown): string | undefined {
    const encoded = encode(codec, message)
    if (Result.isFailure(encoded)) return encoded.failure
    const { success: bytes } = encoded
    this.writer.add(Tell.message, this.id, bytes)
    this.unsent += cost(typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length)
    return undefined
  }

  sendAll(codec: Codec<never, unknown>, messages: Stream.Stream<unknown>): Effect.Effect<void> {
    return Stream.runForEachArray(messages, (some) => {
      const from = (start: number): Effect.Effect<void> => {
        for (let i = start; i < some.length; i++) {
          const problem = this.send(codec, some[i])
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
