/** Netstrings are core's (`Protocol.netstring`). This looks at them from outside: against a reference, as a server, and hostile. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  bytewise,
  copied,
  cut,
  decode,
  join,
  many,
  noise,
  pieces,
  sizes,
  text,
  utf8
} from "../../core/test/support/decoding.ts"
import { netstrings } from "./support/netstrings.ts"
import { serverOf } from "./support/sides.ts"

const max = 1_000
const protocol = Protocol.netstring({ maxFrameBytes: max })
const side = serverOf(protocol)

describe("netstrings", () => {
  it.effect.prop("arrive as they were, in any chunks", { sent: many(noise), sizes }, ({ sent, sizes }) =>
    Effect.sync(() => {
      const wire = join(sent.map((message) => protocol.client.encode(message)) as ReadonlyArray<Uint8Array>)
      // As the reference writes them.
      assert.strictEqual(
        Buffer.from(wire).toString("latin1"),
        sent.map((message) => `${message.length}:${Buffer.from(message).toString("latin1")},`).join("")
      )
      for (const chunks of [[wire], cut(wire, sizes), bytewise(wire)]) {
        assert.deepStrictEqual(
          { ...decode(side, chunks), offsets: [] },
          { messages: sent, error: undefined, offsets: [] }
        )
      }
    })
  )

  it.effect.prop(
    "are read as the reference reads them, whatever comes",
    {
      input: pieces(["0:,", "3:abc,", "12:0123456789ab,", "5:", "1", "0", "9", ":", ",", "-", " ", "a", "1000:"], 8),
      sizes
    },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const { end, messages } = netstrings(input, max)
        const read = decode(side, cut(input, sizes))
        assert.deepStrictEqual(read.messages, messages)
        assert.strictEqual(read.error?._tag ?? "end", end)
      })
  )
})

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.text(protocol) }) {}

const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body.toUpperCase())), {
  onUndecodable: (fault) => Response.make(`error: ${Outcome.describe(fault)}`)
})

/** What a server answers to bytes, up to the end. */
const answers = (...input: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const client = yield* Echo.rawClient
    for (const part of input) yield* client.write(utf8(part))
    yield* client.end
    return text(join(yield* Stream.runCollect(client.stream)))
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))

describe("a server of netstrings", () => {
  it.effect("answers each, also after a half-close, and says what is wrong before it closes", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* answers("5:hello,0:,", "3:a", "bc,"), "5:HELLO,0:,3:ABC,")
      assert.match(yield* answers("1:a,1:b;1:c,"), /^1:A,\d+:error: .*no comma at the end.*,$/)
      assert.match(yield* answers("1:a,01:b,"), /^1:A,\d+:error: .*the length starts with 0.*,$/)
      assert.match(yield* answers("1:a,999999999:"), /^1:A,\d+:error: .*1000 bytes.*,$/)
      assert.match(yield* answers("2:\u00e9,1:a,"), /^2:É,1:A,$/)
      assert.match(yield* answers("1:a,3:b"), /^1:A,\d+:error: .*ended inside a frame.*,$/)
    })
  )
})

describe("hostile netstrings", () => {
  it("have no length that is waited for, or held", () => {
    for (const input of ["9".repeat(100), "0".repeat(100), ":".repeat(100), "99999999999:", "1000:", "9999999999:"]) {
      const decoder = side.decoder()
      const error = bytewise(input).reduce<Protocol.DecodeError | undefined>(
        (error, byte) => error ?? decoder.push(byte, []),
        undefined
      )
      assert.isDefined(error, input)
      assert.isAtMost(decoder.restBytes, 12)
    }
  })

  it("cost what they are, byte by byte as at once", () => {
    const large = serverOf(Protocol.netstring({ maxFrameBytes: 1_100_000 }))
    const input = join([`1000000:${"x".repeat(1_000_000)},`, "0:,".repeat(10_000)])
    for (const chunks of [[input], bytewise(input), cut(input, [64]), cut(input, [16_384])]) {
      let found = 0
      const total = copied(() => (found = decode(large, chunks).messages.length))
      assert.strictEqual(found, 10_001)
      assert.isAtMost(total, input.length * 4)
    }
  })
})
