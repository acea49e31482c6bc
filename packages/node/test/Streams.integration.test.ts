/** Replies that wait for their turn, and what holds a worker meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { items, Streaming, streaming } from "./support/streaming.ts"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("streaming.ts")

const each = 10
const rounds = 5

/** Asks for streams and single replies in turn, all at once, and reads everything; as often as `rounds` says. */
const client = Effect.gen(function* () {
  const { stream, write } = yield* Streaming.client
  const lines = Stream.toPull(stream)
  const pull = yield* lines
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < each; i++) {
      yield* write(`hello ${i}`)
      yield* write("stream")
    }
    const got: Array<string> = []
    while (got.length < each * (items + 1)) got.push(...(yield* pull))
    const hellos = got.flatMap((line, at) => (line.startsWith("hello") ? [[at, line]] : []))
    assert.deepStrictEqual(
      hellos,
      Array.from({ length: each }, (_, i) => [i * (items + 1), `hello ${i}`])
    )
  }
}).pipe(Effect.scoped)

describe.each([
  { name: "pool", policy: WorkerPolicy.pool({ size: 2, entry }) },
  { name: "thread", policy: WorkerPolicy.thread({ size: 2, entry }) }
])("streams of more than a worker may have on its way, under $name", ({ policy }) => {
  it.live.each([1, 6])("reach all of %i clients that pipeline them, for as long as they ask", (clients) =>
    Effect.forEach(Array.from({ length: clients }), () => client, { concurrency: "unbounded" }).pipe(
      Effect.provide(Layer.provideMerge(Streaming.serve(streaming, { policy }), MemoryServer.layer(Streaming)))
    )
  )
})
