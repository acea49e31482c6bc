/** What decoded messages take in memory is charged to their server, whatever they are made of. */
import { assert, describe, it } from "@effect/vitest"
import { Protocol, Server } from "@socketserver/core"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Json extends Server.Service<Json>()("Json", { protocol: Protocol.ndjson() }) {}

const size = 60_000
const many = (count: number, each: (i: number) => string) =>
  Array.from({ length: Math.floor(count) }, (_, i) => each(i)).join()

/** Texts whose values take much, and some that take little. */
const texts: Readonly<Record<string, (seed: number) => string>> = {
  "deep arrays": () => "[".repeat(size / 2) + "]".repeat(size / 2),
  "deep objects": () => '{"":'.repeat(size / 5) + "0" + "}".repeat(size / 5),
  "empty arrays": () => `[${many(size / 3, () => "[]")}]`,
  "empty objects": () => `[${many(size / 3, () => "{}")}]`,
  "arrays of one": () => `[${many(size / 4, () => "[0]")}]`,
  "small numbers": () => `[${many(size / 2, () => "1")}]`,
  "large numbers among others": () => `[{},${many(size / 5, () => "1e10")}]`,
  "short strings": (seed) => `[${many(size / 8, (i) => `"${(seed * size + i).toString(36)}"`)}]`,
  "names in one object": (seed) => `{${many(7_000, (i) => `"${(seed * 7_000 + i).toString(36)}":0`)}}`,
  "an object for each name": (seed) => `[${many(4_000, (i) => `{"${(seed * 4_000 + i).toString(36)}":0}`)}]`,
  records: () => `[${many(600, (i) => `{"id":${i},"name":"Ada Lovelace","tags":["a","b"],"price":${i}.5}`)}]`,
  "a long text": () => `"${"a long text ".repeat(5_000)}"`,
  "a wide text": () => `"${"\u0100".repeat(size / 2)}"`
}

setFlagsFromString("--expose_gc")
const gc = runInNewContext("gc") as () => void
const heap = () => {
  gc()
  return process.memoryUsage().heapUsed
}

describe("a value of JSON", () => {
  const { weight } = Protocol.ndjson().server

  // The figures are V8's. Where another one has others, this says so.
  it.each(Object.keys(texts))("takes no more than is charged for it: %s", (name) => {
    const count = 20
    const all = Array.from({ length: count }, (_, i) => texts[name]!(i))
    const charged = all.reduce((sum, text) => sum + text.length + weight(text.length, text), 0)
    const most = all.reduce((sum, text) => sum + text.length + weight(text.length), 0)
    const before = heap()
    const values = all.map((text) => JSON.parse(text) as unknown)
    const taken = heap() - before
    assert.strictEqual(values.length, count)
    assert.isAtMost(taken, charged * 1.05)
    assert.isAtMost(charged, most)
  })

  it("is charged half of the most where it is a record whose text is looked at", () => {
    const text = texts["records"]!(0)
    assert.isAtMost(weight(text.length, text), weight(text.length) / 2)
    const bytes = new TextEncoder().encode(text)
    assert.strictEqual(weight(bytes.length, bytes), weight(text.length, text))
  })
})

const connected = (options: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const context = yield* Layer.build(
      Layer.provideMerge(
        Json.serve(() => Effect.never),
        Transport.layer(Json, { drainTimeout: 0, ...options }, listen)
      )
    )
    const server = Context.get(context, Json)
    const connect = () => {
      const wire = new Scripted()
      accept(wire)
      return wire
    }
    return { connect, total: () => totalOf(server) }
  })

const totalOf = (server: object): number =>
  (server as Record<symbol, { readonly context: { readonly budget: { readonly total: number } } }>)[
    Symbol.for("@socketserver/core/Server/engine")
  ]!.context.budget.total

describe("what a server holds", () => {
  it.effect("counts a value by what it may be, and by what it is once much is held", () =>
    Effect.gen(function* () {
      const { connect, total } = yield* connected({ maxMemory: "8MiB" })
      const record = `${texts["records"]!(0).slice(0, -1)}]\n`
      let before = 0
      const added = Effect.gen(function* () {
        connect().data(record)
        yield* turns
        const more = total() - before
        before = total()
        return more / record.length
      })
      assert.isAtLeast(yield* added, 30)
      assert.isAtLeast(yield* added, 30)
      // More than a quarter is held.
      assert.isAtMost(yield* added, 17)
      assert.isAtMost(yield* added, 17)
    })
  )

  it.effect("counts what a datagram was decoded to", () =>
    Effect.gen(function* () {
      const layer = MemoryServer.layerDatagrams(Json, { drainTimeout: 0, name: "weights" })
      const context = yield* Layer.build(
        Layer.provideMerge(
          Json.serve(() => Effect.never),
          layer
        )
      )
      const wire = yield* MemoryServer.wire("weights")
      wire.start({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onFinish: () => {}, onClose: () => {} })
      const text = texts["deep arrays"]!(0)
      wire.write(text)
      yield* turns
      assert.isAtLeast(totalOf(Context.get(context, Json)), 30 * text.length)
    })
  )
})
