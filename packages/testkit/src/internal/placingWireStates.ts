import { assert, layer } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { type Dialect, noRoom } from "./dialect.ts"
import { ledger, quiet } from "./harness.ts"
import { empty, hearing, joined, sameBytes } from "./hearing.ts"
import { shared, type PlacingProtocols } from "./placed.ts"

/** Sessions in one dialect. */
export const placingSessions = ({ connect, layer: listening, policy }: PlacingProtocols, dialect: Dialect): void => {
  const { datagram, datagramRequest, frame, frameRequest, samples } = dialect
  const { server, work } = dialect.sessions
  const served = Layer.provideMerge(server.serve(work(), { policy }), listening(server)).pipe(Layer.provide(quiet))
  const greeting = frame(samples[0].said)

  layer(served, shared)("sessions", (it) => {
    it.effect("greet, keep their state, and turn peers away", () =>
      Effect.gen(function* () {
        const { addresses } = yield* server
        const events = yield* ledger(yield* server)
        const known = hearing(yield* connect(addresses[0]))
        sameBytes("the greeting", yield* known.exactly(greeting.length), greeting)
        const stranger = hearing(yield* connect(addresses[0]))
        sameBytes("the greeting alone", yield* stranger.everything, greeting)
        yield* stranger.close
        const { outcome } = yield* Queue.take(events)
        assert.deepStrictEqual(outcome, { _tag: "Refused", kind: "Program", reason: noRoom })
        for (const sample of [...samples.slice(1), samples[0]]) {
          yield* known.write(frameRequest(samples[0].asked))
          const expected = frame(sample.said)
          sameBytes(sample.name, yield* known.exactly(expected.length), expected)
        }
        yield* known.end
        sameBytes("the end", yield* known.everything, empty)
      })
    )

    it.effect("greet each sender of datagrams, keep its state, and turn senders away", () =>
      Effect.gen(function* () {
        const { addresses } = yield* server
        const events = yield* ledger(yield* server)
        const known = yield* connect(addresses[1] as Endpoint.Endpoint)
        const stranger = yield* connect(addresses[1] as Endpoint.Endpoint)
        const asks = (client: typeof known, said: ReadonlyArray<(typeof samples)[number]>) =>
          Effect.gen(function* () {
            yield* client.write(datagramRequest(samples[0].asked))
            for (const sample of said) sameBytes(sample.name, yield* client.take, datagram(sample.said))
          })
        const answers = [...samples.slice(1), samples[0]]
        yield* asks(known, [samples[0], answers[0]!])
        yield* asks(stranger, [samples[0]])
        for (const sample of answers.slice(1)) yield* asks(known, [sample])
        const outcomes = yield* Queue.takeN(events, answers.length + 1)
        const refused = { _tag: "Refused", kind: "Program", reason: noRoom }
        assert.deepStrictEqual(
          outcomes.map(({ outcome }) => outcome),
          answers.flatMap((_, i) => (i === 0 ? [{ _tag: "Completed" }, refused] : [{ _tag: "Completed" }])) as never
        )
      })
    )
  })
}

/** Whole connections in one dialect. */
export const placingDialogues = ({ connect, layer: listening, policy }: PlacingProtocols, dialect: Dialect): void => {
  const { datagram, datagramRequest, frame, frameRequest, samples, unencodable } = dialect
  const { server, work } = dialect.dialogues
  const served = Layer.provideMerge(server.serve(work, { policy }), listening(server)).pipe(Layer.provide(quiet))
  // At the end it tries what cannot be written, and says whether it could.
  const end = unencodable === undefined ? [] : [samples[0]]

  layer(served, shared)("whole connections", (it) => {
    it.effect("have the same bytes", () =>
      Effect.gen(function* () {
        const { addresses } = yield* server
        const client = hearing(yield* connect(addresses[0]))
        yield* client.write(joined(samples.map((sample) => frameRequest(sample.asked))))
        yield* client.end
        sameBytes(
          "all of it",
          yield* client.everything,
          joined([...samples, ...end].map((sample) => frame(sample.said)))
        )
      })
    )

    it.effect("have the same datagrams", () =>
      Effect.gen(function* () {
        const { addresses } = yield* server
        const client = yield* connect(addresses[1] as Endpoint.Endpoint)
        for (const sample of samples) {
          yield* client.write(datagramRequest(sample.asked))
          sameBytes(sample.name, yield* client.take, datagram(sample.said))
          if (unencodable === undefined || unencodable.fitsDatagrams === true) continue
          sameBytes("the end", yield* client.take, datagram(samples[0].said))
        }
      })
    )
  })
}
