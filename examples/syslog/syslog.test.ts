import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Fiber, Layer, Logger, Option, Queue, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { Syslog, SyslogLive } from "./server.ts"

// What the server logs of its limits is not what it prints of messages.
const collector = Layer.provideMerge(SyslogLive, MemoryServer.layerDatagrams(Syslog)).pipe(
  Layer.provide(Logger.layer([]))
)

/** Sends each datagram to a collector, and returns what it prints and how each ended. */
const collect = (...datagrams: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* Syslog
    const outcomes = yield* Queue.unbounded<string>()
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(outcomes, outcome._tag)),
      { startImmediately: true }
    )
    const sender = yield* Syslog.rawClient
    for (const datagram of datagrams) yield* sender.write(new TextEncoder().encode(datagram))
    const ended = yield* Queue.takeN(outcomes, datagrams.length)
    return { printed: yield* TestConsole.logLines, ended }
  }).pipe(Effect.scoped, Effect.provide(collector))

describe("examples/syslog", () => {
  it.effect("prints who said what, in the form of either RFC", () =>
    Effect.gen(function* () {
      const { ended, printed } = yield* collect(
        '<13>1 2026-11-24T20:55:57.449371+00:00 vm root - - [timeQuality tzKnown="1" isSynced="0"] over UDP',
        '<165>1 - - app - - [a b="]"][c d="\\"] "] two elements',
        "<0>1 - - kernel - - -",
        "<19>Nov 24 20:55:57 vm postfix[18222]: with a host",
        "<34>Nov  4 20:55:57 su: without: a host\n",
        "<191>no form at all"
      )
      assert.deepStrictEqual(printed, [
        "memory user.notice root: over UDP",
        "memory local4.notice app: two elements",
        "memory kern.emerg kernel: ",
        "memory mail.err postfix: with a host",
        "memory auth.crit su: without: a host",
        "memory local7.debug -: no form at all"
      ])
      assert.deepStrictEqual(new Set(ended), new Set(["Completed"]))
    })
  )

  it.effect("shows control characters by their numbers", () =>
    Effect.gen(function* () {
      const { printed } = yield* collect("<13>evil\u0007: \u001b[31mred\u0085")
      assert.deepStrictEqual(printed, ["memory user.notice evil#007: #033[31mred#205"])
    })
  )

  it.effect("counts what is no message, and goes on", () =>
    Effect.gen(function* () {
      const { ended, printed } = yield* collect(
        "no priority",
        "<192>too high",
        "<13>a: two\nlines",
        "x".repeat(8193),
        "<13>a: b"
      )
      assert.deepStrictEqual(ended, ["Malformed", "Malformed", "Malformed", "FrameTooLarge", "Completed"])
      assert.deepStrictEqual(printed, ["memory user.notice a: b"])
    })
  )

  it.effect("answers nobody", () =>
    Effect.gen(function* () {
      const server = yield* Syslog
      const client = yield* Syslog.client
      const first = yield* Effect.forkChild(Stream.runHead(server.outcomes), { startImmediately: true })
      yield* client.write({ facility: "local0", severity: "info", tag: "test", text: "hello" })
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(first)).outcome._tag, "Completed")
      assert.strictEqual(client.bytesRead, 0)
    }).pipe(Effect.scoped, Effect.provide(collector))
  )
})
