/** Whoever begins messages and does not end them keeps nobody out of a server whose memory they fill. */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Protocol, Response, Server } from "@socketserver/core"
import type * as Handler from "@socketserver/core/Handler"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const maxFrameBytes = 262_144
const utf8 = new TextEncoder()
const bytes = (length: number) => new Uint8Array(length).fill(120)

/** A length before what it is of, which is `more` longer than what is there. */
const prefixed = (data: Uint8Array, more: number) => {
  const frame = new Uint8Array(4 + data.length)
  new DataView(frame.buffer).setUint32(0, data.length + more)
  frame.set(data, 4)
  return frame
}

interface Case {
  readonly protocol: Protocol.Protocol<any, any, any, any>
  readonly hello: Uint8Array
  readonly unfinished: (length: number) => Uint8Array
}

const cases: Record<string, Case> = {
  lines: { protocol: Protocol.lines({ maxFrameBytes }), hello: utf8.encode("hello\n"), unfinished: bytes },
  delimited: {
    protocol: Protocol.delimited(";", { maxFrameBytes }),
    hello: utf8.encode("hello;"),
    unfinished: bytes
  },
  lengthPrefixed: {
    protocol: Protocol.lengthPrefixed({ maxFrameBytes }),
    hello: prefixed(utf8.encode("hello"), 0),
    unfinished: (length) => prefixed(bytes(length), 1_000)
  },
  netstring: {
    protocol: Protocol.netstring({ maxFrameBytes }),
    hello: utf8.encode("5:hello,"),
    unfinished: (length) => Buffer.concat([utf8.encode(`${length + 1_000}:`), bytes(length)])
  },
  ndjson: {
    protocol: Protocol.ndjson({ maxFrameBytes }),
    hello: utf8.encode('"hello"\n'),
    unfinished: (length) => Buffer.concat([utf8.encode('"'), bytes(length)])
  },
  "a whole connection": {
    protocol: Protocol.connection(Protocol.lines({ maxFrameBytes })) as never,
    hello: utf8.encode("hello\n"),
    unfinished: bytes
  }
}

const echoed = ({ take, write }: Connection.Connection<string, string>) => Effect.flatMap(take, write)

const [, logging] = logs()
const silent = Layer.fresh(logging)

describe("messages that have begun and do not end", () => {
  for (const [name, { hello, protocol, unfinished }] of Object.entries(cases)) {
    class Some extends Server.Service<Some>()("Some", { protocol }) {}
    const handler: Handler.Handler<any, any> = ({ body }) =>
      protocol.kind === "connection"
        ? Effect.as(Effect.ignore(Effect.forever(echoed(body))), Response.empty)
        : String(body).startsWith("wait")
          ? Effect.never
          : Effect.succeed(Response.make(body))

    /** A server with a megabyte, and who comes to it. */
    const served = Effect.gen(function* () {
      const { accept, listen } = listener()
      const options = { drainTimeout: 0, maxMemory: 1_048_576 }
      const context = yield* Layer.build(
        Layer.provideMerge(Some.serve(handler), Transport.layer(Some, options, listen))
      )
      const connect = () => {
        const wire = new Scripted()
        accept(wire)
        return wire
      }
      const comes = Effect.gen(function* () {
        const newcomer = connect()
        newcomer.bytes(hello)
        yield* turns
        return newcomer.asked()
      })
      return { server: Context.get(context, Some), connect, comes }
    })

    /** Three that fill it to nine tenths. */
    const begun = (connect: () => Scripted) =>
      [240_000, 200_000, 40_000].map((length) => {
        const peer = connect()
        peer.bytes(unfinished(length))
        return peer
      }) as [Scripted, Scripted, Scripted]

    it.effect(`give way to who comes anew once they have taken a second: ${name}`, () =>
      Effect.gen(function* () {
        const { comes, connect, server } = yield* served
        const [large, ...others] = begun(connect)
        yield* turns
        yield* TestClock.adjust(999)
        assert.include(yield* comes, "destroy")
        assert.strictEqual((yield* server.refusals).MaxMemory, 1)
        yield* TestClock.adjust(11)
        assert.match((yield* comes).join(), /^write \S*hello/)
        assert.deepStrictEqual(large.asked(), ["reset"])
        for (const other of others) assert.deepStrictEqual(other.asked(), [])
      }).pipe(Effect.provide(silent))
    )

    it.effect(`do so as well where a byte comes now and then: ${name}`, () =>
      Effect.gen(function* () {
        const { comes, connect } = yield* served
        const [large] = begun(connect)
        for (let i = 0; i < 11; i++) {
          yield* turns
          yield* TestClock.adjust(100)
          large.bytes(bytes(1))
        }
        yield* turns
        assert.match((yield* comes).join(), /^write \S*hello/)
        assert.deepStrictEqual(large.asked(), ["reset"])
      }).pipe(Effect.provide(silent))
    )
  }

  it.effect("are less to be waited for than a request that its handler has, however large", () => {
    class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines({ maxFrameBytes }) }) {}
    return Effect.gen(function* () {
      const { accept, listen } = listener()
      const options = { drainTimeout: 0, maxMemory: 1_048_576 }
      const live = Lines.serve(({ body }) => (body.length > 100 ? Effect.never : Effect.succeed(Response.make(body))))
      yield* Layer.build(Layer.provideMerge(live, Transport.layer(Lines, options, listen)))
      const connect = () => {
        const wire = new Scripted()
        accept(wire)
        return wire
      }
      const [whole, half] = [connect(), connect()]
      for (let i = 0; i < 3; i++) whole.bytes(Buffer.concat([bytes(80_000), utf8.encode("\n")]))
      half.bytes(bytes(240_000))
      yield* turns
      yield* TestClock.adjust("2 seconds")
      const late = connect()
      late.data("hello\n")
      yield* turns
      assert.include(late.asked(), "write hello")
      assert.deepStrictEqual(whole.asked(), [])
      assert.deepStrictEqual(half.asked(), ["reset"])
    }).pipe(Effect.provide(silent))
  })
})
