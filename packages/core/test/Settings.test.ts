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

describe("Settings.millis", () => {
  const problem = (input: Settings.Time, allows?: Settings.MillisForms) => {
    const found = Settings.millis("aTime", input, allows)
    return Result.isFailure(found) ? found.failure.problem : found.success
  }

  it.each([
    ["5 seconds", 5_000],
    ["5s", 5_000],
    ["30d", 2_592_000_000],
    [250, 250]
  ] as const)("takes %j", (input, expected) => assert.strictEqual(problem(input), expected))

  it("takes off where a limit may be off, and no time where that means something", () => {
    assert.strictEqual(problem("off", { forever: true }), Infinity)
    assert.strictEqual(problem("0s", { zero: true }), 0)
  })

  it("refuses all else with the mend", () => {
    const mend = 'write "30 seconds"'
    assert.strictEqual(problem("off"), `it must be a positive time that ends, not "off"; ${mend}`)
    assert.strictEqual(problem(0), `it must be a positive time that ends, not 0; ${mend}`)
    assert.strictEqual(problem(-1, { forever: true }), `it must be a positive time, not -1; ${mend}, or "off"`)
    assert.strictEqual(problem("-1s", { zero: true }), `it must be a time that ends, not "-1s"; ${mend}`)
    assert.strictEqual(problem(NaN), `it must be a positive time that ends, not NaN; ${mend}`)
  })

  it("refuses what the platform does not take", () => {
    const bounds = { least: 1_000, most: 3_600_000 }
    assert.strictEqual(problem("1s", bounds), 1_000)
    assert.strictEqual(problem("1h", bounds), 3_600_000)
    const wrong = 'it must be a positive time of at least 1s and of at most 1h, not "999ms"; write "30 seconds"'
    assert.strictEqual(problem("999ms", bounds), wrong)
    assert.strictEqual(problem("3600001ms", bounds), wrong.replace("999ms", "3600001ms"))
  })
})

describe("Settings.size", () => {
  it.each([
    ["65536", 65_536],
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["1.5MiB", 1_572_864],
    ["2GiB", 2_147_483_648]
  ])("reads %s", (text, expected) => assert.deepStrictEqual(Settings.size(text), Result.succeed(expected)))

  it.each(["", "0", "-1", "64k", "64 KiB", "64KB", "0.3", "1e3", "off"])(
    "refuses %j, and says how to write it",
    (text) => assert.deepStrictEqual(Settings.size(text), Result.fail(`must be a size, not "${text}"; write "64KiB"`))
  )

  it.each(["9007199254740993", "8388608.5GiB", "99999999999999999999KiB"])("says of %j that it is too large", (text) =>
    assert.deepStrictEqual(
      Settings.size(text),
      Result.fail(`must be a size of at most 9007199254740991 bytes, not "${text}"`)
    )
  )

  it("takes off where a limit may be off", () => {
    assert.deepStrictEqual(Settings.size("off", { off: true }), Result.succeed(Infinity))
    assert.deepStrictEqual(
      Settings.size("x", { off: true }),
      Result.fail('must be a size, not "x"; write "64KiB", or "off"')
    )
  })

  it.prop(
    "reads what it prints",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 })), Schema.Literals([1, 1_024, 1_048_576])],
    ([n, unit]) => assert.deepStrictEqual(Settings.size(Settings.formatSize(n * unit)), Result.succeed(n * unit))
  )

  it("is what an option takes, beside a number", () => {
    assert.deepStrictEqual(Settings.bytes("aSize", "64KiB"), Result.succeed(65_536))
    assert.deepStrictEqual(Settings.bytes("aSize", 1), Result.succeed(1))
    assert.deepStrictEqual(Settings.bytes("aSize", Infinity, { off: true }), Result.succeed(Infinity))
    const wrong = Settings.bytes("aSize", 0.5)
    const problem = 'it must be a size in bytes, not 0.5; write 65536, "64KiB"'
    assert.strictEqual(Result.isFailure(wrong) && wrong.failure.problem, problem)
  })
})
