import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Gateway, GatewayLive } from "./server.ts"

const device = "pump-7"
const password = "open sesame"

/** A device that has connected, and what it can ask. */
const connected = Effect.map(Gateway.client, (client) => {
  const login = (id: number) =>
    Effect.map(client.send({ id, device, op: "login", password }), (answer) => ("token" in answer ? answer.token : ""))
  return { client, login }
})

const inMemory = <A, E>(test: Effect.Effect<A, E, Gateway | Effect.Services<typeof connected>>) =>
  test.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(GatewayLive, MemoryServer.layer(Gateway))))

const counts = Effect.map(
  Effect.flatMap(Gateway, (server) => server.counts),
  ({ Completed, Refused }) => ({ Completed, Refused })
)

describe("examples/gateway", () => {
  it.effect("pushes what was left for the device, and then says how much that was", () =>
    Effect.gen(function* () {
      const { client, login } = yield* connected
      yield* client.write({ id: 2, device, op: "commands", token: yield* login(1) })
      assert.deepStrictEqual(
        [yield* client.take, yield* client.take, yield* client.take],
        [{ command: "valve 2 open" }, { command: "report at 12:00" }, { id: 2, sent: 2 }]
      )
    }).pipe(inMemory)
  )

  it.effect("answers what is quick before what was asked first", () =>
    Effect.gen(function* () {
      const { client, login } = yield* connected
      const token = yield* login(1)
      const average = (id: number, of: ReadonlyArray<number>) => client.send({ id, device, op: "average", token, of })
      const slow = yield* Effect.forkChild(average(2, [1, 2, 6]), { startImmediately: true })
      assert.deepStrictEqual(yield* average(3, []), { id: 3, average: 0 })
      assert.isUndefined(slow.pollUnsafe())
      yield* TestClock.adjust("150 millis")
      assert.deepStrictEqual(yield* Fiber.join(slow), { id: 2, average: 3 })
    }).pipe(inMemory)
  )

  it.effect.each([
    { device, password: "opensesame" },
    { device, password: "" },
    { device: "nobody", password: "" },
    { device: "nobody", password }
  ])("tells $device with the password '$password' that it is wrong, and hangs up", (wrong) =>
    Effect.gen(function* () {
      const { client } = yield* connected
      const error = "wrong device or password"
      assert.deepStrictEqual(yield* client.send({ id: 1, op: "login", ...wrong }), { id: 1, error })
      assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      assert.deepStrictEqual(yield* counts, { Completed: 0, Refused: 1 })
    }).pipe(inMemory)
  )

  it.effect("does nothing for whoever has not logged in, as that device", () =>
    Effect.gen(function* () {
      const { login } = yield* connected
      const token = yield* login(1)
      for (const wrong of [
        { device, token: "" },
        { device, token: `${token} ` },
        { device: "fan-3", token }
      ]) {
        const { client } = yield* connected
        const answer = yield* client.send({ id: 2, op: "commands", ...wrong })
        assert.deepStrictEqual(answer, { id: 2, error: "log in first" })
        assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      }
      assert.deepStrictEqual(yield* counts, { Completed: 1, Refused: 3 })
    }).pipe(inMemory)
  )
})
