import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing, node, printed, start } from "./support/programs.ts"

describe.skipIf(missing("dig"))("one protocol over UDP and TCP", () => {
  it.live("answers dig over both", () =>
    Effect.gen(function* () {
      const server = yield* node("packages/node/test/fixtures/dns.ts", {
        LISTEN: "udp://127.0.0.1:0,tcp://127.0.0.1:0"
      })
      const [, udp = "", tcp = ""] = yield* server.prints(/udp:\/\/127\.0\.0\.1:(\d+)\n.*tcp:\/\/127\.0\.0\.1:(\d+)\n/)
      for (const how of [
        ["-p", udp, "+notcp"],
        ["-p", tcp, "+tcp"]
      ]) {
        const args = ["@127.0.0.1", ...how, "+short", "+tries=1", "device.example", "A"]
        assert.strictEqual(yield* printed(start("dig", args)), "192.0.2.17\n")
      }
    })
  )
})
