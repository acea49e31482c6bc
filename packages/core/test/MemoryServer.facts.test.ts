import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as v8 from "node:v8"
import * as vm from "node:vm"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))
const named = (name: string) => Layer.provideMerge(Lines.serve(echo), MemoryServer.layer(Lines, { name }))

describe("a server in memory", () => {
  it.effect("is found by its name while it lives", () =>
    Effect.gen(function* () {
      const ask = Effect.gen(function* () {
        const client = yield* Client.make(yield* MemoryServer.wire("found"), Lines.protocol)
        return yield* client.send("hello")
      }).pipe(Effect.scoped)
      assert.strictEqual(yield* Effect.provide(ask, named("found")), "hello")
      const gone = yield* Effect.flip(ask)
      assert.strictEqual(gone.message, "Cannot connect to memory:found: nothing listens there")
    })
  )

  it.effect("has a name of its own, which nobody else can take", () =>
    Effect.gen(function* () {
      const build = Layer.build(MemoryServer.layer(Lines, { name: "taken" }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* build
          const { message, reason } = yield* Effect.flip(Effect.scoped(build))
          assert.strictEqual(reason._tag === "BindFailed" && reason.kind, "AddressInUse")
          assert.match(message, /^Cannot bind memory:taken: address in use/)
        })
      )
      yield* Effect.scoped(build)
    })
  )

  it.effect("gives servers without a name different ones", () =>
    Effect.gen(function* () {
      const address = Effect.map(Lines, (server) => String(server.address))
      const one = yield* Effect.provide(address, MemoryServer.layer(Lines))
      const two = yield* Effect.provide(address, MemoryServer.layer(Lines))
      assert.match(one, /^memory:Lines-\d+$/)
      assert.notStrictEqual(one, two)
    })
  )

  it.effect("counts the silence of a connection from its last answer, not from its last request", () => {
    const slow = (request: Request.Request<string>) =>
      request.body === "slow" ? Effect.delay(echo(request), "5 seconds") : echo(request)
    return Effect.gen(function* () {
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(client.send("slow"), { startImmediately: true })
      while ((yield* (yield* Lines).connections)[0]?.inFlight !== 1) yield* Effect.yieldNow
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(answer), "slow")
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* client.send("next"), "next")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      yield* client.close
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Lines.serve(slow), MemoryServer.layer(Lines, { idleTimeout: "1 second" })))
    )
  })

  it.live("retains neither requests nor connections that have ended", () => {
    v8.setFlagsFromString("--expose-gc")
    const collect = vm.runInNewContext("gc") as () => void
    const seen: Array<WeakRef<object>> = []
    const handler = (request: Request.Request<string>) => {
      seen.push(new WeakRef(request), new WeakRef(request.connection))
      return Effect.andThen(Effect.yieldNow, echo(request))
    }
    return Effect.gen(function* () {
      const server = yield* Lines
      for (let i = 0; i < 20; i++) {
        const answers = Effect.flatMap(Lines.client, (client) =>
          Stream.runCollect(client.exchange(Stream.make("a", "b", "c")))
        )
        assert.deepStrictEqual(yield* Effect.scoped(answers), ["a", "b", "c"])
      }
      while ((yield* server.connections).length > 0) yield* Effect.yieldNow
      let alive = seen.length
      for (let turn = 0; turn < 100 && alive > 4; turn++) {
        yield* Effect.yieldNow
        collect()
        alive = seen.filter((ref) => ref.deref() !== undefined).length
      }
      // What the last turn has touched may still be on a stack.
      assert.isAtMost(alive, 4)
      assert.strictEqual(seen.length, 120)
    }).pipe(Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
  })
})
