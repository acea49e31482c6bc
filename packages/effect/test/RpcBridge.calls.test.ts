/** Calls as requests: what a call is to the server around it, and what it costs. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Remote from "@socketserver/core/Remote"
import * as Server from "@socketserver/core/Server"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scheduler from "effect/Scheduler"
import * as SchemaGetter from "effect/SchemaGetter"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as RpcBridge from "../src/RpcBridge.ts"

/** Opened by a test; a payload that is decoded waits for it. */
class Gate extends Context.Service<Gate, { readonly wait: Effect.Effect<void> }>()("test/Gate") {}

/** Text that only a service can decode. */
const Slowly = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((text: string) => Effect.flatMap(Gate, ({ wait }) => Effect.as(wait, text))),
    encode: SchemaGetter.passthrough<string>()
  })
)

class Group extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number }),
  Rpc.make("Controls", { success: Schema.Boolean }),
  Rpc.make("Stop", { success: Schema.Int }),
  Rpc.make("Throw"),
  Rpc.make("Later", { payload: { text: Slowly }, success: Schema.String }),
  Rpc.make("Many", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
) {}

class Each extends Server.Service<Each>()("Each", { protocol: RpcBridge.protocol(Group) }) {}
class Whole extends Server.Service<Whole>()("Whole", { protocol: RpcBridge.connection() }) {}

/** The requests that handlers were in. */
const requests = new Set<unknown>()

const handlers = Group.toLayer(
  Effect.gen(function* () {
    return Group.of({
      Add: ({ a, b }) => Effect.succeed(a + b),
      Controls: () =>
        Effect.contextWith((context: Context.Context<never>) => {
          const controls = Remote.controlsOf(context)
          const isNew = controls !== undefined && !requests.has(controls)
          requests.add(controls)
          return Effect.succeed(isNew)
        }),
      Stop: () =>
        // The server's own, from one of its handlers: it waits for all others, and not for itself.
        Effect.flatMap(Effect.serviceOption(Each), (server) =>
          server._tag === "None" ? Effect.succeed(-1) : Effect.map(server.value.shutdown, ({ completed }) => completed)
        ),
      Throw: () => {
        throw new Error("no effect")
      },
      Later: ({ text }) => Effect.succeed(text),
      Many: ({ to }) => Stream.range(1, to)
    })
  })
)

/** Counts the steps of all fibers, whoever they belong to. */
class Counting extends Scheduler.MixedScheduler {
  steps = 0

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.steps++
    return super.shouldYield(fiber)
  }
}

interface Playing {
  readonly scheduler?: Scheduler.Scheduler | undefined
  readonly wait?: Effect.Effect<void> | undefined
  /** Called for each fiber that begins in the server. */
  readonly began?: (() => void) | undefined
}

const utf8 = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: ReadonlyArray<Uint8Array>) => bytes.map((chunk) => new TextDecoder().decode(chunk)).join("")

const ask = (id: number, tag: string, payload: unknown = null) =>
  `${JSON.stringify({ _tag: "Request", id, tag, payload, headers: [] })}\n`

/** A server, and connections to it that say lines and read them. */
const playing = (
  tag: typeof Each | typeof Whole,
  { began, scheduler = new Scheduler.MixedScheduler(), wait = Effect.void }: Playing = {}
) =>
  Effect.gen(function* () {
    const counted = Layer.succeed(Metric.FiberRuntimeMetrics)(
      began && ({ recordFiberStart: began, recordFiberEnd: () => {} } as never)
    )
    const serve = tag === Each ? RpcBridge.serve(Group, Each) : RpcBridge.serve(Group, Whole)
    const behind = Layer.merge(handlers, Layer.succeed(Gate, { wait }))
    const live = Layer.provideMerge(
      Layer.provide(serve as never, behind),
      MemoryServer.layer(tag as typeof Each)
    ) as Layer.Layer<Each>
    const around = Layer.merge(counted, Layer.succeed(Scheduler.Scheduler)(scheduler))
    const context = yield* Layer.build(Layer.provide(live, around))
    const connect = Effect.gen(function* () {
      const wire = yield* Effect.provideContext((tag as typeof Each).rawClient, context)
      let rest = ""
      /** The next so many lines, read as JSON. */
      const lines = (count: number): Effect.Effect<ReadonlyArray<unknown>> =>
        Effect.suspend(() => {
          const found = rest.split("\n")
          if (found.length <= count) {
            return Effect.flatMap(
              Effect.orDie(wire.pull as Effect.Effect<ReadonlyArray<Uint8Array>, unknown>),
              (chunks) => {
                rest += textOf(chunks)
                return lines(count)
              }
            )
          }
          rest = found.slice(count).join("\n")
          return Effect.succeed(found.slice(0, count).map((line) => JSON.parse(line) as unknown))
        })
      const say = (text: string) => Effect.orDie(wire.write(utf8(text)))
      return { wire, say, lines }
    })
    return { connect, server: Context.get(context, tag as typeof Each) }
  })

const success = (requestId: number, value: unknown) => ({ _tag: "Exit", requestId, exit: { _tag: "Success", value } })

describe("a call", () => {
  it.effect("is the request that its handler is in, each its own", () =>
    Effect.gen(function* () {
      const { connect } = yield* playing(Each)
      const { lines, say } = yield* connect
      yield* say(ask(1, "Controls") + ask(2, "Controls"))
      assert.deepStrictEqual(yield* lines(2), [success(1, true), success(2, true)])
      yield* say(ask(3, "Controls"))
      assert.deepStrictEqual(yield* lines(1), [success(3, true)])
    })
  )

  it.effect("may stop its own server, and is answered", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* playing(Each)
      const { lines, say } = yield* connect
      yield* say(ask(1, "Add", { a: 1, b: 2 }))
      yield* lines(1)
      yield* say(ask(2, "Stop"))
      assert.deepStrictEqual(yield* lines(1), [success(2, 0)])
      assert.deepInclude(yield* server.shutdown, { completed: 1, interrupted: 0 })
    })
  )

  it.effect("dies where its handler throws before it begins, and costs nobody else's", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* playing(Each)
      const { lines, say } = yield* connect
      yield* say(ask(1, "Throw") + ask(2, "Add", { a: 1, b: 2 }))
      const [died, added] = yield* lines(2)
      assert.match(JSON.stringify(died), /"requestId":1.*"_tag":"Die".*no effect/)
      assert.deepStrictEqual(added, success(2, 3))
      assert.strictEqual((yield* server.counts).Completed, 2)
    })
  )

  it.effect("waits for what its payload is decoded with", () =>
    Effect.gen(function* () {
      const gate = Deferred.makeUnsafe<void>()
      const { connect } = yield* playing(Each, { wait: Deferred.await(gate) })
      const { lines, say } = yield* connect
      yield* say(ask(1, "Later", { text: "late" }) + ask(2, "Add", { a: 1, b: 2 }))
      assert.deepStrictEqual(yield* lines(1), [success(2, 3)])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* lines(1), [success(1, "late")])
    })
  )

  it.effect("does not begin where its client has interrupted it before", () =>
    Effect.gen(function* () {
      const { connect } = yield* playing(Each, { wait: Effect.die("it has begun") })
      const { lines, say } = yield* connect
      yield* say(`${ask(1, "Later", { text: "late" })}{"_tag":"Interrupt","requestId":1}\n`)
      assert.match(
        JSON.stringify(yield* lines(1)),
        /"requestId":1,"exit":\{"_tag":"Failure","cause":\[\{"_tag":"Interrupt"/
      )
    })
  )

  it.effect("is told once how it ends, where it is interrupted while it is decoded", () =>
    Effect.gen(function* () {
      const gate = Deferred.makeUnsafe<void>()
      const { connect } = yield* playing(Each, { wait: Deferred.await(gate) })
      const { lines, say } = yield* connect
      yield* say(ask(1, "Later", { text: "late" }) + ask(2, "Add", { a: 1, b: 2 }))
      assert.deepStrictEqual(yield* lines(1), [success(2, 3)])
      yield* say('{"_tag":"Interrupt","requestId":1}\n')
      yield* Deferred.succeed(gate, undefined)
      assert.match(JSON.stringify(yield* lines(1)), /"requestId":1,"exit":\{"_tag":"(Success|Failure)"/)
      yield* say(ask(1, "Add", { a: 2, b: 2 }))
      assert.deepStrictEqual(yield* lines(1), [success(1, 4)])
    })
  )

  it.effect("ends with its client, also while it is decoded", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* playing(Each, { wait: Effect.never })
      const one = yield* connect
      yield* one.say(ask(1, "Later", { text: "never" }) + ask(2, "Add", { a: 1, b: 2 }))
      yield* one.lines(1)
      yield* one.wire.reset
      const other = yield* connect
      yield* other.say(ask(1, "Add", { a: 1, b: 2 }))
      assert.deepStrictEqual(yield* other.lines(1), [success(1, 3)])
      assert.deepInclude(yield* server.counts, { Completed: 2, Cancelled: 1 })
    })
  )

  // Of a fiber for each there is one in Effect's own server.
  it.effect.each([
    { way: "connections", tag: Whole, each: 1 },
    { way: "calls", tag: Each, each: 2 }
  ] as const)("costs $each fibers where it is answered at once, by $way", ({ each, tag }) =>
    Effect.gen(function* () {
      let fibers = 0
      const { connect } = yield* playing(tag, { began: () => void fibers++ })
      const { lines, say } = yield* connect
      yield* say(ask(0, "Add", { a: 0, b: 0 }))
      yield* lines(1)
      const before = fibers
      for (let i = 0; i < 10; i++) {
        yield* say(Array.from({ length: 10 }, (_, id) => ask(id, "Add", { a: id, b: i })).join(""))
        yield* lines(10)
      }
      assert.isAtMost(fibers - before, 100 * each + 10)
    })
  )

  // Each stream has two fibers that unwind. A way that looks at all others for each, or tells each how it has ended, takes more.
  it.effect.each([5, 10, 20])(
    "that streams, and is acknowledged by nobody, takes as many steps to cut off: %s connections",
    (count) =>
      Effect.gen(function* () {
        const scheduler = new Counting()
        const { connect, server } = yield* playing(Each, { scheduler })
        for (let i = 0; i < count; i++) {
          const { lines, say } = yield* connect
          yield* say(Array.from({ length: 50 }, (_, id) => ask(id, "Many", { to: 1_000_000 })).join(""))
          yield* lines(1)
        }
        const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
        yield* Effect.repeat(Effect.yieldNow, { times: 50 })
        const before = scheduler.steps
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(stopping)).interrupted, count * 50)
        yield* Effect.repeat(Effect.yieldNow, { times: 50 })
        const each = (scheduler.steps - before) / (count * 50)
        assert.isAtMost(each, 60)
      })
  )
})
