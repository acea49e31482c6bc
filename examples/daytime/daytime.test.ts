import { assert, layer } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Daytime, DaytimeLive } from "./server.ts"

layer(Layer.provideMerge(DaytimeLive, MemoryServer.layer(Daytime)))("daytime", (it) => {
  it.effect("tells the time of the clock, and closes", () =>
    Effect.gen(function* () {
      const told = Effect.scoped(Effect.flatMap(Daytime.client, (client) => Stream.runCollect(client.stream)))
      assert.deepStrictEqual(yield* told, ["Thursday, January 1, 1970 00:00:00-UTC"])
      yield* TestClock.setTime(Date.UTC(1982, 1, 22, 17, 37, 43))
      assert.deepStrictEqual(yield* told, ["Monday, February 22, 1982 17:37:43-UTC"])
    })
  )
})
