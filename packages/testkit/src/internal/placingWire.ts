import { assert, layer } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type Dialect, type Word } from "./dialect.ts"
import { ledger, quiet } from "./harness.ts"
import { empty, hearing, joined, sameBytes } from "./hearing.ts"
import { defectOf, shared, type PlacingProtocols } from "./placed.ts"

/** Requests in one dialect: the same bytes, wherever their handler runs. */
export const placingWire = ({ brief, connect, layer: listening, policy }: PlacingProtocols, dialect: Dialect): void => {
  const { ask, cutOff, datagram, datagramRequest, frame, frameRequest, overtakes, samples, unencodable } = dialect
  const { server, work } = dialect.requests
  const served = Layer.provideMerge(server.serve(work, { policy }), listening(server)).pipe(Layer.provide(quiet))
  const [first] = samples
  const said = samples.map((sample) => frame(sample.said))
  const connected = Effect.flatMap(server, ({ addresses }) => Effect.map(connect(addresses[0]), hearing))
  const word = (word: Word) => frameRequest(ask(word))

  const inDatagrams = Effect.gen(function* () {
    const { addresses, outcomes } = yield* server
    const client = yield* connect(addresses[1] as Endpoint.Endpoint)
    // Where one fails nothing comes, and nothing ends.
    const failing = Effect.scoped(
      Stream.runForEach(outcomes, ({ outcome }) => (outcome._tag === "Completed" ? Effect.void : Effect.fail(outcome)))
    )
    const failed = yield* Effect.forkScoped(failing, { startImmediately: true })
    return {
      asks: (payload: Uint8Array) => client.write(datagramRequest(payload)),
      hears: (name: string, payload: Uint8Array) =>
        Effect.map(Effect.raceFirst(client.take, Effect.andThen(Fiber.join(failed), Effect.never)), (heard) =>
          sameBytes(name, heard, datagram(payload))
        )
    }
  })

  layer(served, shared)("requests", (it) => {
    it.effect("may be answered with a stream", () =>
      Effect.gen(function* () {
        const client = yield* connected
        yield* client.write(word("stream"))
        yield* client.end
        sameBytes("a stream", yield* client.everything, joined(said))
      })
    )

    it.effect("may be answered with a datagram", () =>
      Effect.gen(function* () {
        const { asks, hears } = yield* inDatagrams
        yield* asks((samples[2] ?? first).asked)
        yield* hears((samples[2] ?? first).name, (samples[2] ?? first).said)
      })
    )
    if (brief) return

    it.effect("are answered with the same bytes, each once", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* server)
        const client = yield* connected
        if (cutOff === "chunk") {
          for (const sample of samples) {
            yield* client.write(sample.asked)
            sameBytes(sample.name, yield* client.exactly(sample.said.length), sample.said)
          }
          return
        }
        const asked = samples.map((sample) => frameRequest(sample.asked))
        yield* client.write(joined(asked))
        yield* client.end
        sameBytes("all of them", yield* client.everything, joined(said))
        for (const sample of samples) {
          assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed", sample.name)
        }
      })
    )

    it.effect("can push, and hear that a message cannot be pushed", () =>
      Effect.gen(function* () {
        const client = yield* connected
        const expected = joined([...said, frame(first.said)])
        yield* client.write(word("push"))
        sameBytes("what is pushed", yield* client.exactly(expected.length), expected)
        if (unencodable !== undefined) yield* client.write(word("badpush"))
        yield* client.end
        sameBytes(
          "what cannot be pushed",
          yield* client.everything,
          unencodable === undefined ? empty : frame(first.said)
        )
      })
    )

    if (unencodable !== undefined) {
      it.effect.each([
        ["bad", 0],
        ["badstream", 1]
      ] as ReadonlyArray<readonly [Word, number]>)("fail with a reply that cannot be encoded: %s", ([asked, before]) =>
        Effect.gen(function* () {
          const events = yield* ledger(yield* server)
          const client = yield* connected
          yield* client.write(frameRequest(first.asked))
          sameBytes("the one before", yield* client.exactly(frame(first.said).length), frame(first.said))
          yield* client.write(word(asked))
          const rest = joined(Array.from({ length: before }, () => frame(first.said)))
          sameBytes("what was said until then", yield* client.everything, rest)
          assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
          const said = defectOf((yield* Queue.take(events)).outcome)
          assert.match(said, /^Error: The response cannot be encoded: /)
          assert.match(said, unencodable.problem)
        })
      )
    }

    it.effect("are answered before a half-close that cuts one off", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* server)
        const client = yield* connected
        const whole = frameRequest(first.asked)
        yield* client.write(joined([whole, whole.subarray(0, -1)]))
        yield* client.end
        const heard = yield* client.everything
        if (cutOff === "chunk") return sameBytes("chunks", heard, joined([whole, whole.subarray(0, -1)]))
        const expected = cutOff === "request" ? [first, first] : [first]
        sameBytes("what was whole", heard, joined(expected.map((sample) => frame(sample.said))))
        const outcomes = yield* Queue.takeN(events, 2)
        assert.deepStrictEqual(outcomes.map(({ outcome }) => outcome._tag).sort(), [
          "Completed",
          cutOff === "request" ? "Completed" : "Malformed"
        ])
      })
    )

    if (overtakes) {
      it.effect("are answered as soon as they are ready", () =>
        Effect.gen(function* () {
          const events = yield* ledger(yield* server)
          const client = yield* connected
          yield* client.write(joined([word("hold"), frameRequest(first.asked)]))
          sameBytes("the second", yield* client.exactly(frame(first.said).length), frame(first.said))
          yield* client.reset
          const outcomes = yield* Queue.takeN(events, 2)
          assert.deepStrictEqual(
            outcomes.map(({ outcome }) => outcome._tag),
            ["Completed", "Cancelled"]
          )
        })
      )
    }

    it.effect("are answered in datagrams with the same bytes", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* server)
        const { asks, hears } = yield* inDatagrams
        for (const sample of samples) {
          yield* asks(sample.asked)
          yield* hears(sample.name, sample.said)
        }
        yield* asks(ask("stream"))
        for (const sample of samples) yield* hears(sample.name, sample.said)
        yield* asks(ask("push"))
        for (const sample of [...samples, first]) yield* hears(sample.name, sample.said)
        const before = yield* Queue.takeN(events, samples.length + 2)
        for (const { outcome } of before) assert.strictEqual(outcome._tag, "Completed")
        if (unencodable === undefined || unencodable.fitsDatagrams === true) return
        yield* asks(ask("badpush"))
        yield* hears("a push that cannot be encoded", first.said)
        yield* Queue.take(events)
        yield* asks(ask("bad"))
        const said = defectOf((yield* Queue.take(events)).outcome)
        assert.match(said, unencodable.problem)
      })
    )
  })
}
