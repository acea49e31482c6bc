import { assert, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { deserted, ledger, quiet } from "./harness.ts"
import { defectOf, type Placing, shared } from "./placed.ts"
import { state, talk } from "./scripted.ts"

/** Whole connections, wherever their handler runs. */
export const placingTalks = (placing: Placing): void => {
  const { policy, spoken, subject } = placing
  const { frame, talk: Talk } = spoken
  const talking = Layer.provideMerge(Talk.serve(talk, { policy }), subject.layer(Talk)).pipe(Layer.provide(quiet))
  placingStops(placing)
  layer(talking, shared)("whole connections", (it) => {
    it.effect("greet, answer, and see a half-close", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Talk)
        for (let i = 0; i < 3; i++) {
          const client = yield* Talk.client
          const greeting = yield* client.take
          assert.match(greeting, /^hello \d+ \d+$/)
          assert.strictEqual(yield* client.send("one"), "you said one")
          yield* client.end
          assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["goodbye"])
          yield* client.close
          const { connection, outcome, request } = yield* Queue.take(events)
          assert.strictEqual(outcome._tag, "Completed")
          assert.strictEqual(greeting, `hello ${connection.id} ${request!.id}`)
        }
      })
    )

    it.effect("carry more than anything buffers, both ways", () =>
      Effect.gen(function* () {
        const client = yield* Talk.client
        yield* client.take
        yield* client.write("fill 2000")
        for (let i = 0; i < 2_000; i++) assert.strictEqual((yield* client.take).length, 1_000)
        const lines = Array.from({ length: 2_000 }, (_, i) => `${i} ${"w".repeat(500)}`)
        const writing = Effect.andThen(Effect.forEach(lines, client.write, { discard: true }), client.end)
        const fiber = yield* Effect.forkScoped(writing)
        const heard = yield* Stream.runCollect(client.stream)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(heard, [...lines.map((line) => `you said ${line}`), "goodbye"])
      })
    )

    it.effect("can be broken off by their handlers", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Talk)
        const client = yield* Talk.client
        yield* client.take
        yield* client.write("reset")
        yield* Effect.flip(client.take)
        assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Cancelled")
      })
    )

    it.effect("end with their handlers' defects, and with input that is none", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Talk)
        const client = yield* Talk.client
        yield* client.take
        yield* client.write("die")
        yield* Effect.flip(client.take)
        assert.strictEqual(defectOf((yield* Queue.take(events)).outcome), "Error: the dialogue died")
        const other = yield* Talk.rawClient
        yield* other.write(frame("x".repeat(2_000)))
        // How that ends depends on what the transport still had to read.
        yield* Effect.exit(Stream.runDrain(other.stream))
        yield* other.close
        assert.strictEqual((yield* Queue.take(events)).outcome._tag, "FrameTooLarge")
      })
    )

    it.effect("end when their peers are gone", () =>
      Effect.gen(function* () {
        const server = yield* Talk
        const events = yield* ledger(server)
        for (let i = 0; i < 4; i++) {
          const client = yield* Talk.client
          yield* client.take
          assert.strictEqual(yield* client.send("pushes"), "are you there?")
          yield* client.reset
          assert.deepStrictEqual((yield* Queue.take(events)).outcome, { _tag: "Cancelled", reason: "PeerGone" })
        }
        yield* deserted(server)
      })
    )
  })
}

/** The stop of a server whose connections are whole ones. */
const placingStops = ({ policy, spoken: { frame, talk: Talk }, subject }: Placing): void => {
  it.live("whole connections see a stop as the end of what was said, and no part of a message", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const events = yield* ledger(server)
      const client = yield* Talk.rawClient
      const half = frame("half").subarray(0, -1)
      yield* client.write(Uint8Array.of(...frame("whole"), ...half))
      const text = yield* Stream.runFoldEffect(
        Stream.decodeText(client.stream),
        () => "",
        (text, more) => {
          const heard = text + more
          const isAnswered = heard.includes("you said whole") && !text.includes("you said whole")
          return isAnswered ? Effect.as(Effect.forkScoped(server.shutdown), heard) : Effect.succeed(heard)
        }
      )
      yield* client.close
      assert.include(text, "goodbye")
      assert.notInclude(text, "half")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(Talk.serve(talk, { policy }), subject.layer(Talk, { drainTimeout: "20 seconds" })).pipe(
          Layer.provide(quiet)
        )
      )
    )
  )
}

/** Connections with state, wherever their handler runs. */
export const placingStates = ({ policy, spoken, subject }: Placing): void => {
  const { state: State } = spoken
  const stateful = Layer.provideMerge(State.serve(state, { policy }), subject.layer(State)).pipe(Layer.provide(quiet))
  layer(stateful, shared)("connections with state", (it) => {
    it.effect("are greeted, and keep it", () =>
      Effect.gen(function* () {
        const clients = yield* Effect.all([State.client, State.client, State.client])
        for (const client of clients) assert.match(yield* client.take, /^welcome \d+$/)
        const workers = new Map<number, Set<string>>()
        for (let n = 1; n <= 4; n++) {
          for (const [i, client] of clients.entries()) {
            const [count, line, worker] = (yield* client.send(`line${i}`)).split(" ")
            assert.deepStrictEqual([count, line], [String(n), `line${i}`])
            workers.set(i, (workers.get(i) ?? new Set()).add(worker!))
          }
        }
        for (const names of workers.values()) assert.strictEqual(names.size, 1)
      })
    )

    it.effect("that die do not take others along", () =>
      Effect.gen(function* () {
        const server = yield* State
        const [good, bad] = yield* Effect.all([State.client, State.client])
        yield* Effect.andThen(good.take, bad.take)
        yield* Effect.flip(bad.send("die"))
        assert.match(yield* good.send("still"), /^1 still /)
        yield* Effect.andThen(good.close, bad.close)
        yield* deserted(server)
      })
    )
  })
}
