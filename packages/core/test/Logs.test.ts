import { assert, describe, it, vi } from "@effect/vitest"
import { Outcome, Response } from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/testing/TestClock"
import type * as DeadlinesModule from "../src/internal/deadlines.ts"
import type * as LimitLogModule from "../src/internal/limitLog.ts"
import type * as PrintableModule from "../src/internal/printable.ts"
import type * as ServerLogModule from "../src/internal/serverLog.ts"
import { datagramOf, front, inet, wireOf } from "./support/front.ts"
import { type LineHandler, type Logged, Lines, logs, peer, rest, serving, settled, tell } from "./support/serving.ts"

const { Deadlines } = await vi.importActual<typeof DeadlinesModule>("../src/internal/deadlines.ts")
const { LimitLog } = await vi.importActual<typeof LimitLogModule>("../src/internal/limitLog.ts")
const { printable, printableLines } = await vi.importActual<typeof PrintableModule>("../src/internal/printable.ts")
const { ServerLog } = await vi.importActual<typeof ServerLogModule>("../src/internal/serverLog.ts")

/** A log by itself, with a time of its own. */
const scripted = (minimumLogLevel: LogLevel.LogLevel = "Info", { tick = 0 } = {}) => {
  const [entries, layer] = logs()
  let now = 0
  let due: { readonly at: number; readonly f: () => void } | undefined
  const time = {
    // A clock may go on between two looks at it.
    now: () => (now += tick),
    after: (millis: number, f: () => void) => {
      due = { at: now + millis, f }
      return () => (due = undefined)
    },
    troubles: { attempt: (_: string, f: () => void) => f() }
  }
  const pass = (millis: number) => {
    const until = now + millis
    while (due !== undefined && due.at <= until) {
      const { at, f } = due
      due = undefined
      now = at
      f()
    }
    now = until
  }
  const context = {
    service: "Echo",
    minimumLogLevel,
    now: time.now,
    deadlines: new Deadlines(time),
    run: (effect: Effect.Effect<void>) => Effect.runSync(Effect.provide(effect, layer))
  }
  const log = new ServerLog(context)
  const said = () => entries.splice(0).map(({ message }) => message)
  return { log, limitLog: new LimitLog({ ...context, log }), entries, said, pass, isWaiting: () => due !== undefined }
}

describe("printable", () => {
  it("keeps what can be read, in any script", () => {
    for (const text of ["plain", "ümlaut 漢字 🙂 e\u0301", 'quotes " and \\', ""])
      assert.strictEqual(printable(text), text)
  })

  it("shows what a terminal obeys, what ends a line, and what changes a direction", () => {
    const odd = "a\n\r\tb\0\x07\x1b[2J\x7f\x9b\u2028\u202e\u2066\ufeff\ud800c"
    assert.strictEqual(printable(odd), "a\\n\\r\\tb\\x00\\x07\\x1b[2J\\x7f\\x9b\\u2028\\u202e\\u2066\\ufeff\\ud800c")
  })

  it("cuts what is long, and says so", () => {
    assert.strictEqual(printable("x".repeat(2_000)), `${"x".repeat(1_024)}… (2000 characters)`)
    assert.strictEqual(printable("x".repeat(1_024)), "x".repeat(1_024))
  })

  it("keeps the lines of a stack apart", () => {
    assert.strictEqual(printableLines("Error: \x1b[0m\n    at f"), "Error: \\x1b[0m\n    at f")
  })
})

describe("the log of a server", () => {
  it("names the server in each line, and has what it is about for searches", () => {
    const { entries, log } = scripted()
    log.say("Error", "requests that failed", "request 3 failed", { request: 3, peer: "a\x1bb", listener: undefined })
    assert.deepStrictEqual(entries, [
      {
        level: "Error",
        message: "Echo: request 3 failed",
        annotations: { server: "Echo", request: 3, peer: "a\\x1bb" }
      }
    ])
  })

  it("logs 50 lines of a kind at once and 10 a second, and says how many more there were", () => {
    const { log, pass, said } = scripted()
    const many = (count: number) => {
      for (let i = 0; i < count; i++) log.say("Info", "who was refused", "refused")
    }
    many(80)
    assert.strictEqual(said().length, 50)
    pass(999)
    many(1)
    assert.deepStrictEqual(said(), [])
    pass(1)
    assert.deepStrictEqual(said(), ["Echo: 31 more lines about who was refused were left out"])
    many(11)
    assert.strictEqual(said().length, 10)
    pass(1_000)
    assert.deepStrictEqual(said(), ["Echo: 1 more line about who was refused was left out"])
    pass(60_000)
    many(50)
    assert.strictEqual(said().length, 50)
  })

  it("bounds each kind by itself", () => {
    const { log, said } = scripted()
    for (let i = 0; i < 60; i++) log.say("Info", "one", "one")
    said()
    log.say("Error", "another", "another")
    assert.deepStrictEqual(said(), ["Echo: another"])
  })

  it("tells at its end what it has left out, and waits for nothing then", () => {
    const { isWaiting, log, said } = scripted()
    for (let i = 0; i < 52; i++) log.say("Info", "one", "one")
    assert.isTrue(isWaiting())
    said()
    log.end()
    assert.deepStrictEqual(said(), ["Echo: 2 more lines about one were left out"])
    assert.isFalse(isWaiting())
  })

  it("makes nothing of what nobody reads", () => {
    const { entries, log } = scripted("Warn")
    assert.deepStrictEqual([log.isRead("Info"), log.isRead("Warn"), log.isRead("Error")], [false, true, true])
    log.say("Info", "one", "one")
    assert.deepStrictEqual(entries, [])
  })

  it("shows the errors of a handler without what a terminal would obey", () => {
    const { causes, say } = withCauses()
    const inner = new Error("inner \x1b[31m")
    const error = new TypeError("bad \x1b]0;owned\x07\nline", { cause: inner })
    say(Cause.die(error))
    say(Cause.fail("text \x1b"))
    for (const cause of causes) assert.notMatch(Cause.pretty(cause), /(?!\n)\p{Cc}/u)
    assert.match(Cause.pretty(causes[0]!), /^TypeError: bad \\x1b\]0;owned\\x07\\nline\n +at /)
    assert.include(Cause.pretty(causes[0]!), "inner \\x1b[31m")
    assert.include(Cause.pretty(causes[1]!), "text \\x1b")
  })

  it("leaves errors as they are that are plain", () => {
    const { causes, say } = withCauses()
    const error = new Error("plain")
    say(Cause.die(error))
    assert.strictEqual((causes[0]!.reasons[0] as Cause.Die).defect, error)
  })
})

describe("what is told of a limit", () => {
  it("is a line when it is reached, and one when it was not met for ten seconds, with how long and how often", () => {
    const { entries, limitLog, pass, said } = scripted()
    limitLog.reached("maxConnections", 4, "refused", "192.0.2.1:5")
    assert.deepStrictEqual(entries, [
      {
        level: "Warn",
        message: "Echo: maxConnections (4) is reached: refused 192.0.2.1:5",
        annotations: { server: "Echo", limit: "maxConnections", peer: "192.0.2.1:5" }
      }
    ])
    said()
    pass(1_000)
    for (let i = 0; i < 100; i++) limitLog.reached("maxConnections", 4, "refused", "192.0.2.1:6")
    limitLog.reached("maxConnections", 4, "evicted")
    pass(9_999)
    assert.deepStrictEqual(said(), [])
    pass(1)
    assert.deepStrictEqual(said(), ["Echo: maxConnections (4) was reached for 1000 ms: 101 refused, 1 evicted"])
    limitLog.reached("maxConnections", 4, "refused")
    assert.deepStrictEqual(said(), ["Echo: maxConnections (4) is reached: one refused"])
  })

  it("is two lines in all, however long and often it is met", () => {
    const { limitLog, pass, said } = scripted()
    for (let second = 0; second < 3_600; second++) {
      limitLog.reached("maxMemory", "64MiB", "reset")
      pass(1_000)
    }
    pass(10_000)
    assert.deepStrictEqual(said(), [
      "Echo: maxMemory (64MiB) is reached: one reset",
      "Echo: maxMemory (64MiB) was reached for 3599000 ms: 3600 reset"
    ])
  })

  it("is told of each limit by itself, also where nothing was done", () => {
    const { limitLog, pass, said } = scripted()
    limitLog.reached("maxMemory", "64MiB")
    limitLog.reached("maxConnections", 4, "refused")
    pass(10_000)
    assert.sameMembers(said(), [
      "Echo: maxMemory (64MiB) is reached",
      "Echo: maxConnections (4) is reached: one refused",
      "Echo: maxMemory (64MiB) was reached for 0 ms",
      "Echo: maxConnections (4) was reached for 0 ms: 1 refused"
    ])
  })

  it("was never reached for less than no time", () => {
    const { limitLog, said } = scripted("Info", { tick: 1 })
    limitLog.reached("maxSenders", 4096, "forgotten")
    said()
    limitLog.end()
    assert.deepStrictEqual(said(), ["Echo: maxSenders (4096) was reached for 0 ms: 1 forgotten"])
  })

  it("is told at the end of the server, and in no worker", () => {
    const { isWaiting, limitLog, log, said } = scripted()
    limitLog.reached("maxConnections", 4, "refused")
    said()
    limitLog.end()
    assert.deepStrictEqual(said(), ["Echo: maxConnections (4) was reached for 0 ms: 1 refused"])
    assert.isFalse(isWaiting())
    log.silent = true
    limitLog.reached("maxConnections", 4, "refused")
    limitLog.end()
    assert.deepStrictEqual(said(), [])
  })
})

describe("a server", () => {
  const handler: LineHandler = ({ body }) =>
    body === "die" ? Effect.die(new Error("a bug")) : Effect.succeed(Response.make(body))
  const of = (entries: ReadonlyArray<Logged>, level: string) => entries.filter((entry) => entry.level === level)

  it.effect("says of a request whose it was, and has for searches what it was about", () => {
    const [entries, layer] = logs()
    return serving(
      handler,
      Effect.gen(function* () {
        const { address } = yield* Lines
        const client = yield* peer
        yield* tell(client, "die")
        yield* rest(client)
        const [failed] = entries
        const name = String(failed?.annotations["peer"])
        assert.deepStrictEqual(of(entries, "Error"), [
          {
            level: "Error",
            message: `Lines: request 1 from ${name} failed`,
            annotations: {
              server: "Lines",
              listener: String(address),
              connection: 1,
              request: 1,
              peer: name,
              outcome: "Failed"
            }
          }
        ])
      })
    ).pipe(Effect.provide(layer))
  })

  it("shows of what is thrown, and is no error, no more than its beginning where it is much", () => {
    const causes: Array<Cause.Cause<unknown>> = []
    const keeping = Logger.layer([Logger.make(({ cause }) => void causes.push(cause))])
    const log = new ServerLog({
      service: "Echo",
      minimumLogLevel: "Info",
      now: () => 0,
      deadlines: undefined as never,
      run: (effect: Effect.Effect<void>) => Effect.runSync(Effect.provide(effect, keeping))
    } as never)
    const [little, much] = [{ why: "x" }, { why: "x".repeat(100_000) }]
    for (const thrown of [little, much]) log.say("Warn", undefined, "it failed", {}, Cause.die(thrown))
    const shown = causes.map(({ reasons }) => (reasons[0] as Cause.Die).defect)
    assert.strictEqual(shown[0], little)
    assert.isBelow(String(shown[1]).length, 8_192)
    assert.match(String(shown[1]), /^\{"why":"xxx/)
  })

  it.effect("bounds what a peer can make it log, and tells of the rest", () => {
    const [entries, layer] = logs()
    return serving(
      handler,
      Effect.gen(function* () {
        for (let i = 0; i < 70; i++) {
          const client = yield* peer
          yield* tell(client, "die")
          yield* rest(client)
        }
        yield* TestClock.adjust("1 second")
        yield* settled
        const errors = of(entries, "Error").map(({ message }) => message)
        assert.strictEqual(errors.length, 51)
        assert.strictEqual(errors[50], "Lines: 20 more lines about requests that failed were left out")
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("warns of frames that are too large once, and of nothing that ends well", () => {
    const [entries, layer] = logs()
    return serving(
      handler,
      Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          const client = yield* Lines.rawClient
          yield* Effect.orDie(client.write(new Uint8Array(100_000).fill(120)))
          yield* Effect.exit(client.take)
        }
        assert.match(
          of(entries, "Warn")
            .map(({ message }) => message)
            .join("\n"),
          /^Lines: maxFrameBytes \(65536\) is reached: closed memory:Lines-\d+#1$/
        )
        yield* TestClock.adjust("10 seconds")
        yield* settled
        assert.strictEqual(
          of(entries, "Info").at(-1)?.message,
          "Lines: maxFrameBytes (65536) was reached for 0 ms: 3 closed"
        )
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("logs with logOutcomes at Info what is at Debug otherwise, once", () =>
    Effect.gen(function* () {
      for (const level of ["Debug", "Info"]) {
        const [entries, layer] = logs()
        const refusing: LineHandler = () =>
          Effect.succeed(Response.withOutcome(Response.andClose(Response.empty), Outcome.refused("no")))
        yield* serving(
          refusing,
          Effect.gen(function* () {
            const client = yield* peer
            yield* tell(client, "x")
            yield* rest(client)
            const said = entries.filter(({ message }) => message.includes("refused: no"))
            assert.deepStrictEqual(
              said.map((entry) => entry.level),
              [level]
            )
          }).pipe((test) => (level === "Info" ? Effect.provide(test, Lines.logOutcomes) : test))
        ).pipe(Effect.provide(layer))
      }
    })
  )

  it.effect("calls a datagram one, and a connection one", () => {
    const [entries, layer] = logs()
    return Effect.gen(function* () {
      const { sink } = yield* front({ verify: () => false })
      sink.receive(datagramOf(inet("192.0.2.1", "udp"), "x"))
      sink.accept(wireOf(inet("192.0.2.2")))
      const said = entries.map(({ message }) => message.replace(/:\d+ /, " ")).filter((text) => text.includes("192."))
      assert.lengthOf(said, 2)
      assert.include(said[0], "a datagram from 192.0.2.1 ended: ")
      assert.include(said[1], "a connection from 192.0.2.2 ended: ")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

/** A log of causes, which a logger gets apart from the message. */
const withCauses = () => {
  const causes: Array<Cause.Cause<unknown>> = []
  const layer = Logger.layer([Logger.make<unknown, void>(({ cause }) => void causes.push(cause))])
  const log = new ServerLog({
    service: "Echo",
    minimumLogLevel: "Info",
    now: () => 0,
    deadlines: { by: () => {}, forget: () => {} },
    run: (effect) => Effect.runSync(Effect.provide(effect, layer))
  })
  return { causes, say: (cause: Cause.Cause<unknown>) => log.say("Error", "one", "one", {}, cause) }
}
