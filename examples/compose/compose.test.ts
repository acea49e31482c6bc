import { assert, layer } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Layer } from "effect"
import { Admin, AdminLive, Kv, KvLive, StoreLive } from "./servers.ts"

const Servers = Layer.merge(KvLive, AdminLive).pipe(
  Layer.provideMerge(Layer.merge(MemoryServer.layer(Kv), MemoryServer.layer(Admin))),
  Layer.provide(StoreLive)
)

layer(Servers)("in memory", (it) => {
  it.effect("what one server stores, the other counts and clears", () =>
    Effect.gen(function* () {
      const kv = yield* Kv.client
      const admin = yield* Admin.client
      assert.deepStrictEqual(yield* admin.send({ op: "count" }), { keys: 0 })
      assert.strictEqual(yield* kv.send("SET name Ada Lovelace"), "OK")
      assert.strictEqual(yield* kv.send("GET name"), "Ada Lovelace")
      assert.deepStrictEqual(yield* admin.send({ op: "count" }), { keys: 1 })
      assert.deepStrictEqual(yield* admin.send({ op: "clear" }), { keys: 0 })
      assert.strictEqual(yield* kv.send("GET name"), "(nil)")
    })
  )

  it.effect("says what it expects when it does not understand", () =>
    Effect.gen(function* () {
      const kv = yield* Kv.client
      for (const line of ["", "SET", "SET name", "PUT name Ada"]) {
        assert.strictEqual(yield* kv.send(line), "ERR expected GET key or SET key value")
      }
    })
  )
})
