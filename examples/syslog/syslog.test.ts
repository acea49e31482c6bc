import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Cause, ConfigProvider, Effect, Exit, Layer, Logger, Queue, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Appender } from "./appender.ts"
import { Output, OutputLive } from "./output.ts"
import { Collector, collecting } from "./server.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

const stdout = Layer.provide(OutputLive, ConfigProvider.layer(ConfigProvider.fromUnknown({})))

const collector = (transport: Layer.Layer<Collector, never>, output: Layer.Layer<Output, unknown> = stdout) =>
  // What the server logs of its limits is not what it prints of messages.
  Layer.provideMerge(Layer.provide(collecting, output), transport).pipe(Layer.provide(Logger.layer([])))

const datagrams = Layer.orDie(MemoryServer.layerDatagrams(Collector))
const streams = Layer.orDie(MemoryServer.layer(Collector))

const outcomes = Effect.gen(function* () {
  const server = yield* Collector
  const ended = yield* Queue.unbounded<string>()
  const listening = Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(ended, outcome._tag))
  yield* Effect.forkScoped(listening, { startImmediately: true })
  return (count: number) => Queue.takeN(ended, count)
})

/** Sends each as a datagram, and returns what is printed and how each has ended. */
const collect = (...sent: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const ended = yield* outcomes
    const sender = yield* Collector.rawClient
    for (const datagram of sent) yield* sender.write(utf8(datagram))
    return { ended: yield* ended(sent.length), printed: yield* TestConsole.logLines }
  }).pipe(Effect.scoped, Effect.provide(collector(datagrams)))

describe("examples/syslog", () => {
  it.effect("shows each control character by its number, also of a message that is full of them", () =>
    Effect.gen(function* () {
      const { printed } = yield* collect(`<13>1 - - - - - - ${"\u{1f600}a\n\x1b\x7f\x85".repeat(2_000)}z`)
      assert.deepStrictEqual(printed, [`user.notice - -: ${"\u{1f600}a#012#033#177#205".repeat(2_000)}z`])
    })
  )

  it.effect("prints a line for each message, in either form", () =>
    Effect.gen(function* () {
      const { ended, printed } = yield* collect(
        '<13>1 2026-11-24T20:55:57.449371+00:00 vm root - - [timeQuality tzKnown="1" isSynced="0"] over UDP',
        '<165>1 - - app - - [a b="]"][c d="\\"] "] two elements',
        "<0>1 - - kernel - - -",
        "<19>Nov 24 20:55:57 vm postfix[18222]: with a host",
        "<34>Nov  4 20:55:57 su: without: a host\n",
        "<11>with a traceback\nTraceback (most recent call last):\n  1 / 0\n\0",
        "<191>no form at all"
      )
      assert.deepStrictEqual(printed, [
        "user.notice vm root: over UDP",
        "local4.notice - app: two elements",
        "kern.emerg - kernel: ",
        "mail.err vm postfix: with a host",
        "auth.crit - su: without: a host",
        "user.err - -: with a traceback#012Traceback (most recent call last):#012  1 / 0",
        "local7.debug - -: no form at all"
      ])
      assert.deepStrictEqual(new Set(ended), new Set(["Completed"]))
    })
  )

  it.effect("shows control characters by their numbers", () =>
    Effect.gen(function* () {
      const { printed } = yield* collect(
        "<13>1 - evil\u001bhost app\u0007 - - - \u001b[31mred\u0085\u0000",
        "<13>a\n<0>1 - - kernel - - - forged"
      )
      assert.deepStrictEqual(printed, [
        "user.notice evil#033host app#007: #033[31mred#205",
        "user.notice - -: a#012<0>1 - - kernel - - - forged"
      ])
    })
  )

  it.effect("counts what is no message, and goes on", () =>
    Effect.gen(function* () {
      const { ended, printed } = yield* collect("no priority", "<192>too high", "", "<13>a: two\nlines", "<13>a: b")
      assert.deepStrictEqual([...ended].sort(), ["Completed", "Completed", "Malformed", "Malformed", "Malformed"])
      assert.deepStrictEqual(printed, ["user.notice - a: two#012lines", "user.notice - a: b"])
    })
  )

  it.effect("reads either framing of a stream, up to its end", () =>
    Effect.gen(function* () {
      const sender = yield* Collector.rawClient
      yield* sender.write(utf8("<13>a: by the line\n20 <13>a: by\nits length\n<13>a: no"))
      yield* sender.write(utf8(" end"))
      yield* sender.end
      // Nobody is answered.
      assert.deepStrictEqual(yield* Stream.runCollect(sender.stream), [])
      assert.deepStrictEqual(yield* TestConsole.logLines, [
        "user.notice - a: by the line",
        "user.notice - a: by#012its length",
        "user.notice - a: no end"
      ])
    }).pipe(Effect.scoped, Effect.provide(collector(streams)))
  )

  it.effect("keeps what was whole when a peer is gone, or speaks something else", () =>
    Effect.gen(function* () {
      const ended = yield* outcomes
      const gone = yield* Collector.rawClient
      yield* gone.write(utf8("<13>a: one\n<13>a: two"))
      assert.deepStrictEqual(yield* ended(1), ["Completed"])
      yield* gone.reset
      const other = yield* Collector.rawClient
      yield* other.write(utf8("5 <13>x GET / HTTP/1.1\r\n"))
      assert.deepStrictEqual(yield* Stream.runCollect(other.stream), [])
      assert.deepStrictEqual(yield* ended(2), ["Completed", "Malformed"])
      const large = yield* Collector.rawClient
      yield* large.write(utf8("<13>y\n65536 <13>"))
      assert.deepStrictEqual(yield* Stream.runCollect(large.stream), [])
      assert.deepStrictEqual(yield* ended(2), ["Completed", "FrameTooLarge"])
      assert.deepStrictEqual(
        yield* TestConsole.logLines,
        ["a: one", "-: x", "-: y"].map((rest) => `user.notice - ${rest}`)
      )
    }).pipe(Effect.scoped, Effect.provide(collector(streams)))
  )

  it.effect("answers nobody", () =>
    Effect.gen(function* () {
      const ended = yield* outcomes
      const client = yield* Collector.client
      const nothing = { procid: undefined, msgid: undefined, timestamp: undefined, data: [] }
      yield* client.write({
        ...nothing,
        rfc: "5424",
        facility: "local0",
        severity: "info",
        host: "vm",
        app: "test",
        text: "a\nb"
      })
      assert.deepStrictEqual(yield* ended(1), ["Completed"])
      assert.strictEqual(client.bytesRead, 0)
      assert.deepStrictEqual(yield* TestConsole.logLines, ["local0.info vm test: a#012b"])
    }).pipe(Effect.scoped, Effect.provide(collector(datagrams)))
  )

  it.effect("fails a message that cannot be written", () =>
    Effect.gen(function* () {
      const full = Layer.succeed(Output, { write: () => Effect.die(new Error("no space left on device")) })
      const ended = yield* Effect.gen(function* () {
        const ended = yield* outcomes
        const sender = yield* Collector.rawClient
        yield* sender.write(utf8("<13>a: b"))
        return yield* ended(1)
      }).pipe(Effect.scoped, Effect.provide(collector(datagrams, full)))
      assert.deepStrictEqual(ended, ["Failed"])
    })
  )
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "syslog-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const linesOf = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1)

describe("FILE", () => {
  const toFile = (path: string) =>
    Layer.provide(OutputLive, ConfigProvider.layer(ConfigProvider.fromUnknown({ FILE: path })))

  it.live("has every line that was received before a stop, in order", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log")
      const count = 500
      yield* Effect.gen(function* () {
        const ended = yield* outcomes
        const sender = yield* Collector.rawClient
        yield* sender.write(utf8(Array.from({ length: count }, (_, i) => `<13>a: ${i}\n`).join("")))
        yield* ended(1)
        yield* (yield* Collector).shutdown
      }).pipe(Effect.scoped, Effect.provide(collector(streams, toFile(path))))
      assert.deepStrictEqual(
        linesOf(path),
        Array.from({ length: count }, (_, i) => `user.notice - a: ${i}`)
      )
    }).pipe(Effect.scoped)
  )

  it.effect("that cannot be opened is an error of the start", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(toFile("/nowhere/log"))))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.match(String(error), /ENOENT: no such file or directory, open '\/nowhere\/log'/)
    })
  )
})

describe("Appender", () => {
  /** Both append to the same file, and one of them moves it away meanwhile. */
  const scenario = (looks: boolean) =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log")
      const appender = new Appender(path, looks)
      yield* appender.append("one")
      renameSync(path, `${path}.1`)
      yield* appender.append("two")
      const before = linesOf(`${path}.1`)
      const problem = appender.reopen()
      yield* appender.append("three")
      appender.close()
      return { before, old: linesOf(`${path}.1`), now: linesOf(path), problem }
    }).pipe(Effect.scoped)

  it.live("goes on with what is open until it is told to open it again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* scenario(false), {
        before: ["one", "two"],
        old: ["one", "two"],
        now: ["three"],
        problem: undefined
      })
    })
  )

  it.live("sees for itself that it was moved, where nobody tells it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* scenario(true), {
        before: ["one"],
        old: ["one"],
        now: ["two", "three"],
        problem: undefined
      })
    })
  )

  it.live("keeps what is open where it cannot be opened again", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const path = join(parent, "log")
      const appender = new Appender(path, false)
      renameSync(path, `${path}.1`)
      renameSync(parent, `${parent}.moved`)
      const problem = appender.reopen()
      yield* appender.append("one")
      appender.close()
      renameSync(`${parent}.moved`, parent)
      assert.match(String(problem), /ENOENT/)
      assert.deepStrictEqual(linesOf(`${path}.1`), ["one"])
    }).pipe(Effect.scoped)
  )

  it.live("loses nothing that is appended while it is told so, and keeps the order", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "log")
      const appender = new Appender(path, false)
      const appended = Array.from({ length: 100 }, (_, i) => (i === 50 ? "größer, \u{1f600}" : `${i}`))
      yield* Effect.forEach(
        appended,
        (line, i) => {
          const written = appender.append(line)
          if (i !== 50) return written
          return Effect.suspend(() => {
            renameSync(path, `${path}.1`)
            appender.reopen()
            return written
          })
        },
        { concurrency: "unbounded" }
      )
      appender.close()
      assert.deepStrictEqual([...linesOf(`${path}.1`), ...linesOf(path)], appended)
    }).pipe(Effect.scoped)
  )
})
