import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { example, missing, printed, start } from "./support/programs.ts"

const noLogger = missing("logger")

const logger = (...args: ReadonlyArray<string>) => printed(start("logger", args))

describe.skipIf(noLogger)("examples/syslog", () => {
  it.live("prints what logger sends over UDP, in both of its forms", () =>
    Effect.gen(function* () {
      const collector = yield* example("syslog", { LISTEN: "udp://127.0.0.1:0" })
      const [, port = ""] = yield* collector.prints(/^listening on udp:\/\/127\.0\.0\.1:(\d+)\n/)
      const udp = ["-n", "127.0.0.1", "-P", port, "-d", "-t", "ada"]
      yield* logger(...udp, "--rfc5424", "-p", "mail.err", "in the new form")
      yield* collector.prints(/\nudp mail\.err ada: in the new form\n$/)
      yield* logger(...udp, "--rfc3164", "-p", "local3.debug", "-i", "in the old: one")
      yield* collector.prints(/\nudp local3\.debug ada: in the old: one\n$/)
      yield* collector.signal("SIGTERM")
      assert.deepStrictEqual(yield* collector.end, { code: 0, signal: null })
      assert.strictEqual(collector.stderr, "")
    })
  )

  it.live("prints what logger sends to several listeners of one program", () =>
    Effect.gen(function* () {
      const collector = yield* example("syslog", { LISTEN: "udp://127.0.0.1:0,tcp://127.0.0.1:0,udp://[::1]:0" })
      const [, udp = "", tcp = "", udp6 = ""] = yield* collector.prints(
        /^listening on udp:\/\/127\.0\.0\.1:(\d+)\nlistening on tcp:\/\/127\.0\.0\.1:(\d+)\nlistening on udp:\/\/\[::1\]:(\d+)\n$/
      )
      yield* logger("-n", "127.0.0.1", "-P", udp, "-d", "-t", "ada", "one")
      yield* collector.prints(/\nudp user\.notice ada: one\n$/)
      yield* logger("-n", "::1", "-P", udp6, "-d", "-t", "ada", "two")
      yield* collector.prints(/\nudp user\.notice ada: two\n$/)
      // Over TCP logger writes a line, unless it counts octets.
      yield* logger("-n", "127.0.0.1", "-P", tcp, "-T", "-t", "ada", "three")
      yield* collector.prints(/\ntcp user\.notice ada: three\n$/)
    })
  )
})
