/** Requests and responses of DNS: nothing is read past its end or in a circle, and nothing otherwise than dns-packet reads it. */
import { Random } from "../../core/src/internal/random.ts"
import { query, response } from "../test/support/dns.ts"
import { encodeRequest, encodeResponse, piecesLaw, requestLaw, responseLaw } from "../test/support/dnsLaws.ts"
import type { Target } from "./target.ts"

const drawn = Array.from({ length: 40 }, (_, seed) => new Random(seed, "dns"))

export const target: Target = {
  name: "dns",
  seeds: [...drawn.map((from) => encodeRequest(query(from))), ...drawn.map((from) => encodeResponse(response(from)))],
  check: (input, random) => {
    requestLaw(input)
    responseLaw(input, random)
    if (random.chance(0.1)) piecesLaw([input, input.subarray(0, random.int(0, input.length))], random)
  }
}
