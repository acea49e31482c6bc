/** Frames that are larger than what a socket brings at once: pieces are kept as they came, and a large payload leaves without being copied. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Network, Protocol, Response, Server } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { vi } from "vitest"
import { decode, join, serverOf, text } from "./support/decoding.ts"
import { turns } from "./support/scripted.ts"

const maxFrameBytes = 1 << 21
const max = { maxFrameBytes }

/** Bytes that differ from place to place, and have no newline or delimiter in them. */
const payloadOf = (size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => 32 + ((i * 7 + (i >> 8)) % 90))

const length = (width: number, value: number, little = false): Uint8Array => {
  const out = new Uint8Array(width)
  for (let i = 0, rest = value; i < width; i++, rest = Math.floor(rest / 256)) out[little ? i : width - 1 - i] = rest
  return out
}

/** A frame as others would write it. */
const framings: ReadonlyArray<{
  readonly name: string
  readonly protocol: Protocol.Protocol<Uint8Array, Uint8Array, Uint8Array, Uint8Array>
  readonly frame: (payload: Uint8Array) => Uint8Array
}> = [
  { name: "lines", protocol: Protocol.bytes(Protocol.lines(max)), frame: (payload) => join([payload, "\n"]) },
  {
    name: "delimited",
    protocol: Protocol.delimited("\r\n\0", max),
    frame: (payload) => join([payload, "\r\n\0"])
  },
  {
    name: "length of four bytes",
    protocol: Protocol.lengthPrefixed(max),
    frame: (payload) => join([length(4, payload.length), payload])
  },
  {
    name: "length of eight bytes, little",
    protocol: Protocol.lengthPrefixed({ ...max, lengthBytes: 8, endian: "little" }),
    frame: (payload) => join([length(8, payload.length, true), payload])
  },
  {
    name: "length behind a header, and of itself",
    protocol: Protocol.lengthPrefixed({ ...max, lengthOffset: 3, lengthAdjustment: -7 }),
    frame: (payload) => join([payload.subarray(0, 3), length(4, payload.length + 4), payload.subarray(3)])
  },
  {
    name: "netstring",
    protocol: Protocol.netstring(max),
    frame: (payload) => join([`${payload.length}:`, payload, ","])
  },
  {
    name: "of its own",
    protocol: Protocol.framing({
      name: "own",
      ...max,
      decode: (input) => {
        const at = input.indexOf(10)
        return at === -1 ? Protocol.more() : Protocol.frame(input.subarray(0, at), at + 1)
      },
      encode: (payload) => join([payload, "\n"])
    }),
    frame: (payload) => join([payload, "\n"])
  }
]

const sizes = [16_383, 16_384, 65_535, 65_536, 65_537, 131_072, 300_001, 1 << 20]

/** How a stream may be cut: each piece with memory of its own, as from a socket, or all with the same. */
const cuts: Readonly<Record<string, ReadonlyArray<number>>> = {
  "as a socket brings it": [65_536],
  "small and large": [1, 65_536, 3, 16_384, 40_000, 16_383, 70_000],
  "large, then small": [50_000, 9, 9, 9, 65_536],
  "halves of what is kept": [20_000, 20_001]
}

const piecesOf = (input: Uint8Array, sizes: ReadonlyArray<number>, own: boolean): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < input.length; i++) {
    const to = at + (sizes[i % sizes.length] as number)
    pieces.push(own ? input.slice(at, to) : input.subarray(at, to))
    at = to
  }
  return pieces
}

const same = (mine: Uint8Array, theirs: Uint8Array) => Buffer.compare(mine, theirs) === 0

for (const { frame, name, protocol } of framings)
  describe(`large frames: ${name}`, () => {
    it.each(Object.entries(cuts))("are read as they were sent, %s", (_, sizesOfPieces) => {
      const payloads = [...sizes, 5, 300_001, 7, 131_072].map(payloadOf)
      const input = join(payloads.map(frame))
      for (const own of [true, false]) {
        const { error, messages } = decode(serverOf(protocol), piecesOf(input, sizesOfPieces, own))
        assert.isUndefined(error)
        assert.strictEqual(messages.length, payloads.length)
        for (const [i, message] of messages.entries())
          assert.isTrue(same(message, payloads[i] as Uint8Array), `message ${i}`)
      }
    })

    it("count what they hold as it is", () => {
      const decoder = serverOf(protocol).decoder()
      const out: Array<Uint8Array> = []
      let fed = 0
      for (const piece of piecesOf(frame(payloadOf(300_001)), [65_536, 10, 20_000], true)) {
        assert.strictEqual(decoder.restBytes, fed)
        assert.isUndefined(decoder.push(piece, out))
        fed += piece.length
      }
      assert.deepStrictEqual([out.length, decoder.restBytes], [1, 0])
    })

    it.effect("leave as others would write them, among small ones", () =>
      Effect.gen(function* () {
        class Echo extends Server.Service<Echo>()("Echo", { protocol }) {}
        const payloads = [10, ...sizes, 12, 300_001, 65_536, 4].map(payloadOf)
        const expected = join(payloads.map(frame))
        const echo = Layer.provideMerge(
          // The last ones are ready before those that come first.
          Echo.serve(({ body }) =>
            Effect.as(body.length > 70_000 ? Effect.yieldNow : Effect.void, Response.make(body))
          ),
          MemoryServer.layer(Echo, { maxBuffered: "64MiB" })
        )
        yield* Effect.gen(function* () {
          const peer = yield* Network.connect(Echo)
          yield* peer.write(expected)
          yield* peer.halfClose
          const { how, received } = yield* peer.end
          assert.deepStrictEqual([how, received === text(expected)], ["closed", true])
        }).pipe(Effect.scoped, Effect.provide(echo))
      })
    )

    it.effect("fail their request where they are larger than a reply may be", () =>
      Effect.gen(function* () {
        class Much extends Server.Service<Much>()("Much", { protocol }) {}
        const overhead = frame(payloadOf(100_000)).length - 100_000
        const fits = maxFrameBytes + 1_000
        const asked = (size: number) =>
          Effect.gen(function* () {
            const peer = yield* Network.connect(Much)
            yield* peer.write(frame(payloadOf(10)))
            yield* peer.halfClose
            const { received } = yield* peer.end
            const { counts } = yield* Much
            return [received.length, (yield* counts).Failed]
          }).pipe(
            Effect.scoped,
            Effect.provide(
              Layer.provideMerge(
                Much.serve(() => Effect.succeed(Response.make(payloadOf(size)))),
                MemoryServer.layer(Much, { maxReply: fits })
              )
            )
          )
        // The digits of a netstring's length.
        const most = fits - overhead - (protocol.name === "netstring" ? 1 : 0)
        assert.deepStrictEqual(yield* asked(most), [fits, 0])
        assert.deepStrictEqual(yield* asked(most + 1), [0, 1])
      })
    )
  })

it("a payload that does not fit a length is refused whatever its size", () => {
  const side = serverOf(Protocol.lengthPrefixed({ lengthBytes: 2, maxFrameBytes: 65_000 }))
  const all = side.pieces?.(payloadOf(70_000))
  assert.instanceOf(all, Protocol.Unencodable)
  assert.instanceOf(side.encode(payloadOf(70_000)), Protocol.Unencodable)
})

it("half of a line's end does not count, in whatever piece it comes", () => {
  const side = serverOf(Protocol.lines({ maxFrameBytes: 20_000 }))
  const line = "x".repeat(20_000)
  assert.deepStrictEqual(decode(side, [`${line}\r`, "\n"]).messages, [line])
  assert.strictEqual(decode(side, [`${line}x`, "\n"]).error?._tag, "FrameTooLarge")
})

it("what grows step by step is not copied again with each step", () => {
  const copied = vi.spyOn(Uint8Array.prototype, "set")
  const total = 2_000_000
  const protocol = Protocol.framing({
    name: "steps",
    maxFrameBytes: 4 << 20,
    decode: (input) =>
      input.length < total ? Protocol.more(Math.min(total, input.length + 30_000)) : Protocol.frame(input, total),
    encode: (payload) => payload
  })
  const { error, messages } = decode(serverOf(protocol), piecesOf(payloadOf(total), [16_384], true))
  const bytes = copied.mock.calls.reduce((sum, [from]) => sum + from.length, 0)
  copied.mockRestore()
  assert.isUndefined(error)
  assert.strictEqual(messages.length, 1)
  assert.isAtMost(bytes, 4 * total)
})

it.effect("a large reply that waits for those before it is what it was when it was given", () =>
  Effect.gen(function* () {
    class Reused extends Server.Service<Reused>()("Reused", { protocol: Protocol.lengthPrefixed(max) }) {}
    const latch = Latch.makeUnsafe()
    const reply = payloadOf(100_000)
    const layer = Layer.provideMerge(
      Reused.serve(({ body }) =>
        body.length === 1
          ? Effect.as(latch.await, Response.make(body))
          : Effect.tap(Effect.succeed(Response.make(reply)), Effect.yieldNow)
      ),
      MemoryServer.layer(Reused)
    )
    yield* Effect.gen(function* () {
      const peer = yield* Network.connect(Reused)
      yield* peer.write(join([length(4, 1), "a", length(4, 2), "bc"]))
      yield* turns
      reply.fill(33)
      yield* latch.open
      yield* peer.halfClose
      const { received } = yield* peer.end
      assert.strictEqual(received.slice(-100_000), text(payloadOf(100_000)))
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
)
