import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Layer } from "effect"
import { Calls, CallsLive } from "./server.ts"

const ask = (id: number, tag: "Add" | "WhoAmI", payload: unknown) =>
  Effect.gen(function* () {
    const client = yield* Calls.client
    const answer = yield* client.send({ _tag: "Request", id, tag, payload, headers: [] })
    return answer._tag === "Exit" && answer.exit._tag === "Success" ? answer.exit.value : answer
  })

describe("examples/rpc", () => {
  it.effect("adds, and says who asks", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask(1, "Add", { a: 1, b: 2 }), 3)
      assert.match(JSON.stringify(yield* ask(2, "WhoAmI", null)), /^\{"peer":"memory:\S+#2","worker":"fiber-\d+"\}$/)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(CallsLive, MemoryServer.layer(Calls))))
  )
})
