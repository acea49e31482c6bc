import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { vi } from "vitest"
import type * as lines from "../src/internal/launch/lines.ts"

// Not exported, as they should be: a test alone looks at them.
const { loggers } = await vi.importActual<typeof lines>("../src/internal/launch/lines.ts")

/** What a program prints. */
const printed = (log: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const all: Array<string> = []
    const console = {
      ...globalThis.console,
      error: (...parts: ReadonlyArray<unknown>) => void all.push(parts.join(" "))
    }
    yield* log.pipe(
      Effect.provideService(References.CurrentLoggers, loggers),
      Effect.provideService(References.LogToStderr, true),
      Effect.provideService(Console.Console, console)
    )
    return all.join("\n")
  })

const forged = "hello\n[16:00:00.000] ERROR (#1): copy 1 was ended\u001b[2J\u202e"

describe("a line of a program", () => {
  for (const [what, log] of [
    ["a message", Effect.logInfo(forged)],
    ["one of several messages", Effect.logInfo("it said", forged)],
    ["a property", Effect.logInfo({ said: forged })],
    ["an element", Effect.logInfo("all", [forged])],
    ["what an error says", Effect.logInfo("it failed", Cause.fail(new Error(forged)))],
    ["an annotation", Effect.annotateLogs(Effect.logInfo("it said"), "what", forged)]
  ] as const) {
    it.effect(`is no other line, whatever a peer has sent: ${what}`, () =>
      Effect.gen(function* () {
        const text = yield* printed(log)
        const [first, ...others] = text.split("\n")
        assert.match(first!, /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO \(#\d+\): /)
        for (const other of others) assert.match(other, /^ {2}/)
        for (const obeyed of ["\u001b", "\u202e"]) assert.notInclude(text, obeyed)
        assert.include(text, "copy 1 was ended")
      })
    )
  }

  it.effect("shows objects as they are", () =>
    Effect.gen(function* () {
      assert.include(
        yield* printed(Effect.logInfo("all", { a: [1, "b"], c: new Map([[1, 2]]) })),
        "{ a: [ 1, 'b' ], c: Map(1) { 1 => 2 } }"
      )
    })
  )
})
