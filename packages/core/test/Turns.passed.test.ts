/** What is no message takes no more of a turn than messages do: empty lines of JSON, which only keep a connection open. */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Protocol, Response, Server } from "@socketserver/core"
import type * as Handler from "@socketserver/core/Handler"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { listener, Scripted } from "./support/scripted.ts"
import { turn } from "./support/turns.ts"

class Requests extends Server.Service<Requests>()("Requests", { protocol: Protocol.ndjson() }) {}
class Whole extends Server.Service<Whole>()("Whole", { protocol: Protocol.connection(Protocol.ndjson()) }) {}

const echoed = ({ take, write }: Connection.Connection<unknown, unknown>) => Effect.flatMap(take, write)

const respond: Handler.Handler<any, any> = ({ body }) =>
  typeof body === "string"
    ? Effect.succeed(Response.make(body))
    : Effect.as(Effect.ignore(Effect.forever(echoed(body))), Response.empty)

const empty = "\n".repeat(65_536)

for (const tag of [Requests, Whole] as ReadonlyArray<typeof Requests>) {
  describe(`empty lines over ${tag.key}`, () => {
    const served = Effect.gen(function* () {
      const { accept, listen } = listener()
      const context = yield* Layer.build(
        Layer.provideMerge(tag.serve(respond), Transport.layer(tag, { drainTimeout: 0 }, listen))
      )
      const connect = () => {
        const wire = new Scripted()
        accept(wire)
        return wire
      }
      return { connect, server: Context.get(context, tag) }
    })

    it.effect("are passed over in many turns of the event loop, and what comes behind them is answered", () =>
      Effect.gen(function* () {
        const { connect } = yield* served
        const wire = connect()
        for (let i = 0; i < 5; i++) yield* turn
        wire.data(`${empty}"behind"\n`)
        let turns = 0
        for (; wire.asked().join() === ""; turns++) {
          assert.isBelow(turns, 2_000)
          yield* turn
        }
        assert.isAbove(turns, 65_536 / 1_024)
        for (let i = 0; i < 5; i++) yield* turn
        assert.isFalse(wire.paused)
        wire.data('"next"\n')
        for (let i = 0; i < 5; i++) yield* turn
        assert.deepStrictEqual(wire.asked(), ['write "next"'])
      })
    )

    it.effect("keep nobody waiting, however many send them", () =>
      Effect.gen(function* () {
        const { connect } = yield* served
        const others = Array.from({ length: 50 }, connect)
        for (let i = 0; i < 5; i++) yield* turn
        for (const other of others) other.data(empty)
        const wire = connect()
        wire.data('"hello"\n')
        for (let i = 0; i < 10; i++) yield* turn
        assert.deepStrictEqual(wire.asked(), ['write "hello"'])
        for (const other of others) assert.isTrue(other.paused)
      })
    )

    it.effect("hold up no stop, and no end of their connection", () =>
      Effect.gen(function* () {
        const { connect, server } = yield* served
        const [wire, gone] = [connect(), connect()]
        for (let i = 0; i < 5; i++) yield* turn
        wire.data(empty)
        gone.data(empty)
        gone.gone()
        for (let i = 0; i < 5; i++) yield* turn
        assert.lengthOf(yield* server.connections, 1)
        yield* server.shutdown
        assert.lengthOf(yield* server.connections, 0)
      })
    )
  })
}
