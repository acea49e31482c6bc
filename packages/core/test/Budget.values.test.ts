/** Nothing is made of what comes where it may not be held: what is thrown away at once is garbage, which no budget counts. */
import { assert, describe, it } from "@effect/vitest"
import { Endpoint, MemoryServer, Outcome, Peer, Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth)

/** Takes some 120 KiB as a value: eight of them fit. */
const large = deep(2_048)
/** Some 30 KiB. */
const small = deep(512)
const maxMemory = "1MiB"

const asLine = (text: string) => `${text}\n`
const withLength = (text: string) => String.fromCharCode(0, 0, text.length >> 8, text.length & 127) + text
const record = Protocol.schema(Protocol.ndjson(), {
  request: Schema.Unknown as never as Schema.Codec<unknown, unknown>,
  response: Schema.String
})

const framed: ReadonlyArray<{
  readonly name: string
  readonly protocol: Protocol.Protocol<unknown, unknown, unknown, unknown>
  readonly frame: (text: string) => string
}> = [
  { name: "lines", protocol: Protocol.ndjson(), frame: asLine },
  { name: "delimited", protocol: Protocol.json(Protocol.delimited(";")), frame: (text) => `${text};` },
  { name: "netstring", protocol: Protocol.json(Protocol.netstring()), frame: (text) => `${text.length}:${text},` },
  { name: "lengthPrefixed", protocol: Protocol.json(Protocol.lengthPrefixed()), frame: withLength },
  { name: "by a schema", protocol: record as never, frame: asLine },
  {
    name: "with control messages",
    protocol: Protocol.control(Protocol.ndjson(), { is: () => false }) as never,
    frame: asLine
  }
]

/** How many values were made of texts, the largest first. */
const parsing = () => {
  const parse = vi.spyOn(JSON, "parse")
  return {
    made: (text: string) => parse.mock.calls.filter(([given]) => given === text).length,
    [Symbol.dispose]: () => parse.mockRestore()
  }
}

const budgetOf = (server: object): { readonly total: number } =>
  (server as Record<symbol, { context: { budget: { total: number } } }>)[
    Symbol.for("@socketserver/core/Server/engine")
  ]!.context.budget

const watched = (server: Server.Server<never, never>) =>
  Effect.gen(function* () {
    const outcomes: Array<Outcome.Outcome> = []
    const requests: Array<number> = []
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, ({ outcome, request }) =>
        Effect.sync(() => {
          outcomes.push(outcome)
          if (request !== undefined) requests.push(request.id)
        })
      ),
      { startImmediately: true }
    )
    return { outcomes, requests, total: () => budgetOf(server).total }
  })

const connected = (
  protocol: Protocol.Protocol<unknown, unknown, unknown, unknown>,
  handler: (request: { readonly body: never }) => Effect.Effect<unknown>,
  options: Transport.ServerOptions = {}
) =>
  Effect.gen(function* () {
    class Values extends Server.Service<Values>()("Values", { protocol }) {}
    const { accept, listen } = listener()
    const context = yield* Layer.build(
      Layer.provideMerge(
        Values.serve(handler as never),
        Transport.layer(Values, { drainTimeout: 0, maxMemory, ...options }, listen)
      )
    )
    const connect = (wire = new Scripted()) => {
      accept(wire)
      return wire
    }
    return { connect, server: Context.get(context, Values), ...(yield* watched(Context.get(context, Values) as never)) }
  })

const outOfMemory = Outcome.cancelled("OutOfMemory")

/** The system says only later that what was reset is gone. */
class Late extends Scripted {
  isReset = false
  override reset(): void {
    this.isReset = true
  }
}

describe("what comes over a connection", () => {
  for (const { frame, name, protocol } of framed) {
    it.effect(`is not made to be thrown away: ${name}`, () => {
      const [, logging] = logs()
      return Effect.gen(function* () {
        using parsed = parsing()
        const { connect, outcomes, total } = yield* connected(protocol, () => Effect.never)
        const wires = Array.from({ length: 40 }, () => connect())
        for (const wire of wires) {
          wire.data(frame(large))
          yield* turns
        }
        const reset = wires.filter((wire) => wire.asked().includes("reset"))
        assert.isAtLeast(parsed.made(large), 4)
        assert.isAtMost(parsed.made(large), 9)
        assert.strictEqual(parsed.made(large) + reset.length, 40)
        assert.deepStrictEqual(
          outcomes,
          reset.map(() => outOfMemory)
        )
        assert.isAtMost(total(), 1_048_576)
      }).pipe(Effect.provide(logging))
    })

    it.effect(`is made in whatever pieces it comes, and several at once are weighed together: ${name}`, () => {
      const [, logging] = logs()
      return Effect.gen(function* () {
        using parsed = parsing()
        const { connect, outcomes } = yield* connected(protocol, () => Effect.never)
        // Others hold something, so that it is looked at all the same.
        for (let i = 0; i < 4; i++) connect().data(frame(large))
        yield* turns
        const wire = connect()
        const input = frame(small)
        for (let at = 0; at < input.length; at += 100) wire.data(input.slice(at, at + 100))
        yield* turns
        assert.strictEqual(parsed.made(small), 1)
        assert.deepStrictEqual(wire.asked(), [])
        wire.data(frame(large).repeat(12))
        yield* turns
        assert.include(wire.asked(), "reset")
        assert.isAtMost(parsed.made(large), 4 + 8)
        assert.deepStrictEqual(
          new Set(outcomes.map((outcome) => JSON.stringify(outcome))),
          new Set([JSON.stringify(outOfMemory)])
        )
      }).pipe(Effect.provide(logging))
    })
  }

  it.effect("is made where another holds more, which gives way", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      using parsed = parsing()
      const { connect, total } = yield* connected(Protocol.ndjson(), () => Effect.never)
      const [wires, modest] = [Array.from({ length: 12 }, () => connect()), Array.from({ length: 8 }, () => connect())]
      for (const wire of wires) wire.data(asLine(large))
      yield* turns
      const made = parsed.made(large)
      for (const wire of modest) {
        wire.data(asLine(small))
        yield* turns
      }
      assert.strictEqual(parsed.made(small), 8)
      assert.isTrue(modest.every((wire) => !wire.asked().includes("reset")))
      assert.isAtLeast(made, 4)
      assert.isAtMost(total(), 1_048_576)
    }).pipe(Effect.provide(logging))
  })

  it.effect("is made where somebody holds anything who does not read", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      using parsed = parsing()
      let asked = 0
      const { connect } = yield* connected(Protocol.ndjson(), () =>
        Effect.suspend(() => (asked++ < 1 ? Effect.succeed(Response.make("r".repeat(10_000))) : Effect.never))
      )
      const unread = connect()
      unread.accepts = false
      unread.data("1\n")
      yield* turns
      unread.bytesUnsent = 10_000
      const wires = Array.from({ length: 8 }, () => connect())
      for (const wire of wires) {
        wire.data(asLine(large))
        yield* turns
      }
      assert.include(unread.asked(), "reset")
      assert.isAtLeast(parsed.made(large), 8)
    }).pipe(Effect.provide(logging))
  })

  it.effect("is made for whoever asks, and is answered at once", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      using parsed = parsing()
      const { connect, outcomes, total } = yield* connected(Protocol.ndjson(), () =>
        Effect.succeed(Response.make("done"))
      )
      for (const wire of Array.from({ length: 40 }, () => connect())) {
        wire.data(asLine(large))
        yield* turns
      }
      assert.deepStrictEqual([parsed.made(large), total()], [40, 0])
      assert.deepStrictEqual(new Set(outcomes), new Set([Outcome.completed]))
    }).pipe(Effect.provide(logging))
  })
})

describe("who is refused", () => {
  it.effect("has nothing begun any more that waits behind what is at work", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const begun: Array<unknown> = []
      const { connect, outcomes } = yield* connected(
        Protocol.control(Protocol.ndjson(), { is: () => false }) as never,
        ({ body }) => {
          if (typeof body === "number") begun.push(body)
          return body === 1 || typeof body !== "number" ? Effect.never : Effect.succeed(Response.make("ok"))
        },
        { maxPipelined: 1 }
      )
      for (let i = 0; i < 7; i++) {
        connect().data(asLine(large))
        yield* turns
      }
      const wire = connect(new Late()) as Late
      wire.data("1\n2\n3\n4\n")
      yield* turns
      assert.deepStrictEqual(begun, [1])
      wire.data(asLine(large))
      yield* turns
      assert.isTrue(wire.isReset)
      wire.data("5\n")
      wire.gone()
      yield* turns
      assert.deepStrictEqual([begun, outcomes], [[1], [outOfMemory]])
    }).pipe(Effect.provide(logging))
  })

  it.effect("is refused also for what came before its handler, which does not begin then, nor is kept", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      using parsed = parsing()
      let running = 0
      const { connect, outcomes, server, total } = yield* connected(
        Protocol.connection(Protocol.ndjson()) as never,
        () =>
          Effect.acquireUseRelease(
            Effect.sync(() => running++),
            () => Effect.never,
            () => Effect.sync(() => running--)
          )
      )
      const wires = Array.from({ length: 40 }, () => connect())
      for (const wire of wires) wire.data(asLine(large))
      yield* turns
      const reset = wires.filter((wire) => wire.asked().includes("reset"))
      assert.isAtMost(parsed.made(large), 9)
      assert.strictEqual(parsed.made(large) + reset.length, 40)
      assert.deepStrictEqual([running, (yield* server.connections).length], [40 - reset.length, 40 - reset.length])
      assert.deepStrictEqual(
        outcomes,
        reset.map(() => outOfMemory)
      )
      assert.isAtMost(total(), 1_048_576)
    }).pipe(Effect.provide(logging))
  })

  it.effect("has one outcome where the handler has answered before its input was looked at", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      let begun = 0
      const { connect, outcomes, requests } = yield* connected(Protocol.connection(Protocol.ndjson()) as never, () =>
        ++begun <= 7 ? Effect.never : Effect.succeed(Response.empty)
      )
      const wires = Array.from({ length: 12 }, () => connect(new Late()) as Late)
      for (const wire of wires) wire.data(asLine(large))
      const late = wires.slice(7)
      yield* turns
      assert.isTrue(late.every(({ isReset }) => isReset))
      for (const wire of late) wire.gone()
      yield* turns
      assert.deepStrictEqual([requests.length, new Set(requests).size], [5, 5])
      assert.deepStrictEqual(
        outcomes,
        late.map(() => outOfMemory)
      )
    }).pipe(Effect.provide(logging))
  })
})

describe("who is alone", () => {
  const text = Protocol.text(Protocol.lengthPrefixed({ maxFrameBytes: 1 << 20 }))
  for (const { body, name, protocol } of [
    { name: "text", protocol: text as never, body: "x".repeat(300_000) },
    { name: "JSON", protocol: Protocol.json(text), body: `"${"x".repeat(260_000)}"` }
  ]) {
    it.effect(`may send a large frame: the pieces that it came in go with it (${name})`, () => {
      const [, logging] = logs()
      return Effect.gen(function* () {
        const { connect, outcomes } = yield* connected(protocol, () => Effect.succeed(Response.make("done")))
        const wire = connect()
        const length = new Uint8Array(new Uint32Array([body.length]).buffer).reverse()
        const input = Buffer.concat([length, Buffer.from(body)])
        for (let at = 0; at < input.length; at += 65_536) {
          wire.bytes(input.slice(at, at + 65_536))
          yield* turns
        }
        assert.deepStrictEqual(outcomes, [Outcome.completed])
      }).pipe(Effect.provide(logging))
    })
  }
})

describe("a whole connection", () => {
  it.effect("has no value made that it may not hold", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      using parsed = parsing()
      const protocol = Protocol.connection(Protocol.ndjson())
      const { connect, outcomes, total } = yield* connected(protocol as never, () => Effect.never)
      const wires = Array.from({ length: 40 }, () => connect())
      for (const wire of wires) {
        wire.data(asLine(large))
        yield* turns
      }
      const reset = wires.filter((wire) => wire.asked().includes("reset"))
      assert.isAtMost(parsed.made(large), 9)
      assert.strictEqual(parsed.made(large) + reset.length, 40)
      assert.deepStrictEqual(
        outcomes,
        reset.map(() => outOfMemory)
      )
      assert.isAtMost(total(), 1_048_576)
    }).pipe(Effect.provide(logging))
  })
})

describe("a datagram", () => {
  for (const [whole, together] of [
    [false, false],
    [true, false],
    [true, true]
  ]) {
    const what = whole ? "that is a connection has no value made" : "has no value made that may not be held"
    it.effect(`${what}${together ? ", nor its handler begun" : ""}`, () => {
      const [, logging] = logs()
      return Effect.gen(function* () {
        using parsed = parsing()
        const protocol = whole ? Protocol.connection(Protocol.ndjson()) : Protocol.ndjson()
        class Values extends Server.Service<Values>()("Values", {
          protocol: protocol as Protocol.Protocol<unknown, unknown, unknown, unknown>
        }) {}
        const address = Endpoint.memory("scripted")
        let running = 0
        let sink: Transport.Sink | undefined
        const listen: Transport.Listen = (given) => {
          sink = given
          return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("scripted") })
        }
        const context = yield* Layer.build(
          Layer.provideMerge(
            Values.serve((() =>
              Effect.acquireUseRelease(
                Effect.sync(() => running++),
                () => Effect.never,
                () => Effect.sync(() => running--)
              )) as never),
            Transport.layer(Values, { drainTimeout: 0, maxMemory }, listen)
          )
        )
        const { outcomes, total } = yield* watched(Context.get(context, Values) as never)
        for (let i = 0; i < 40; i++) {
          sink!.receive({
            data: new TextEncoder().encode(large),
            peer: Peer.make({ transport: "memory", name: `${i}` }),
            listener: address,
            reply: () => {}
          })
          if (!together) yield* turns
        }
        yield* turns
        assert.isAtLeast(parsed.made(large), 4)
        assert.isAtMost(parsed.made(large), 9)
        assert.isAtMost(total(), 1_048_576)
        // Above nine tenths nobody new is let in.
        assert.strictEqual(parsed.made(large) + outcomes.length, 40)
        assert.strictEqual(running, parsed.made(large))
      }).pipe(Effect.provide(logging))
    })
  }
})
