import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

type Line = Connection.Connection<string, string>

const served = (talk: (connection: Line) => Effect.Effect<void, unknown>) =>
  Layer.provideMerge(
    Talk.serve(Handler.dialogue((connection: Line) => Effect.orDie(talk(connection)))),
    MemoryServer.layer(Talk)
  )

const upgrade = (connection: Line, change: Effect.Effect<void, string>, last?: string) =>
  Transport.upgrade(connection, { change: () => change, problemOf: (error) => `it said ${error}`, last })

describe("Transport.upgrade", () => {
  it.effect("lets what was written leave, the last message last, and what is written meanwhile wait", () => {
    const changed = Latch.makeUnsafe()
    const changing = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["before", "last"])
      yield* changing.await
      assert.strictEqual(client.bytesRead, "before\nlast\n".length)
      yield* changed.open
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["meanwhile", "after"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served((connection) =>
          Effect.gen(function* () {
            yield* connection.write("before")
            const change = Effect.andThen(
              Effect.forkChild(connection.write("meanwhile"), { startImmediately: true }),
              Effect.andThen(changing.open, changed.await)
            )
            yield* upgrade(connection, change, "last")
            yield* connection.write("after")
          })
        )
      )
    )
  })

  it.effect("half-closes after it, and not before, where that is asked for meanwhile", () => {
    const changed = Latch.makeUnsafe()
    const heard: Array<string> = []
    return Effect.gen(function* () {
      const { accept, listen } = listener()
      const handler = Handler.dialogue((connection: Line) =>
        Effect.gen(function* () {
          const change = Effect.gen(function* () {
            yield* Effect.forkChild(connection.write("meanwhile"), { startImmediately: true })
            yield* connection.end
            yield* changed.await
          })
          yield* upgrade(connection, change, "last")
          yield* Stream.runForEach(connection.stream, (line) => Effect.sync(() => heard.push(line)))
        }).pipe(Effect.orDie)
      )
      yield* Layer.build(Layer.provideMerge(Talk.serve(handler), Transport.layer(Talk, {}, listen)))
      const wire = new Scripted()
      yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
      accept(wire)
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["write last"])
      yield* Effect.andThen(changed.open, turns)
      assert.deepStrictEqual(wire.asked(), ["write meanwhile", "end"])
      // It goes on reading.
      wire.data("still here\n")
      yield* turns
      assert.deepStrictEqual(heard, ["still here"])
      wire.half()
      yield* turns
      assert.deepStrictEqual(wire.asked(), [])
    }).pipe(Effect.scoped)
  })

  it.effect("decodes what comes after it from its start, whatever has been read", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      assert.strictEqual(yield* client.send("one"), "changed after one")
      assert.strictEqual(yield* client.send("two"), "two")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served((connection) =>
          Effect.gen(function* () {
            yield* upgrade(connection, Effect.void, `changed after ${yield* connection.take}`)
            yield* Stream.runForEach(connection.stream, (line) => connection.write(line))
          })
        )
      )
    )
  )

  for (const sent of ["go\nmore\n", "go\nmo"]) {
    let changes = 0
    let failure: unknown = undefined
    it.effect(`breaks the connection off after ${JSON.stringify(sent)}, and changes nothing`, () =>
      Effect.gen(function* () {
        const server = yield* Talk
        const connection = yield* Talk.rawClient
        yield* connection.write(new TextEncoder().encode(sent))
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.catchCause(connection.stream, () => Stream.empty)), [])
        assert.strictEqual(changes, 0)
        assert.strictEqual((failure as Connection.UpgradeFailed)._tag, "UpgradeFailed")
        assert.strictEqual((yield* server.counts).Refused, 1)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          served((connection) =>
            Effect.gen(function* () {
              yield* connection.take
              const change = Effect.sync(() => void changes++)
              failure = yield* Effect.flip(upgrade(connection, change, "not said"))
              yield* Effect.flip(connection.write("neither"))
            })
          )
        )
      )
    )
  }

  it.effect("ends a dialogue that lets it fail, as Refused", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      yield* client.write("go")
      yield* Effect.exit(client.take)
      const { Completed, Failed, Refused } = yield* server.counts
      assert.deepStrictEqual({ Completed, Failed, Refused }, { Completed: 0, Failed: 0, Refused: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(
            Handler.dialogue((connection: Server.ConnectionOf<typeof Talk>) =>
              Effect.andThen(connection.take, upgrade(connection, Effect.fail("no")))
            )
          ),
          MemoryServer.layer(Talk)
        )
      )
    )
  )

  it.effect("fails with what the change failed with, after which nothing is read or written", () => {
    const failed: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Talk.client
      yield* client.write("go")
      yield* Effect.exit(client.take)
      assert.match(failed[0] ?? "", /it cannot be upgraded: it said no$/)
      assert.strictEqual(failed[1], "Closed")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served((connection) =>
          Effect.gen(function* () {
            yield* connection.take
            const error = yield* Effect.flip(upgrade(connection, Effect.fail("no")))
            failed.push(error.message)
            failed.push((yield* Effect.flip(connection.write("in clear"))).reason._tag)
          })
        )
      )
    )
  })
})
