import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { ledger, quiet } from "./harness.ts"
import { type Placing, shared } from "./placed.ts"
import { script as scriptOf, talk } from "./scripted.ts"

/** Datagrams, wherever their handler runs. */
export const placingDatagrams = ({ names, policy, spoken, subject }: Placing): void => {
  const { script: Script, talk: Talk } = spoken
  const script = scriptOf(spoken)
  const served = Layer.provideMerge(Script.serve(script, { policy }), subject.layer(Script)).pipe(Layer.provide(quiet))

  layer(served, shared)("datagrams", (it) => {
    it.effect("are answered, each client its own", () =>
      Effect.gen(function* () {
        const clients = yield* Effect.all([Script.client, Script.client, Script.client])
        for (const [i, client] of clients.entries()) yield* client.write(`echo to ${i} ß€😀`)
        for (const [i, client] of clients.entries()) assert.strictEqual(yield* client.take, `to ${i} ß€😀`)
        const { name } = JSON.parse(yield* clients[0].send("worker"))
        assert.isTrue(names(name), name)
      })
    )

    it.effect("are what their server received", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Script)
        const client = yield* Script.client
        const facts = JSON.parse(yield* client.send("facts"))
        const { connection, request } = yield* Queue.take(events)
        assert.deepStrictEqual(
          [facts.request, facts.connection, facts.peer, facts.transport, facts.received],
          [request!.id, connection.id, connection.peer.name, connection.peer.transport, request!.receivedAt]
        )
      })
    )

    it.effect("may be answered with several, with none, and with a push before", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Script)
        const client = yield* Script.client
        yield* client.write("stream 3")
        for (const n of [1, 2, 3]) assert.strictEqual(yield* client.take, `${n} `)
        assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
        yield* client.write("nothing")
        assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
        assert.strictEqual(yield* client.send("push"), "pushed")
        assert.strictEqual(yield* client.take, "answered")
      })
    )

    it.effect("that fail are not answered, and others are", () =>
      Effect.gen(function* () {
        const events = yield* ledger(yield* Script)
        const client = yield* Script.client
        yield* client.write("die young")
        assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Failed")
        assert.strictEqual(yield* client.send("echo after"), "after")
      })
    )
  })

  const talking = Layer.provideMerge(Talk.serve(talk, { policy }), subject.layer(Talk)).pipe(Layer.provide(quiet))
  layer(talking, shared)("datagrams as whole connections", (it) => {
    it.effect.each(["hello", ""])("have their one message, and answer with several: %j", (message) =>
      Effect.gen(function* () {
        const client = yield* Talk.client
        yield* client.write(message)
        assert.match(yield* client.take, /^hello \d+ \d+$/)
        assert.strictEqual(yield* client.take, `you said ${message}`)
        assert.strictEqual(yield* client.take, "goodbye")
      })
    )
  })
}
