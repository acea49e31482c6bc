import { assert, describe, it, layer } from "@effect/vitest"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { deserted, ledger, on, quiet, received, until } from "./harness.ts"
import { defectOf, type Placing, shared } from "./placed.ts"
import { script as scriptOf } from "./scripted.ts"

/** The outcomes of requests until one is not completed. */
const firstBad = (events: Queue.Dequeue<Outcome.Event>): Effect.Effect<Outcome.Outcome> =>
  Effect.flatMap(Queue.take(events), ({ outcome }) =>
    outcome._tag === "Completed" ? firstBad(events) : Effect.succeed(outcome)
  )

/** Requests wherever their handler runs: the same answers, outcomes and order. */
export const placingRequests = ({ keepsState, names, policy, spoken, subject }: Placing): void => {
  const { script: Script, unwritable } = spoken
  const script = scriptOf(spoken)
  const served = Layer.provideMerge(Script.serve(script, { policy }), subject.layer(Script)).pipe(Layer.provide(quiet))

  /** A connection and what it is asked, on the shared server. */
  const ask = (...lines: ReadonlyArray<string>) =>
    Effect.scoped(
      Effect.flatMap(Script.client, (client) =>
        Stream.runCollect(Stream.take(client.exchange(Stream.fromIterable(lines)), lines.length))
      )
    )

  layer(served, shared)("requests", (it) => {
    it.effect("are answered, to three clients in turn", () =>
      Effect.gen(function* () {
        for (const name of ["one", "two", "three"]) {
          const lines = [`${name} hello`, "", `${name} ß€😀`]
          assert.deepStrictEqual(yield* ask(...lines.map((line) => `echo ${line}`)), lines)
        }
      })
    )

    it.effect("are answered in their order, however long each takes", () =>
      Effect.gen(function* () {
        // Where each request starts a process, a few have to do.
        const lines = Array.from({ length: keepsState ? 20 : 6 }, (_, n) => `slowly ${(n * 7) % 13} ${n}`)
        assert.deepStrictEqual(
          yield* ask(...lines),
          lines.map((line) => line.slice("slowly ".length))
        )
      })
    )

    it.effect("are answered before a half-close takes effect", () =>
      Effect.gen(function* () {
        const client = yield* Script.client
        for (const line of ["echo one", "slowly 5 two", "echo three"]) yield* client.write(line)
        yield* client.end
        assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["one", "5 two", "three"])
      })
    )

    it.effect("have a name for who handles them, and a count", () =>
      Effect.gen(function* () {
        const [first] = yield* ask("worker")
        const { kind, name, requests } = JSON.parse(first!)
        assert.strictEqual(kind, policy.worker)
        assert.isTrue(names(name), name)
        assert.isAtLeast(requests, 1)
      })
    )

    it.effect("are what their server received", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const events = yield* ledger(server)
        const client = yield* Script.client
        const facts = JSON.parse(yield* client.send("facts"))
        const { connection, request } = yield* Queue.take(events)
        const { address } = connection.peer
        assert.deepStrictEqual(facts, {
          request: request!.id,
          connection: connection.id,
          peer: connection.peer.name,
          transport: connection.peer.transport,
          address: address === undefined ? null : String(address),
          opened: connection.openedAt,
          received: request!.receivedAt,
          server: String(server.address)
        })
      })
    )

    it.effect("may be answered with nothing, with an outcome, and with a close", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const events = yield* ledger(server)
        const client = yield* Script.client
        yield* client.write("nothing")
        assert.strictEqual(yield* client.send("refused"), "no")
        assert.strictEqual(yield* client.send("bye"), "bye")
        yield* Effect.flip(client.take)
        const outcomes = yield* Queue.takeN(events, 3)
        assert.deepStrictEqual(
          outcomes.map(({ outcome }) => outcome),
          [{ _tag: "Completed" }, { _tag: "Refused", kind: "Program", reason: "because" }, { _tag: "Completed" }]
        )
      })
    )

    it.effect("may be answered with a stream, in its turn", () =>
      Effect.gen(function* () {
        const client = yield* Script.client
        yield* client.write("slowly 5 first")
        yield* client.write("stream 1000 300")
        yield* client.write("echo last")
        assert.strictEqual(yield* client.take, "5 first")
        for (let n = 1; n <= 1_000; n++) assert.strictEqual(yield* client.take, `${n} ${"x".repeat(300)}`)
        assert.strictEqual(yield* client.take, "last")
      })
    )

    it.effect("that stream for ever end with their peers, and let others be served", () =>
      Effect.gen(function* () {
        const server = yield* Script
        for (let i = 0; i < 4; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* Script.client
              yield* client.write("endless")
              yield* client.take
              yield* client.reset
            })
          )
        }
        yield* deserted(server)
        assert.deepStrictEqual(yield* ask("echo after"), ["after"])
      })
    )

    it.effect("may be large, both ways", () =>
      Effect.gen(function* () {
        const client = yield* Script.client
        const large = `size ${"l".repeat(4 * 1_048_576)}`
        assert.strictEqual(yield* client.send(large), String(large.length))
        assert.strictEqual(yield* client.send(`huge ${4 * 1_048_576}`), "y".repeat(4 * 1_048_576))
      })
    )

    it.effect.each([
      ["die of hunger", "RangeError: died of of hunger"],
      ["throw stones", "RangeError: threw stones"],
      ["unencodable", unwritable.problem],
      ["broken", "Error: broken"]
    ] as ReadonlyArray<readonly [string, string | RegExp]>)(
      "that %s fail, with what they died of, and only they",
      ([line, expected]) =>
        Effect.gen(function* () {
          const server = yield* Script
          const events = yield* ledger(server)
          const client = yield* Script.client
          yield* client.write("echo before")
          yield* client.write(line)
          assert.strictEqual(yield* client.take, "before")
          const rest = yield* Effect.result(Stream.runCollect(client.stream))
          assert.deepStrictEqual(rest._tag === "Success" ? rest.success : [], line === "broken" ? ["one"] : [])
          const said = defectOf(yield* firstBad(events))
          if (typeof expected === "string") assert.strictEqual(said, expected)
          else assert.match(said, expected)
          assert.deepStrictEqual(yield* ask("echo after"), ["after"])
        })
    )

    it.effect("can push, and hear that a message cannot be pushed", () =>
      Effect.gen(function* () {
        const client = yield* Script.client
        assert.strictEqual(yield* client.send("push"), "pushed")
        assert.strictEqual(yield* client.take, "answered")
        assert.strictEqual(yield* client.send("badpush"), "EncodeFailed")
      })
    )

    it.effect("can close their connection", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const client = yield* Script.client
        yield* client.write("leave")
        yield* Effect.flip(client.take)
        yield* client.close
        yield* deserted(server)
      })
    )

    it.effect("of a peer that is gone are cancelled, and their places are free again", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const events = yield* ledger(server)
        for (let i = 0; i < 4; i++) {
          const scope = yield* Scope.make()
          const client = yield* Scope.provide(Script.client, scope)
          yield* client.write("pushes")
          yield* client.take
          yield* client.reset
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual((yield* firstBad(events))._tag, "Cancelled")
          yield* deserted(server)
        }
        assert.deepStrictEqual(yield* ask("echo after"), ["after"])
      })
    )
  })

  describe("a stop", () => {
    const stopping = (drainTimeout: string) =>
      Layer.provideMerge(
        Script.serve(script, { policy }),
        subject.layer(Script, { drainTimeout: drainTimeout as "1 second" })
      ).pipe(Layer.provide(quiet))

    it.live("answers what was received", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const client = yield* Script.client
        for (let n = 0; n < 4; n++) yield* client.write(`slowly 30 ${n}`)
        yield* received(server, 4)
        const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
        const answers = yield* Stream.runCollect(client.stream)
        assert.deepStrictEqual(answers, ["30 0", "30 1", "30 2", "30 3"])
        yield* client.close
        const report = yield* Fiber.join(stop)
        assert.deepStrictEqual([report.completed, report.interrupted], [4, 0])
      }).pipe(on(stopping("20 seconds")))
    )

    it.live("cuts off at the deadline what never ends", () =>
      Effect.gen(function* () {
        const server = yield* Script
        const client = yield* Script.client
        yield* client.write("never")
        yield* received(server, 1)
        const report = yield* server.shutdown
        assert.deepStrictEqual([report.completed, report.interrupted, report.counts.Drained], [0, 1, 1])
      }).pipe(on(stopping("40 millis")))
    )

    it.live("may be asked for by a handler, which is still answered", () =>
      Effect.gen(function* () {
        const client = yield* Script.client
        assert.strictEqual(yield* client.send("stop"), "stopping")
        yield* Effect.flip(client.take)
        yield* client.close
        yield* until(Effect.map(Effect.exit(Effect.scoped(Script.rawClient)), Exit.isFailure))
      }).pipe(on(stopping("20 seconds")))
    )
  })
}
