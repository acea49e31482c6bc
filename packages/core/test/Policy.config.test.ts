import { assert, describe, it } from "@effect/vitest"
import { Handler, Policy, Response } from "@socketserver/core"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { counts, peer, rest, serving, tell } from "./support/serving.ts"

const accepted = `Accepted: ${Policy.forms.join(", ")}`

const parsed = (text: string) => {
  const result = Policy.parse(text)
  return Result.isSuccess(result) ? [result.success.name, result.success.onPeerGone] : result.failure.message
}

describe("Policy.parse", () => {
  it.each([
    ["sequential", "sequential", "cancel"],
    ["fiber", "fiber", "cancel"],
    ["fiber:1", "fiber:1", "cancel"],
    ["fiber:64", "fiber:64", "cancel"],
    ["fiber:1024", "fiber", "cancel"],
    ["connection", "connection", "cancel"],
    ["connection:3", "connection:3", "cancel"],
    ["fiber,onPeerGone=cancel", "fiber", "cancel"],
    ["sequential,onPeerGone=finish", "sequential,onPeerGone=finish", "finish"],
    ["connection:3,onPeerGone=finish", "connection:3,onPeerGone=finish", "finish"],
    [" fiber:64 , onPeerGone = finish ", "fiber:64,onPeerGone=finish", "finish"],
    ["fiber,timeout=5 seconds", "fiber,timeout=5000 millis", "cancel"],
    [
      "sequential , timeout = 1 minute , onPeerGone=finish",
      "sequential,timeout=60000 millis,onPeerGone=finish",
      "finish"
    ]
  ])("reads %j as %s", (text, name, onPeerGone) => {
    assert.deepStrictEqual(parsed(text), [name, onPeerGone])
    assert.deepStrictEqual(parsed(name), [name, onPeerGone])
  })

  it("makes the same policy as the program would", () => {
    for (const [text, policy] of [
      ["sequential", Policy.sequential],
      ["fiber:7", Policy.fiber({ max: 7 })],
      ["connection:7", Policy.connection({ max: 7 })],
      ["fiber:7,onPeerGone=finish", Policy.finishing(Policy.fiber({ max: 7 }))],
      ["fiber:7,timeout=5 seconds", Policy.timeout(Policy.fiber({ max: 7 }), "5 seconds")]
    ] as const) {
      const result = Policy.parse(text)
      assert(Result.isSuccess(result))
      const { name, onPeerGone, worker } = result.success
      assert.deepStrictEqual(
        { name, onPeerGone, worker },
        { name: policy.name, onPeerGone: policy.onPeerGone, worker: policy.worker }
      )
    }
  })

  it.each([
    ["", "it has no name"],
    [":3", "it has no name"],
    ["nonsense", 'there is no policy "nonsense"'],
    ["nonsense:3", 'there is no policy "nonsense"'],
    ["Fiber", 'there is no policy "Fiber"'],
    ["thread", 'there is no policy "thread"'],
    ["keyed", "keyed needs a function, so it cannot come from configuration; use Policy.keyed in the program"],
    ["sequential:3", "sequential has no size: it is always one at a time"],
    ["fiber:0", 'the size must be a positive integer, not "0"'],
    ["fiber:", 'the size must be a positive integer, not ""'],
    ["fiber:-1", 'the size must be a positive integer, not "-1"'],
    ["fiber:1.5", 'the size must be a positive integer, not "1.5"'],
    ["connection:many", 'the size must be a positive integer, not "many"'],
    ["fiber:1:2", 'the size must be a positive integer, not "1:2"'],
    ["fiber,", 'there is no option ""'],
    ["fiber,max=3", 'there is no option "max"'],
    ["fiber,onPeerGone", 'onPeerGone is cancel or finish, not ""'],
    ["fiber,onPeerGone=stay", 'onPeerGone is cancel or finish, not "stay"'],
    ["fiber,timeout", 'timeout is a duration such as "5 seconds", not ""'],
    ["fiber,timeout=soon", 'timeout is a duration such as "5 seconds", not "soon"'],
    ["fiber,timeout=0 seconds", 'timeout is a duration such as "5 seconds", not "0 seconds"'],
    ["fiber,timeout=-5 seconds", 'timeout is a duration such as "5 seconds", not "-5 seconds"']
  ])("refuses %j, and lists what is accepted", (text, problem) => {
    assert.strictEqual(parsed(text), `Invalid policy ${JSON.stringify(text)}: ${problem}. ${accepted}`)
  })

  it("refuses a size that is not exact as a number, as the program would", () => {
    assert.throws(() => Policy.fiber({ max: 1e20 }), RangeError)
    assert.include(parsed("fiber:100000000000000000000"), "the size must be a positive integer")
  })

  it("refuses an option that is given twice", () => {
    assert.include(parsed("fiber,onPeerGone=finish,onPeerGone=cancel"), ": onPeerGone is given twice. ")
  })

  it("refuses a value with more behind it", () => {
    assert.include(parsed("fiber,onPeerGone=finish=later"), "onPeerGone is cancel or finish")
  })
})

describe("Policy.forms", () => {
  it("names every policy and option that configuration has", () => {
    assert.deepStrictEqual(Policy.forms, [
      "sequential",
      "fiber[:max]",
      "connection[:max]",
      "each with [,timeout=DURATION] and [,onPeerGone=cancel|finish]"
    ])
  })
})

describe("Policy.timeout", () => {
  it.effect("ends a request that takes longer as TimedOut, and closes its connection", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      yield* serving(
        () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "a")
          yield* Deferred.await(begun)
          yield* TestClock.adjust("5 seconds")
          assert.deepStrictEqual(yield* rest(client), [])
          assert.deepStrictEqual(yield* counts, { TimedOut: 1 })
        }),
        { policy: Policy.timeout(Policy.sequential, "5 seconds") }
      )
    })
  )

  it.effect("leaves the setup of perConnection to the handler", () =>
    serving(
      Handler.perConnection<string, string>((connection) =>
        Effect.as(Effect.orDie(connection.push("hello")), () => Effect.succeed(Response.empty))
      ),
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* peer).take, "hello")
      }),
      { policy: Policy.timeout("5 seconds")(Policy.fiber()) }
    )
  )
})

describe("Policy constructors", () => {
  it.each([0, -1, 1.5, NaN, Infinity])("refuse a maximum of %d", (max) => {
    const problem = `max must be a positive integer, not ${max}`
    assert.throws(() => Policy.fiber({ max }), RangeError, `Policy.fiber: ${problem}`)
    assert.throws(() => Policy.connection({ max }), RangeError, `Policy.connection: ${problem}`)
    assert.throws(() => Policy.keyed(() => 1, { max }), RangeError, `Policy.keyed: ${problem}`)
  })

  it("name themselves as configuration writes them", () => {
    const names = [Policy.sequential, Policy.fiber(), Policy.fiber({ max: 2 }), Policy.connection({ max: 2 })].map(
      ({ name }) => name
    )
    assert.deepStrictEqual(names, ["sequential", "fiber", "fiber:2", "connection:2"])
    assert.strictEqual(Policy.keyed(() => 1, { max: 2 }).name, "keyed:2")
    assert.strictEqual(Policy.finishing(Policy.sequential).name, "sequential,onPeerGone=finish")
  })
})

describe("Policy.config", () => {
  const read = (env: Record<string, string>, config = Policy.config("POLICY")) =>
    Effect.result(config.parse(ConfigProvider.fromEnv({ env })))

  it.effect("reads the variable it is given", () =>
    Effect.gen(function* () {
      const policy = yield* read({ POLICY: "connection:10", OTHER: "sequential" })
      assert(Result.isSuccess(policy))
      assert.strictEqual(policy.success.name, "connection:10")
      const other = yield* read({ POLICY: "connection:10", OTHER: "sequential" }, Policy.config("OTHER"))
      assert(Result.isSuccess(other))
      assert.strictEqual(other.success.name, "sequential")
    })
  )

  it.effect("is fiber without the variable", () =>
    Effect.gen(function* () {
      const policy = yield* read({})
      assert(Result.isSuccess(policy))
      assert.strictEqual(policy.success.name, "fiber")
    })
  )

  it.effect("gives each server of a program its own when it is nested", () =>
    Effect.gen(function* () {
      const env = { ECHO_POLICY: "sequential", CHAT_POLICY: "connection", POLICY: "fiber:3" }
      const both = Config.all({
        echo: Config.nested(Policy.config("POLICY"), "ECHO"),
        chat: Config.nested(Policy.config("POLICY"), "CHAT"),
        other: Config.nested(Policy.config("POLICY"), "OTHER")
      })
      const { chat, echo, other } = yield* both.parse(ConfigProvider.fromEnv({ env }))
      assert.deepStrictEqual([echo.name, chat.name, other.name], ["sequential", "connection", "fiber"])
    })
  )

  it.effect("fails with the variable, the value, and what is accepted", () =>
    Effect.gen(function* () {
      const policy = yield* read({ POLICY: "nonsense" })
      assert(Result.isFailure(policy))
      assert.strictEqual(policy.failure._tag, "ConfigError")
      assert.include(
        policy.failure.message,
        `Invalid policy "nonsense": there is no policy "nonsense". ${accepted}\n  at ["POLICY"]`
      )
    })
  )

  it.effect("names the whole variable when it is nested", () =>
    Effect.gen(function* () {
      const policy = yield* read({ ECHO_POLICY: "nonsense" }, Config.nested(Policy.config("POLICY"), "ECHO"))
      assert(Result.isFailure(policy))
      assert.include(policy.failure.message, "ECHO")
    })
  )
})
