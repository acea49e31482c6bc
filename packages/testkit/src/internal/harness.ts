import { it, type Vitest } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type * as Session from "@socketserver/core/Session"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

/** What is under test. */
export interface Subject {
  readonly live: boolean
  readonly layer: <Self, In, Out>(
    tag: Server.Tag<Self, In, Out>,
    options?: Transport.ServerOptions
  ) => Layer.Layer<Self, ServerError>
}

/** What requests are ordered by under `keyed`. */
const key = ({ peer }: Request.Request<unknown>): string => peer.name

export class Lines extends Server.Service<Lines>()("Conformance/Lines", { protocol: Protocol.lines(), key }) {}
export class Short extends Server.Service<Short>()("Conformance/Short", {
  protocol: Protocol.lines({ maxFrameBytes: 16 }),
  key
}) {}
export class Json extends Server.Service<Json>()("Conformance/Json", { protocol: Protocol.ndjson(), key }) {}
export class Bytes extends Server.Service<Bytes>()("Conformance/Bytes", { protocol: Protocol.bytes(), key }) {}
export class Talk extends Server.Service<Talk>()("Conformance/Talk", {
  protocol: Protocol.connection(Protocol.lines()),
  key
}) {}

export const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))

/** Real time for real sockets, virtual time for everything else. */
export const tester = (subject: Subject): Vitest.Tester<Scope.Scope> => (subject.live ? it.live : it.effect)

/** Lets virtual time pass. Real time does so by itself: what follows waits for the event. */
export const pass = (subject: Subject, duration: Duration.Input): Effect.Effect<void> =>
  subject.live ? Effect.void : TestClock.adjust(duration)

/** The options of {@link served}. */
export interface ServedOptions extends Transport.ServerOptions {
  /** Default: `fiber`. */
  readonly policy?: Policy.Policy | undefined
}

/** A server with its handler, which may ask for the server itself. Failures that a test provokes are not logged. */
export const served = <Self, const Id extends string, In, Out>(
  subject: Subject,
  tag: Server.ServiceClass<Self, Id, In, Out>,
  work: Handler.Handler<In, Out, Self> | Session.Session<In, Out, Self>,
  options: ServedOptions = {}
): Layer.Layer<Self, ServerError | Policy.PolicyError> =>
  Layer.provideMerge(
    tag.serve(work as Handler.Handler<In, Out, Self>, { policy: options.policy ?? Policy.fiber() }),
    subject.layer(tag, options)
  ).pipe(Layer.provide(quiet))

export const quiet = Logger.layer([])

/** Runs a test's body on a server. Its clients leave before the server stops. */
export const on =
  <Services, E2>(layer: Layer.Layer<Services, E2>) =>
  <A, E, R>(body: Effect.Effect<A, E, R>) =>
    Effect.provide(Effect.scoped(body), layer)

/** The outcomes of a server from now on, one by one. */
export const ledger = <In, Out>(
  server: Server.Server<In, Out>
): Effect.Effect<Queue.Dequeue<Outcome.Event>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<Outcome.Event>()
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
      { startImmediately: true }
    )
    return events
  })

/** Waits, turn by turn of the event loop, for what has no event to wait for. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* Effect.yieldNow
  })

/** Waits until a server has no connections. */
export const deserted = <In, Out>(server: Server.Server<In, Out>): Effect.Effect<void> =>
  until(Effect.map(server.connections, (connections) => connections.length === 0))

/** Waits until this many requests have been received and not been answered. */
export const received = <In, Out>(server: Server.Server<In, Out>, requests: number): Effect.Effect<void> =>
  until(Effect.map(server.connections, (all) => all.reduce((sum, { inFlight }) => sum + inFlight, 0) === requests))

/** Waits until a number does not change any more, while `turn` goes on. */
export const steady = <E, R>(
  value: Effect.Effect<number, E, R>,
  turn: Effect.Effect<unknown, E, R>
): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    let last = yield* value
    for (let same = 0; same < 50; same++) {
      yield* turn
      const now = yield* value
      if (now === last) continue
      last = now
      same = 0
    }
    return last
  })

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Everything a connection receives until its end, as text. */
export const readAll = (
  connection: Connection.Connection<Uint8Array, Uint8Array>
): Effect.Effect<string, Connection.ConnectionError> => {
  const decoder = new TextDecoder()
  return Stream.runFold(
    connection.stream,
    () => "",
    (text, chunk) => text + decoder.decode(chunk, { stream: true })
  )
}

/** Why a loop that serves has ended. */
export const reasonOf = (
  loop: Fiber.Fiber<never, ServerError | Policy.PolicyError>
): Effect.Effect<ServerError["reason"]["_tag"] | "PolicyError"> =>
  Effect.map(Effect.flip(Fiber.join(loop)), (error) => (error._tag === "ServerError" ? error.reason._tag : error._tag))
