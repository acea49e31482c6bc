/** What a policy can send to a worker. */
import { assert, describe, it } from "@effect/vitest"
import * as Handler from "@socketserver/core/Handler"
import * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import { counts, type LineHandler, logs, peer, rest, serving, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))
const [, quiet] = logs()

/** As if its workers echoed, and with something of its author around what stands in for the handler. */
const elsewhere = (around: (handler: LineHandler) => LineHandler, sent: Array<unknown> = []): Policy.Policy => ({
  ...Policy.fiber(),
  name: "elsewhere",
  place: (served) => {
    const remote: LineHandler = (request) =>
      Effect.sync(() => {
        const payload = Remote.payloadOf(request)
        sent.push(payload)
        return Response.make(Remote.encoded(payload))
      })
    return Effect.succeed({ ...served, handler: around(remote) as never })
  }
})

describe("the payload of a request", () => {
  it.effect("is what was received", () =>
    serving(
      echo,
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* peer).send("hello"), "hello")
      }),
      { policy: elsewhere((handler) => handler) }
    )
  )

  it.effect.each([
    { how: "mapRequest", around: Handler.mapRequest((body: string) => body.toUpperCase()) },
    { how: "mapResponse", around: Handler.mapResponse((message: string) => message) }
  ])("is not that of another request, made by $how: nothing is sent in its place", ({ around }) => {
    const sent: Array<unknown> = []
    return serving(
      echo,
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "hello")
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
        assert.deepStrictEqual(sent, [])
      }),
      { policy: elsewhere(around, sent) }
    ).pipe(Effect.provide(quiet))
  })
})
