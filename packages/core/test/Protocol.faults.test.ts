/** What becomes of bytes and messages that a protocol does not allow, on a running server and its client. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Client,
  type Connection,
  type Handler,
  MemoryServer,
  Outcome,
  Protocol,
  Response,
  Server
} from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { text, utf8 } from "./support/decoding.ts"

/** A line server with a protocol of choice; its client sends what it likes. */
const declare = (protocol: Protocol.Protocol<string, string>) => {
  class Lines extends Server.Service<Lines>()("Lines", { protocol }) {}
  return Lines
}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))

/** Sends raw text, and returns all that came back and every outcome. */
const exchange = (protocol: Protocol.Protocol<string, string>, input: ReadonlyArray<string>, handler = echo) => {
  const Lines = declare(protocol)
  return Effect.gen(function* () {
    const server = yield* Lines
    const outcomes = yield* Queue.unbounded<Outcome.Event>()
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, (event) => Queue.offer(outcomes, event)),
      {
        startImmediately: true
      }
    )
    yield* Effect.yieldNow
    const client = yield* Lines.rawClient
    for (const chunk of input) yield* client.write(utf8(chunk))
    const received = yield* Stream.runCollect(client.stream)
    const { Completed, ...others } = yield* server.counts
    const total = Completed + Object.values(others).reduce((sum, count) => sum + count, 0)
    const events = yield* Effect.forEach(Array.from({ length: total }), () => Queue.take(outcomes))
    return { received: received.map(text).join(""), events, outcomes: events.map(({ outcome }) => outcome) }
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
}

/** Letters, one a message; some of them are traps. */
const letters = Protocol.make<string>({
  name: "letters",
  decode: (input) => {
    const letter = text(input.subarray(0, 1))
    if (letter === "!") throw new Error("decoder bug")
    return Protocol.frame(letter, 1)
  },
  encode: (letter) => {
    if (letter === "?") throw new Error("encoder bug")
    return letter === "#" ? new Protocol.Unencodable("no sharps") : letter
  }
})

describe("A server whose peer sends", () => {
  it.effect("a frame that is too large answers what came before it, closes, and knows where it starts", () =>
    Effect.gen(function* () {
      const { events, outcomes, received } = yield* exchange(Protocol.lines({ maxFrameBytes: 3 }), [
        "a\nbc\ntoo long",
        "\nd\n"
      ])
      assert.strictEqual(received, "a\nbc\n")
      assert.deepStrictEqual(outcomes, [Outcome.completed, Outcome.completed, Outcome.frameTooLarge(3, 5)])
      assert.isUndefined(events[2]?.request)
    })
  )

  it.effect("malformed input answers what came before it, closes, and knows where it starts and why", () =>
    Effect.gen(function* () {
      const numbers = Protocol.transform(Protocol.lines(), {
        request: {
          decode: (line: string) => (line === "x" ? Result.fail("x is no number") : Result.succeed(line)),
          encode: Result.succeed
        },
        response: { decode: (line: string) => Result.succeed(line), encode: Result.succeed }
      })
      const { outcomes, received } = yield* exchange(numbers, ["1\n", "22\nx", "\n3\n"])
      assert.strictEqual(received, "1\n22\n")
      assert.deepStrictEqual(outcomes, [Outcome.completed, Outcome.completed, Outcome.malformed(5, "x is no number")])
    })
  )

  it.effect("what makes its decoder throw does the same, and names the frame", () =>
    Effect.gen(function* () {
      const { outcomes, received } = yield* exchange(letters, ["ab", "c!de"])
      assert.strictEqual(received, "abc")
      const [a, b, c, fault] = outcomes
      assert.deepStrictEqual([a, b, c], [Outcome.completed, Outcome.completed, Outcome.completed])
      assert.deepStrictEqual(fault, Outcome.malformed(3, "the decoder threw: decoder bug"))
    })
  )

  it("is a fault also where what is thrown has no text", () => {
    const odd = Protocol.make<string>({
      name: "odd",
      decode: () => {
        throw Object.create(null)
      },
      encode: () => {
        throw Object.create(null)
      }
    })
    const fault = odd.client.decoder().push(utf8("a"), [])
    assert.deepStrictEqual(fault, Outcome.malformed(0, "the decoder threw: [object Object]"))
  })
})

/** A codec that was not compiled with types. */
const speechless = (said: unknown) => {
  const same = (line: string) => Result.succeed(line)
  return Protocol.transform(Protocol.lines(), {
    request: { decode: same, encode: same },
    response: { decode: same, encode: (line: string) => (line === "x" ? (said as never) : Result.succeed(line)) }
  })
}

describe("A response that its protocol cannot express", () => {
  for (const [how, protocol, line, problem] of [
    ["says so", letters, "#", "no sharps"],
    ["throws", letters, "?", "the encoder threw: encoder bug"],
    ["is a line with a newline", Protocol.lines(), "a\nb", "a line cannot contain a newline"],
    ["says it without a word", speechless(Result.fail("")), "x", "its codec does not say why"],
    ["fails with what is no text", speechless(Result.fail(undefined)), "x", "its codec does not say why"],
    ["says no result", speechless("x"), "x", "its codec does not say why"]
  ] as const) {
    it.effect(`ends as Failed with the reason, and closes the connection: it ${how}`, () =>
      Effect.gen(function* () {
        const terminator = protocol.name === "lines" ? "\n" : ""
        const { outcomes, received } = yield* exchange(
          protocol,
          [`a${terminator}b${terminator}c${terminator}`],
          (request) => Effect.succeed(Response.make(request.body === "b" ? line : request.body))
        )
        assert.strictEqual(received, `a${terminator}`)
        assert.deepStrictEqual(
          outcomes.map(({ _tag }) => _tag),
          ["Completed", "Failed", "Cancelled"]
        )
        assert.include(Cause.pretty((outcomes[1] as Outcome.Failed).cause), problem)
      })
    )

    it.effect(`fails a push with the reason, and the connection goes on: it ${how}`, () =>
      Effect.gen(function* () {
        const Lines = declare(protocol)
        const said = yield* Effect.gen(function* () {
          const client = yield* Lines.client
          return [yield* client.send("a"), yield* client.send("b")]
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Layer.provideMerge(
              Lines.serve(({ connection }) =>
                Effect.match(connection.push(line), {
                  onSuccess: () => Response.make("pushed"),
                  onFailure: ({ reason }) => Response.make(reason._tag[0] ?? "")
                })
              ),
              MemoryServer.layer(Lines)
            )
          )
        )
        assert.deepStrictEqual(said, ["E", "E"])
      })
    )
  }
})

describe("A client", () => {
  const failing = (
    protocol: Protocol.Protocol<string, string>,
    use: (client: Client.Client<string, string>) => Effect.Effect<unknown, Connection.ConnectionError | Cause.Done>
  ) => {
    const Lines = declare(protocol)
    const answering = Layer.effectDiscard(
      Effect.gen(function* () {
        const server = yield* Lines
        yield* Effect.forkScoped(
          Stream.runForEach(server.requests, (request) => request.respond(Response.make(request.body)))
        )
      })
    )
    return Effect.gen(function* () {
      const error = yield* Effect.flip(use(yield* Lines.client))
      assert(error._tag === "ConnectionError")
      return error
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(answering, MemoryServer.layer(Lines))))
  }

  it.effect("fails to send what its protocol cannot express, and may go on", () =>
    Effect.gen(function* () {
      const error = yield* failing(Protocol.lines(), (client) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* client.send("a"), "a")
          const error = yield* Effect.orDie(Effect.flip(client.send("b\nc")))
          assert.strictEqual(yield* client.send("d"), "d")
          return yield* Effect.fail(error)
        })
      )
      assert.strictEqual(error.reason._tag, "EncodeFailed")
      assert.match(
        error.message,
        /^Connection with memory:.*: the message cannot be encoded: a line cannot contain a newline/
      )
    })
  )

  it.effect("fails to read what its protocol does not allow, with its place", () =>
    Effect.gen(function* () {
      const server = Protocol.lines()
      const strict = Protocol.lines({ maxFrameBytes: 3 })
      const lopsided: Protocol.Protocol<string, string> = { ...server, client: strict.client }
      const error = yield* failing(lopsided, (client) =>
        Effect.gen(function* () {
          yield* Effect.forEach(["a", "b", "long"], (line) => client.write(line))
          assert.deepStrictEqual([yield* client.take, yield* client.take], ["a", "b"])
          return yield* client.take
        })
      )
      assert.deepStrictEqual(error.reason, Outcome.frameTooLarge(3, 4))
    })
  )
})

describe("Replies", () => {
  const orders: ReadonlyArray<readonly [string, Protocol.Protocol<string, string>, Array<string>]> = [
    ["in the order of their requests", Protocol.lines(), ["slow", "fast"]],
    [
      "as they are ready if the protocol is unordered",
      Protocol.correlated(Protocol.lines(), { id: (line) => line }),
      ["fast", "slow"]
    ]
  ]
  for (const [order, protocol, expected] of orders) {
    it.effect(`leave ${order}`, () =>
      Effect.gen(function* () {
        const Lines = declare(protocol)
        const gate = yield* Latch.make()
        const handler: Handler.Handler<string, string> = (request) =>
          request.body === "slow"
            ? Effect.as(gate.await, Response.make("slow"))
            : Effect.as(Effect.andThen(Effect.yieldNow, gate.open), Response.make("fast"))
        const replies = yield* Effect.gen(function* () {
          const client = yield* Lines.client
          yield* client.write("slow")
          yield* client.write("fast")
          return [yield* client.take, yield* client.take]
        }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
        assert.deepStrictEqual(replies, expected)
      })
    )
  }
})
