import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventually, stateOf } from "./support/marked.ts"
import { missing, node, printed, pythonUnixgram } from "./support/programs.ts"

const name = `@socketserver-ticks-${process.pid}`
const sends = (text: string) =>
  printed(pythonUnixgram(name, `unixgram().sendto(${JSON.stringify(text)}.encode(), server)`))

describe.skipIf(missing("python3") || process.platform !== "linux")("a Unix datagram socket alone in a process", () => {
  it.live("runs ticks and promises after each datagram, keeps the process alive, and lets it end", () =>
    Effect.gen(function* () {
      const program = yield* node("packages/node/test/fixtures/unixgramTicks.ts", {}, [name])
      yield* program.prints(/^bound\n/)
      yield* sends("one")
      yield* program.prints(/^bound\nheard one\n/)
      yield* sends("two")
      yield* program.prints(/^bound\nheard one\nheard two\n/)
      yield* sends("end")
      assert.deepStrictEqual(yield* program.end, { code: 0, signal: null })
    })
  )

  it.live("keeps the process alive while it is paused", () =>
    Effect.gen(function* () {
      const program = yield* node("packages/node/test/fixtures/unixgramTicks.ts", {}, [name])
      yield* program.prints(/^bound\n/)
      yield* sends("pause")
      // The kernel holds the next ones, so the process has taken the first when there is no room for another.
      const full = `
s = unixgram()
s.setblocking(False)
while True:
    try: s.sendto(b"x", server)
    except BlockingIOError: break
`
      yield* printed(pythonUnixgram(name, full))
      // It has done all that it has to do, and waits, or it has ended.
      yield* eventually(() => stateOf(program.pid) !== "alive")
      assert.strictEqual(stateOf(program.pid), "asleep")
      yield* program.signal("SIGTERM")
      assert.deepStrictEqual(yield* program.end, { code: null, signal: "SIGTERM" })
    })
  )
})
