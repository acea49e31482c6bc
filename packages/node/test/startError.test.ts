/** What a program says whose start fails: one line, whatever fails. */
import { assert, describe, it } from "@effect/vitest"
import { BindFailed, PolicyFailed, ServerError } from "@socketserver/core/ServerError"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { lineOf } from "../src/internal/startError.ts"

class NoDatabase extends Data.TaggedError("NoDatabase")<{ readonly host: string; readonly port: number }> {}
class Wrapped extends Data.TaggedError("Wrapped")<{ readonly cause: unknown }> {}
class Told extends Data.TaggedError("Told")<{ readonly cause: unknown }> {
  override get message(): string {
    return `it did not work: ${(this.cause as Error).message}`
  }
}

const bind = (kind: BindFailed["kind"]): ServerError =>
  new ServerError({ reason: new BindFailed({ endpoint: "tcp://192.0.2.1:9", kind, cause: new Error("listen EXYZ") }) })

const cyclic: Record<string, unknown> = { _tag: "Cyclic" }
cyclic["itself"] = cyclic

describe("a start that failed", () => {
  it.each([
    [new NoDatabase({ host: "db.example", port: 5432 }), 'NoDatabase {"host":"db.example","port":5432}'],
    [new Wrapped({ cause: new Error("ECONNREFUSED 192.0.2.1:5432") }), "Wrapped: ECONNREFUSED 192.0.2.1:5432"],
    [new Wrapped({ cause: new Wrapped({ cause: "deep" }) }), "Wrapped: Wrapped: deep"],
    [new Told({ cause: new Error("no route") }), "it did not work: no route"],
    [bind("AddressNotAvailable"), "Cannot bind tcp://192.0.2.1:9: this machine does not have that address"],
    [bind("Other"), "Cannot bind tcp://192.0.2.1:9: listen EXYZ"],
    [
      new ServerError({ reason: new PolicyFailed({ policy: "p", cause: new NoDatabase({ host: "h", port: 1 }) }) }),
      'The policy p failed: NoDatabase: NoDatabase {"host":"h","port":1}'
    ],
    [{ _tag: "Plain", code: 5 }, 'Plain {"code":5}'],
    [{ code: 5 }, '{"code":5}'],
    [cyclic, "Cyclic {itself}"],
    [new Error("first\n  second\tthird"), "first second third"],
    [new Error(""), "Error"],
    ["text", "text"],
    [undefined, "undefined"],
    [new Error("\u001b[31mred\u0007"), "\\x1b[31mred\\x07"]
  ])("is told in a line: %#", (error, line) => assert.strictEqual(lineOf(error), line))

  it.effect("is told with its cause where a promise was rejected", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.tryPromise(() => Promise.reject(new Error("no route"))))
      const error = exit._tag === "Failure" ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
      assert.match(lineOf(error), /: no route$/)
    })
  )

  it.effect("is told as it is where a variable is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Config.String("PORT").parse(ConfigProvider.fromEnv({ env: {} })))
      assert.match(lineOf(error), /PORT/)
      assert.notInclude(lineOf(error), "\n")
    })
  )
})
