import { deepStrictEqual, ok } from "node:assert"
import { deflateSync, gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import * as Request from "@socketserver/core/Request"
import { assembler, type Part, protocol } from "@socketserver/protocols/Gelf"
import { inPieces } from "../test/support/pieces.ts"
import type { Target } from "./target.ts"

const gelf = protocol()
const server = gelf.server as Codec.Side<Part, never>

const bounds = { maxOpen: 8, maxBytes: 20_000, maxMessageBytes: 10_000, maxRatio: 20, maxDepth: 4, maxValues: 20 }
const { counts, handler } = Effect.runSync(Scope.provide(assembler(bounds), Scope.makeUnsafe()))
const take = handler(() => Effect.void)

const json =
  '{"version":"1.1","host":"vm","short_message":"a","full_message":"b\\nc","timestamp":1.5,"level":3,"_x":"y"}'
const header = [0x1e, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8]
const encoder = new TextEncoder()

export const target: Target = {
  name: "gelf",
  seeds: [
    encoder.encode(json),
    encoder.encode(`${json}\0${json}\0`),
    Uint8Array.from([...header, 0, 2, ...encoder.encode(json.slice(0, 50))]),
    Uint8Array.from([...header, 1, 2, ...encoder.encode(json.slice(50))]),
    Uint8Array.from(gzipSync(json)),
    Uint8Array.from(deflateSync(json)),
    Uint8Array.from(deflateSync(Buffer.alloc(100_000)))
  ],
  check: (input, random) => {
    inPieces(server, input, random)
    const read = server.datagram.decode(input)
    if (Result.isFailure(read)) return
    const part = read.success
    const written = gelf.client.datagram.encode(part)
    if (part._tag === "Message") {
      // As JSON has it, and nothing else.
      const parsed = JSON.parse(new TextDecoder().decode(input)) as Readonly<Record<string, unknown>>
      deepStrictEqual([part.host, part.shortMessage], [parsed["host"], parsed["short_message"]])
      if (!(written instanceof Protocol.Unencodable))
        deepStrictEqual(server.datagram.decode(written as Uint8Array), read)
    } else deepStrictEqual(Buffer.from(written as Uint8Array), Buffer.from(input))
    const { outcome } = Effect.runSync(take(Request.make(part)))
    ok(outcome === undefined || outcome._tag === "Malformed" || outcome._tag === "FrameTooLarge")
    const { bytes, open } = Effect.runSync(counts)
    ok(open <= bounds.maxOpen && bytes <= 2 * bounds.maxMessageBytes + 20_000, `${open} open, ${bytes} bytes`)
  }
}
