import { assert } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as Middleware from "@socketserver/core/Middleware"
import * as Response from "@socketserver/core/Response"
import * as Session from "@socketserver/core/Session"
import type * as Request from "@socketserver/core/Request"
import type * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import {
  Bytes,
  echo,
  encode,
  ledger,
  Lines,
  on,
  pass,
  served,
  Short,
  type Subject,
  Talk,
  tester,
  until
} from "./harness.ts"

/** What datagrams owe under any policy. */
export const datagramFacts = (subject: Subject): void => {
  const test = tester(subject)

  test("sends one datagram for each message of a stream, and none for an empty response", () => {
    const handler: Handler.Handler<string, string> = ({ body }) =>
      Effect.succeed(body === "none" ? Response.empty : Response.stream(Stream.make(`${body} 1`, "", `${body} 3`)))
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const client = yield* Lines.client
      yield* client.write("none")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
      yield* client.write("three")
      const answers = yield* Effect.forEach([1, 2, 3], () => client.take)
      assert.deepStrictEqual(answers, ["three 1", "", "three 3"])
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Completed")
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("keeps a datagram whole, whatever its size", () =>
    Effect.gen(function* () {
      const client = yield* Bytes.client
      for (const size of [0, 1, 1_500, 60_000]) {
        const sent = new Uint8Array(size).map((_, i) => i & 0xff)
        const got = yield* client.send(sent)
        assert.deepStrictEqual(new Uint8Array(got), sent)
      }
    }).pipe(on(served(subject, Bytes, ({ body }) => Effect.succeed(Response.make(body))))))

  test("takes a line with or without its end", () =>
    Effect.gen(function* () {
      const raw = yield* Lines.rawClient
      for (const text of ["line", "line\n", "line\r\n"]) {
        yield* raw.write(encode(text))
        assert.strictEqual(new TextDecoder().decode(yield* raw.take), "line")
      }
    }).pipe(on(served(subject, Lines, echo))))

  test("counts what is no message, and goes on", () =>
    Effect.gen(function* () {
      const server = yield* Short
      const events = yield* ledger(server)
      const raw = yield* Short.rawClient
      yield* raw.write(encode("two\nlines"))
      yield* raw.write(Uint8Array.of(0xff))
      yield* raw.write(encode("more than sixteen bytes"))
      const outcomes = yield* Queue.takeN(events, 3)
      assert.deepStrictEqual(
        outcomes.map(({ outcome, request }) => [outcome._tag, request]),
        [
          ["Malformed", undefined],
          ["Malformed", undefined],
          ["FrameTooLarge", undefined]
        ]
      )
      yield* raw.write(encode("fine"))
      assert.strictEqual(new TextDecoder().decode(yield* raw.take), "fine")
      yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
    }).pipe(on(served(subject, Short, echo))))

  test("ends a response that is too large as undelivered, and goes on", () => {
    const handler: Handler.Handler<Uint8Array, Uint8Array> = ({ body }) =>
      Effect.succeed(Response.make(body.length === 1 ? new Uint8Array(16 * 1_048_576) : body))
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Bytes)
      const client = yield* Bytes.client
      yield* client.write(Uint8Array.of(1))
      const { outcome } = yield* Queue.take(events)
      assert(outcome._tag === "Undelivered", outcome._tag)
      assert.strictEqual(outcome.reason, "TooLarge")
      assert.deepStrictEqual(new Uint8Array(yield* client.send(encode("fine"))), encode("fine"))
    }).pipe(on(served(subject, Bytes, handler)))
  })

  test("ends a stream whose message is too large as undelivered, and interrupts it", () => {
    const ended = Deferred.makeUnsafe<void>()
    const messages = Stream.make(encode("first"), new Uint8Array(16 * 1_048_576)).pipe(
      Stream.concat(Stream.never),
      Stream.ensuring(Deferred.succeed(ended, undefined))
    )
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Bytes)
      const client = yield* Bytes.client
      assert.deepStrictEqual(new Uint8Array(yield* client.send(encode("go"))), encode("first"))
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Undelivered")
      yield* Deferred.await(ended)
    }).pipe(on(served(subject, Bytes, () => Effect.succeed(Response.stream(messages)))))
  })

  test("loses nothing over its limit without counting it", () => {
    const gate = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = (request) => Effect.andThen(gate.await, echo(request))
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      for (let i = 0; i < 5; i++) yield* client.write(`line ${i}`)
      yield* until(
        Effect.zipWith(server.connections, server.counts, (open, { Refused }) => open.length === 2 && Refused <= 3)
      )
      yield* gate.open
      yield* until(Effect.map(server.counts, ({ Completed, Refused }) => Completed + Refused === 5))
      assert.isAtLeast((yield* server.counts).Completed, 2)
      assert.strictEqual(yield* client.take, "line 0")
    }).pipe(on(served(subject, Lines, handler, { maxConnections: 2 })))
  })

  test("gives a whole-connection handler one message, and sends each of its writes", () => {
    const handler = Handler.dialogue((connection: Connection.Connection<string, string>) =>
      Effect.gen(function* () {
        const lines = yield* Stream.runCollect(connection.stream)
        yield* connection.write(`got ${lines.length}`)
        yield* connection.write(`first ${lines[0]}`)
      })
    )
    return Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      yield* client.write("hello")
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["got 1", "first hello"])
      yield* until(Effect.map(server.counts, ({ Completed }) => Completed === 1))
    }).pipe(on(served(subject, Talk, handler)))
  })

  test("lets nobody write on after a whole-connection handler has returned", () => {
    let kept: Connection.Connection<string, string> | undefined
    const handler = Handler.dialogue((connection: Connection.Connection<string, string>) => {
      kept = connection
      return connection.write("last")
    })
    return Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      assert.strictEqual(yield* client.send("one"), "last")
      yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
      assert.strictEqual((yield* Effect.flip(kept!.write("too late"))).reason._tag, "Closed")
      assert.strictEqual((yield* server.counts).Completed, 1)
    }).pipe(on(served(subject, Talk, handler)))
  })

  test("pushes to a sender after its answer", () => {
    let request: Request.Request<string, string> | undefined
    const handler: Handler.Handler<string, string> = (it) => {
      request = it
      return echo(it)
    }
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("subscribe"), "subscribe")
      yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
      yield* request!.connection.push("news")
      assert.strictEqual(yield* client.take, "news")
      const refused = yield* Effect.flip(request!.connection.push("two\nlines"))
      assert.strictEqual(refused.reason._tag, "EncodeFailed")
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("sends nothing for a handler that closed its connection", () =>
    Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const client = yield* Lines.client
      yield* client.write("close")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Cancelled")
      assert.strictEqual(yield* client.send("open"), "open")
    }).pipe(
      on(
        served(subject, Lines, (request) =>
          request.body === "close" ? Effect.andThen(request.connection.close, echo(request)) : echo(request)
        )
      )
    ))

  test("cuts off a stream without an end whose handler has closed the connection", () => {
    const ended = Deferred.makeUnsafe<void>()
    const forever = Stream.forever(Stream.make("again")).pipe(Stream.ensuring(Deferred.succeed(ended, undefined)))
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const client = yield* Lines.client
      yield* client.write("close")
      yield* Deferred.await(ended)
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Cancelled")
      assert.strictEqual(yield* client.send("open"), "open")
    }).pipe(
      on(
        served(subject, Lines, (request) =>
          request.body === "close" ? Effect.as(request.connection.close, Response.stream(forever)) : echo(request)
        )
      )
    )
  })

  test("sends nothing for a handler that takes too long", () =>
    Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const client = yield* Lines.client
      yield* client.write("slow")
      yield* until(Effect.map((yield* Lines).connections, (connections) => connections.length === 1))
      yield* pass(subject, "20 millis")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "TimedOut")
      assert.strictEqual(yield* client.send("fast"), "fast")
    }).pipe(
      on(
        served(
          subject,
          Lines,
          Middleware.timeout((request) => (request.body === "slow" ? Effect.never : echo(request)), "20 millis")
        )
      )
    ))

  const refusals: ReadonlyArray<readonly [string, Transport.Verify]> = [
    ["says no", (peer) => peer.name === "nobody"],
    ["says no later", (peer) => Effect.as(Effect.yieldNow, peer.name === "nobody")],
    [
      "throws",
      () => {
        throw new Error("broken")
      }
    ],
    ["dies", () => Effect.die("broken")]
  ]
  for (const [what, verify] of refusals) {
    test(`drops the datagrams of a peer whose verification ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* Lines
        const events = yield* ledger(server)
        const client = yield* Lines.client
        yield* client.write("let me in")
        const { outcome, request } = yield* Queue.take(events)
        assert.deepStrictEqual([outcome._tag, request], ["Refused", undefined])
        assert.deepStrictEqual([...(yield* server.connections)], [])
      }).pipe(on(served(subject, Lines, echo, { verify }))))
  }

  test("lets in whom verification lets in, also later", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("hello"), "hello")
    }).pipe(on(served(subject, Lines, echo, { verify: () => Effect.as(Effect.yieldNow, true) }))))

  test("gives its requests to who takes them directly", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      yield* client.write("direct")
      const [request] = yield* Stream.runCollect(Stream.take(server.requests, 1))
      assert.strictEqual(String(request?.connection.listener), String(server.address))
      assert.strictEqual((yield* request!.respond(Response.make("answer")))._tag, "Completed")
      assert.strictEqual(yield* client.take, "answer")
      yield* client.write("handled")
      const outcome = yield* Lines.handleRequest(echo)
      assert.strictEqual(Option.getOrThrow(outcome)._tag, "Completed")
      assert.strictEqual(yield* client.take, "handled")
    }).pipe(on(subject.layer(Lines))))

  test("sets up once what a session has for each sender, and releases it when it was silent, or at a stop", () => {
    const steps: Array<string> = []
    const handler = Session.make((connection: Connection.Ref<string>) =>
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => void steps.push(`setup ${typeof connection.id}`)),
          () => Effect.sync(() => void steps.push("release"))
        ),
        echo
      )
    )
    return Effect.gen(function* () {
      const [first, second] = [yield* Lines.client, yield* Lines.client]
      for (const line of ["one", "two"]) assert.strictEqual(yield* first.send(line), line)
      assert.deepStrictEqual(steps, ["setup number"])
      assert.strictEqual(yield* second.send("three"), "three")
      assert.deepStrictEqual(steps, ["setup number", "setup number"])
      yield* Effect.flatMap(Lines, (server) => server.shutdown)
      assert.deepStrictEqual(steps.slice(2), ["release", "release"])
    }).pipe(on(served(subject, Lines, handler)))
  })
}
