import { deepStrictEqual } from "node:assert"
import * as Result from "effect/Result"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import { type Packet, protocol } from "@socketserver/protocols/Statsd"
import { inPieces } from "../test/support/pieces.ts"
import type { Target } from "./target.ts"

const statsd = protocol()
const server = statsd.server as Codec.Side<Packet, never>

/** One metric of one value, in one expression. */
const reference = /^([^\s\p{Cc}:|]{1,255}):([^|\p{Cc}]*)\|(c|ms|h|d|g|s)((?:\|(?:@[^|]*|#[^|]*|[A-Za-z][^|]*))*)$/u
const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/

/** How many metrics a line has, by what its parts look like; `undefined` where it is none. */
const countOf = (line: string): number | undefined => {
  const [, , values = "", type, sections = ""] = reference.exec(line) ?? []
  if (type === undefined) return undefined
  for (const section of sections.split("|").slice(1)) {
    const rate = section.startsWith("@") ? section.slice(1) : undefined
    if (rate !== undefined && !(rate.length <= 32 && decimal.test(rate) && Number(rate) > 0 && Number(rate) <= 1)) {
      return undefined
    }
    const tags = section.startsWith("#") ? section.slice(1).split(",") : []
    if (tags.some((tag) => /[\s\p{Cc}]/u.test(tag) || tag.length > 255)) return undefined
    if (tags.filter((tag) => tag !== "").length > 64) return undefined
  }
  if (type === "s") return values === "" || values.length > 255 ? undefined : 1
  const numbers = values.split(":")
  return numbers.every((text) => text.length <= 32 && decimal.test(text) && Number.isFinite(Number(text)))
    ? numbers.length
    : undefined
}

const compare = (input: Uint8Array): void => {
  const text = Buffer.from(input).toString("utf8")
  if (text.length > 2_000 || !Buffer.from(text).equals(input)) return
  const counts = text
    .split("\n")
    .map((line) => line.replace(/\r$/, ""))
    .filter((line) => line !== "")
    .map(countOf)
  const { malformed, metrics } = Result.getOrThrow(server.datagram.decode(input))
  deepStrictEqual(
    { malformed: malformed.length, metrics: metrics.length },
    {
      malformed: counts.filter((count) => count === undefined).length,
      metrics: counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
    }
  )
}

const encoder = new TextEncoder()

export const target: Target = {
  name: "statsd",
  seeds: [
    "hits:1|c\nhits:2|c|@0.1|#env:prod,urgent\n",
    "answer:12.5|ms|@0.5\r\nqueue:-7|g\nqueue:+7|g\nusers:ada|s\nsize:1:2:3|h|#a|c:ci-1234|T1656581400",
    "a:1|d\n\n_sc|name|0\na:1e3|c"
  ].map((text) => encoder.encode(text)),
  check: (input, random) => {
    inPieces(server, input, random)
    compare(input)
    const read = server.datagram.decode(input)
    if (Result.isFailure(read)) return
    const written = statsd.client.datagram.encode({ ...read.success, malformed: [] })
    // An empty metric's number may be written in another way, but not as another one.
    if (written instanceof Protocol.Unencodable) return
    deepStrictEqual(server.datagram.decode(written as Uint8Array), Result.succeed({ ...read.success, malformed: [] }))
  }
}
