import { assert } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

type Bytes = Connection.Connection<Uint8Array, Uint8Array>

/** A connection, and what it hears by number of bytes: where chunks end says nothing. */
export const hearing = (connection: Bytes) => {
  let heard: Uint8Array = empty
  const exactly = (length: number): Effect.Effect<Uint8Array, unknown> =>
    Effect.suspend(() => {
      if (heard.length < length) {
        return Effect.flatMap(connection.take, (chunk) => {
          heard = joined([heard, chunk])
          return exactly(length)
        })
      }
      const message = heard.subarray(0, length)
      heard = heard.subarray(length)
      return Effect.succeed(message)
    })
  // How a connection ends that its server breaks off depends on what the transport still had to read.
  const everything = Effect.map(Stream.runCollect(Stream.catchCause(connection.stream, () => Stream.empty)), (chunks) =>
    joined([heard, ...chunks])
  )
  const { close, end, reset, write } = connection
  return { close, end, everything, exactly, reset, write }
}

export const empty = new Uint8Array(0)

export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Shows where bytes differ: they may be many. */
export const sameBytes = (what: string, heard: Uint8Array, expected: Uint8Array): void => {
  const length = Math.max(heard.length, expected.length)
  let at = 0
  while (at < length && heard[at] === expected[at]) at++
  if (at === length) return
  const near = (bytes: Uint8Array) =>
    JSON.stringify(String.fromCharCode(...bytes.subarray(Math.max(0, at - 8), at + 24)))
  assert.fail(
    `${what}: byte ${at} differs, of ${heard.length} instead of ${expected.length}: ${near(heard)} instead of ${near(expected)}`
  )
}
