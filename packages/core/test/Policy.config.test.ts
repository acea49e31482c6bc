import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Policy, Protocol, Response, Server, Session } from "@socketserver/core"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { counts, peer, rest, serving, tell } from "./support/serving.ts"

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
    ["keyed", "keyed", "cancel"],
    ["keyed:3,onPeerGone=finish", "keyed:3,onPeerGone=finish", "finish"],
    ["fiber,timeout=5 seconds", "fiber,timeout=5s", "cancel"],
    ["fiber,timeout=5s", "fiber,timeout=5s", "cancel"],
    ["fiber,timeout=1500ms", "fiber,timeout=1500ms", "cancel"],
    ["fiber,timeout=90s", "fiber,timeout=90s", "cancel"],
    ["fiber,timeout=1d", "fiber,timeout=24h", "cancel"],
    ["fiber,timeout=500 micros", "fiber,timeout=0.5ms", "cancel"],
    ["sequential , timeout = 1 minute , onPeerGone=finish", "sequential,timeout=1m,onPeerGone=finish", "finish"]
  ])("reads %j as %s", (text, name, onPeerGone) => {
    assert.deepStrictEqual(parsed(text), [name, onPeerGone])
    assert.deepStrictEqual(parsed(name), [name, onPeerGone])
  })

  it("makes the same policy as the program would", () => {
    for (const [text, policy] of [
      ["sequential", Policy.sequential],
      ["fiber:7", Policy.fiber({ max: 7 })],
      ["connection:7", Policy.connection({ max: 7 })],
      ["keyed:7", Policy.keyed({ max: 7 })],
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
    ["Fiber", 'there is no policy "Fiber"; did you mean "fiber"?'],
    ["fibre:3", 'there is no policy "fibre"; did you mean "fiber"?'],
    ["conection", 'there is no policy "conection"; did you mean "connection"?'],
    ["Sequential", 'there is no policy "Sequential"; did you mean "sequential"?'],
    ["fork", 'there is no policy "fork"'],
    ["thread", 'there is no policy "thread"'],
    ["sequential:3", "sequential has no size: it is always one at a time"],
    ["fiber:0", 'the size must be a positive integer, not "0"'],
    ["fiber:", 'the size must be a positive integer, not ""'],
    ["fiber:-1", 'the size must be a positive integer, not "-1"'],
    ["fiber:1.5", 'the size must be a positive integer, not "1.5"'],
    ["connection:many", 'the size must be a positive integer, not "many"'],
    ["fiber:1:2", 'the size must be a positive integer, not "1:2"'],
    ["fiber,", 'there is no option ""'],
    ["fiber,max=3", 'there is no option "max"; the number stands behind the name, write "fiber:3"'],
    ["fiber,onPeerGone", 'onPeerGone is cancel or finish, not ""'],
    ["fiber,onPeerGone=stay", 'onPeerGone is cancel or finish, not "stay"'],
    ["fiber,timeout", 'timeout must be a positive time, not ""; write "30s"'],
    ["fiber,timeout=30", 'timeout must be a positive time, not "30"; write "30s"'],
    ["fiber,timeout=soon", 'timeout must be a positive time, not "soon"; write "30s"'],
    ["fiber,timeout=0s", 'timeout must be a positive time, not "0s"; write "30s"'],
    ["fiber,timeout=Infinity", 'timeout must be a positive time, not "Infinity"; write "30s"'],
    ["fiber,timeout=-5 seconds", 'timeout must be a positive time, not "-5 seconds"; write "30s"']
  ])("refuses %j, and lists what is accepted", (text, problem) => {
    const [, name] = /^(\w*)/.exec(text) ?? []
    const own = Policy.forms.filter((form) => form === name || form.startsWith(`${name}[`))
    const accepted = own.length > 0 ? [...own, Policy.forms.at(-1)] : Policy.forms.slice(0, -1)
    const rest = problem.endsWith("?") ? "" : `. Accepted: ${accepted.join(", ")}`
    assert.strictEqual(parsed(text), `Invalid policy ${JSON.stringify(text)}: ${problem}${rest}`)
  })

  it("refuses a size that is not exact as a number, as the program would", () => {
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
      "keyed[:max]",
      "and for all of them: ,timeout=DURATION ,onPeerGone=cancel|finish"
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

  it.effect("leaves the set-up of a session to it", () =>
    serving(
      Session.make<string, string>((connection) =>
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
  const refusal = (policy: Policy.Policy) =>
    Effect.map(Effect.flip(serving(() => Effect.succeed(Response.empty), Effect.void, { policy })), (error) => {
      assert(error instanceof Policy.PolicyError)
      return error.message
    })

  it.effect.each([0, -1, 1.5, 1e20, NaN, Infinity])(
    "are refused with a maximum of %d before anything is served",
    (max) =>
      Effect.gen(function* () {
        const problem = `max must be a positive integer, not ${max}; leave it out for 1024`
        for (const [name, make] of Object.entries({
          fiber: Policy.fiber,
          connection: Policy.connection,
          keyed: Policy.keyed
        })) {
          const message = `Cannot run handlers of Lines under the policy "${name}:${max}": ${problem}`
          assert.strictEqual(yield* refusal(make({ max })), message)
          assert.include(yield* refusal(Policy.finishing(make({ max }))), problem)
          assert.include(yield* refusal(Policy.timeout(make({ max }), "5 seconds")), problem)
        }
      })
  )

  it.effect.each([0, -5, Infinity, "soon" as never])(
    "are refused with a timeout of %s before anything is served",
    (time) =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* refusal(Policy.timeout(Policy.fiber(), time)),
          `Cannot run handlers of Lines under the policy "fiber,timeout=${time}": timeout must be a positive time that ends, not ${JSON.stringify(time)}; leave it out for none`
        )
      })
  )

  it.effect("by key are refused where the server declares none, and say what to declare", () =>
    Effect.gen(function* () {
      class Keyless extends Server.Service<Keyless>()("Keyless", { protocol: Protocol.lines() }) {}
      const served = Layer.provide(
        Keyless.serve(() => Effect.succeed(Response.empty), { policy: Policy.keyed({ max: 2 }) }),
        MemoryServer.layer(Keyless)
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(served)))
      assert.strictEqual(
        error.message,
        'Cannot run handlers of Keyless under the policy "keyed:2": Keyless declares no key to keep requests in order by; declare one: Server.Service<…>()("Keyless", { protocol, key: (request) => … })'
      )
    })
  )

  it("say once that handlers finish", () => {
    const once = Policy.finishing(Policy.fiber())
    assert.strictEqual(Policy.finishing(once).name, once.name)
  })

  it("name themselves as configuration writes them", () => {
    const names = [Policy.sequential, Policy.fiber(), Policy.fiber({ max: 2 }), Policy.connection({ max: 2 })].map(
      ({ name }) => name
    )
    assert.deepStrictEqual(names, ["sequential", "fiber", "fiber:2", "connection:2"])
    assert.strictEqual(Policy.keyed({ max: 2 }).name, "keyed:2")
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
        `Invalid policy "nonsense": there is no policy "nonsense". Accepted: ${Policy.forms.slice(0, -1).join(", ")}\n  at ["POLICY"]`
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
