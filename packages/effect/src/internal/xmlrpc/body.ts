import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"
import { visitOf } from "../visit.ts"

/** What is wrong with a body. */
export type BodyProblem = "TooLarge" | "Unreadable"

/**
 * Reads a whole body and does something with it. Behind the bridge both count in what its server
 * may hold for all: what has come of it as that whose rest its peer has to send.
 */
export const withBody = <A, E, R>(
  request: HttpServerRequest,
  maxBytes: number,
  use: (body: Effect.Effect<Uint8Array, BodyProblem>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const { socket } = request.source as { readonly socket?: object }
    const connection = socket === undefined ? undefined : visitOf(socket)?.connection
    let held = 0
    let isWhole = false
    const hold = (bytes: number): void => {
      held += bytes
      if (connection !== undefined) Remote.hold(connection, bytes, !isWhole)
    }
    const letGo = (): void => hold(-held)
    const chunks: Array<Uint8Array> = []
    const collected = Stream.runForEach(request.stream, (chunk) => {
      hold(chunk.length)
      chunks.push(chunk)
      return held > maxBytes ? Effect.fail("TooLarge" as const) : Effect.void
    }).pipe(
      Effect.mapError((error): BodyProblem => (error === "TooLarge" ? error : "Unreadable")),
      Effect.map(() => {
        const bytes = held
        letGo()
        isWhole = true
        hold(bytes)
        return Buffer.concat(chunks)
      })
    )
    return Effect.ensuring(use(collected), Effect.sync(letGo))
  })
