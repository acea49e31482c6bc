import { assert, describe, it } from "@effect/vitest"
import * as Settings from "@socketserver/core/Settings"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const millis = (text: string, forms?: Settings.DurationForms) =>
  Result.map(Settings.duration(text, forms), Duration.toMillis)

describe("Settings.duration", () => {
  it.each([
    ["30s", 30_000],
    ["500ms", 500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1.5s", 1_500],
    ["5 seconds", 5_000],
    ["1 minute", 60_000],
    ["250 millis", 250]
  ])("reads %s", (text, expected) => assert.deepStrictEqual(millis(text), Result.succeed(expected)))

  it.each(["", "30", "s", "30 s", "30S", "1h30m", "soon", "-5s", "0s", "0 seconds", "Infinity", "off"])(
    "refuses %j, and says how to write it",
    (text) => assert.deepStrictEqual(millis(text), Result.fail(`must be a positive time, not "${text}"; write "30s"`))
  )

  it("takes no time at all, and off, where the setting does", () => {
    assert.deepStrictEqual(millis("0s", { zero: true }), Result.succeed(0))
    assert.deepStrictEqual(millis("-1s", { zero: true }), Result.fail('must be a time, not "-1s"; write "30s"'))
    assert.deepStrictEqual(millis("off", { off: true }), Result.succeed(Infinity))
    assert.deepStrictEqual(
      millis("0s", { off: true }),
      Result.fail('must be a positive time, not "0s"; write "30s", or "off"')
    )
  })

  it.prop(
    "reads what it prints",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000_000 })),
      Schema.Literals([1, 1_000, 60_000, 3_600_000])
    ],
    ([n, unit]) => {
      const text = Settings.formatDuration(Duration.millis(n * unit))
      assert.deepStrictEqual(millis(text), Result.succeed(n * unit), text)
    }
  )

  it.each([
    [Duration.seconds(5), "5s"],
    [Duration.millis(1_500), "1500ms"],
    [Duration.seconds(90), "90s"],
    [Duration.days(1), "24h"],
    [Duration.micros(500n), "0.5ms"]
  ])("is printed shortly: %s", (duration, text) => assert.strictEqual(Settings.formatDuration(duration), text))
})
