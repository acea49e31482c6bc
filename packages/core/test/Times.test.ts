/** Times that a program gives: whatever takes one refuses what is none, and says what it must be. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Middleware from "@socketserver/core/Middleware"
import * as Network from "@socketserver/core/Network"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import { InvalidOption, type ServerError } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import type { LineHandler } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** What is wrong, as it is told. */
type Told = Effect.Effect<string, unknown>

const thrown = (take: () => unknown): Told =>
  Effect.sync(() => {
    try {
      take()
    } catch (error) {
      assert.instanceOf(error, InvalidOption)
      return error.message
    }
    return "nothing is wrong"
  })

const failed = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>): Told =>
  Effect.match(effect, { onFailure: ({ message }) => message, onSuccess: () => "nothing is wrong" })

const built = (options: Transport.ServerOptions): Told =>
  failed(Effect.scoped(Layer.build(MemoryServer.layer(Lines, options))))

interface Taker {
  readonly what: string
  readonly option: string
  readonly take: (time: Settings.Time) => Told
  /** Whether no time at all is one, and whether it may be off. */
  readonly zero: boolean
  readonly off: boolean
}

const option = (option: keyof Transport.ServerOptions, off: boolean, zero = false): Taker => ({
  what: option,
  option,
  take: (time) => built({ [option]: time }),
  zero,
  off
})

const takers: ReadonlyArray<Taker> = [
  option("placeTimeout", false),
  option("startTimeout", false),
  option("firstByteTimeout", true),
  option("frameTimeout", true),
  option("writeTimeout", true),
  option("idleTimeout", true),
  option("requestTimeout", true),
  option("loginTimeout", true),
  option("maxLifetime", true),
  option("senderTimeout", true),
  option("drainTimeout", false, true),
  {
    what: "Middleware.timeout",
    option: "timeout",
    take: (time) => thrown(() => Middleware.timeout(echo, time)),
    zero: false,
    off: true
  },
  {
    what: "Policy.timeout",
    option: "timeout",
    take: (time) =>
      failed(
        Effect.scoped(
          Layer.build(
            Layer.provide(
              Lines.serve(echo, { policy: Policy.timeout(Policy.fiber(), time) }),
              MemoryServer.layer(Lines)
            )
          )
        )
      ),
    zero: false,
    off: false
  },
  {
    what: "handleRequest",
    option: "timeout",
    take: (time) =>
      // What waits for ever waits here for nobody.
      failed(
        Effect.raceFirst(Lines.handleRequest(echo, { timeout: time }), Effect.as(Effect.yieldNow, "waits")).pipe(
          Effect.provide(MemoryServer.layer(Lines))
        )
      ),
    zero: true,
    off: true
  },
  {
    what: "a link's latency",
    option: "latency",
    take: (time) => thrown(() => Network.link({ latency: time })),
    zero: true,
    off: false
  },
  {
    what: "a link's jitter",
    option: "jitter",
    take: (time) => thrown(() => Network.link({ jitter: time })),
    zero: true,
    off: false
  },
  {
    what: "control.change",
    option: "requestTimeout",
    take: (time) =>
      Effect.flatMap(Lines, ({ control }) =>
        failed(control.change({ requestTimeout: time }) as Effect.Effect<unknown, ServerError>)
      ).pipe(Effect.provide(MemoryServer.layer(Lines))),
    zero: false,
    off: true
  }
]

describe.each(takers)("$what", ({ off, option, take, zero }) => {
  it.effect("refuses what is no time, and names the option", () =>
    Effect.gen(function* () {
      const none: ReadonlyArray<Settings.Time> = [
        -1,
        "-1 seconds",
        "-1s",
        "soon" as never,
        NaN,
        ...(zero ? [] : ([0, "0 seconds", "0s"] as const))
      ]
      for (const time of none) {
        const told = yield* take(time)
        assert.include(told, `${option}`, String(time))
        assert.match(told, /must be a (positive )?time/, String(time))
      }
      for (const time of off ? [] : (["off", Infinity] as const)) {
        assert.match(yield* take(time), /must be a (positive )?time that ends/, String(time))
      }
    })
  )

  it.effect("takes every way to write one", () =>
    Effect.gen(function* () {
      const times: ReadonlyArray<Settings.Time> = [
        1_000,
        "1 second",
        "1s",
        "40d",
        ...(zero ? ([0, "0s"] as const) : []),
        ...(off ? (["off", Infinity] as const) : [])
      ]
      for (const time of times) {
        assert.strictEqual(yield* take(time), "nothing is wrong", String(time))
      }
    })
  )
})

describe("a time that does not end", () => {
  it.effect("interrupts no handler", () =>
    Effect.gen(function* () {
      const slow: LineHandler = (request) => Effect.as(Effect.sleep("1000 days"), Response.make(request.body))
      const served = Lines.serve(Middleware.timeout(slow, "off"))
      const answer = Effect.flatMap(Lines.client, (client) => client.send("hello"))
      const fiber = yield* Effect.forkScoped(
        Effect.provide(Effect.scoped(answer), Layer.provideMerge(served, MemoryServer.layer(Lines)))
      )
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* TestClock.adjust("1000 days")
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
    })
  )

  it.effect("of no length at all takes a request that is there, and waits for none", () =>
    Effect.gen(function* () {
      assert.isTrue(Option.isNone(yield* Lines.handleRequest(echo, { timeout: 0 })))
      const client = yield* Lines.client
      yield* client.write("hello")
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      assert.isTrue(Option.isSome(yield* Lines.handleRequest(echo, { timeout: 0 })))
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )
})
