import { deepStrictEqual } from "node:assert"
import * as Protocol from "@socketserver/core/Protocol"
import { netstrings } from "../test/support/netstrings.ts"
import { inPieces } from "../test/support/pieces.ts"
import type { Target } from "./target.ts"

const max = 1_000
const { client } = Protocol.netstring({ maxFrameBytes: max })

const encoder = new TextEncoder()

export const target: Target = {
  name: "netstring",
  seeds: ["5:hello,0:,", "12:hello world!,3:\0\n,,", "10:0123456789,1:a,1:b,", "999:x", "01:a,", "1000:"].map((text) =>
    encoder.encode(text)
  ),
  check: (input, random) => {
    inPieces(client, input, random)
    const decoder = client.decoder()
    const messages: Array<Uint8Array> = []
    const error = decoder.push(input.slice(), messages) ?? decoder.end(messages)
    const reference = netstrings(input, max)
    deepStrictEqual(messages, reference.messages)
    deepStrictEqual(error?._tag ?? "end", reference.end)
    for (const message of messages) {
      const again: Array<Uint8Array> = []
      client.decoder().push(client.encode(message) as Uint8Array, again)
      deepStrictEqual(again, [message])
    }
  }
}
