/** Programs whose types nobody looks at: what is said of what they give. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** Why a request has failed whose handler is this. */
const failure = (protocol: Protocol.Protocol<any, any, any, any>, handler: (request: unknown) => unknown) => {
  class Untyped extends Server.Service<Untyped>()("Untyped", { protocol }) {}
  return Effect.gen(function* () {
    const server = yield* Untyped
    const outcomes = yield* Queue.unbounded<Outcome.Outcome>()
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(outcomes, outcome)),
      { startImmediately: true }
    )
    const client = yield* Untyped.rawClient
    yield* client.write(Uint8Array.of(1, 10))
    const outcome = yield* Queue.take(outcomes)
    assert.strictEqual(outcome._tag, "Failed")
    return Cause.pretty((outcome as Outcome.Failed).cause)
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(Untyped.serve(handler as never), MemoryServer.layer(Untyped)))
  ) as Effect.Effect<string>
}

const answers = (value: unknown) => () => Effect.succeed(Response.make(value))

describe("what is said where no type was looked at", () => {
  it.effect.each([
    [
      "a Promise",
      async () => Response.make("a"),
      "The handler returned a Promise; wrap what makes it in Effect.promise"
    ],
    ["nothing", () => undefined, "The handler returned undefined and no Effect; return Effect.succeed(Response.make("],
    ["a string", () => "a", "The handler returned a string and no Effect"],
    ["a string in an Effect", () => Effect.succeed("a"), "The handler returned no Response, but a string"],
    [
      "nothing in an Effect",
      () => Effect.void,
      "The handler returned no Response, but undefined; wrap it in Response.make"
    ]
  ] as ReadonlyArray<readonly [string, (request: unknown) => unknown, string]>)(
    "of a handler that returns %s",
    ([_, handler, said]) =>
      Effect.gen(function* () {
        assert.include(yield* failure(Protocol.lines(), handler), said)
      })
  )

  const text = Protocol.lines()
  const bytes = Protocol.bytes()
  const framed = Protocol.lengthPrefixed({ lengthBytes: 1 })
  it.effect.each([
    ["a line", text, 7, "a message is a string, and this is a number"],
    ["a line", text, undefined, "a message is a string, and this is undefined"],
    ["a line", text, ["a"], "a message is a string, and this is an Array"],
    ["a line", text, Uint8Array.of(1), "a message is a string, and this is a Uint8Array"],
    ["bytes", bytes, { a: 1 }, "a message is a Uint8Array, and this is an Object"],
    ["a frame", framed, null, "a message is a Uint8Array, and this is null"]
  ] as const)("of a response that is no message: not %s", ([_, protocol, value, said]) =>
    Effect.gen(function* () {
      assert.include(yield* failure(protocol, answers(value)), said)
    })
  )
})
