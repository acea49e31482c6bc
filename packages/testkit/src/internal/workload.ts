import type * as Outcome from "@socketserver/core/Outcome"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Client from "@socketserver/core/Client"
import type * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import { ledger, on, quiet, received } from "./harness.ts"
import * as Queue from "effect/Queue"

/** One request of a workload: `key` groups it, its handler takes `millis`, `n` makes it unique. */
export interface Work {
  readonly key: string
  readonly millis: number
  readonly n: number
  readonly dies?: boolean
}

/** What one handler did, in milliseconds from the start. Steps count begins and ends together, so that they order what happens in the same millisecond. */
export interface Span {
  readonly request: number
  readonly connection: number
  readonly key: string
  readonly beginStep: number
  readonly begin: number
  endStep: number
  end: number
  exit: "Success" | "Failure" | "Interrupt" | undefined
}

export interface Observation {
  readonly spans: ReadonlyArray<Span>
  /** The most handlers that were at work at once. */
  readonly peak: number
  /** What each connection received. */
  readonly replies: ReadonlyArray<ReadonlyArray<string>>
  readonly events: ReadonlyArray<Outcome.Event>
  readonly counts: Outcome.Counts
}

export interface Leaving {
  readonly connection: number
  readonly millis: number
}

/** The server of the laws; its requests have keys, for policies by key. */
export class Lines extends Server.Service<Lines>()("PolicyLaws/Lines", {
  protocol: Protocol.lines(),
  key: (request) => keyOf(request.body)
}) {}

const encode = ({ dies, key, millis, n }: Work): string => `${key} ${millis} ${n} ${dies === true ? "dies" : "lives"}`
export const keyOf = (line: string): string => line.split(" ", 1)[0] as string
export const answerTo = (work: Work): string => `answer to ${encode(work)}`

/**
 * Sends the lines of each connection at once, lets an hour pass, and looks at
 * what has happened by then. It never waits for a policy, so it also ends for
 * one that forgets requests.
 */
export const observe = (
  policy: Policy.Policy,
  connections: ReadonlyArray<ReadonlyArray<Work>>,
  leaving?: Leaving
): Effect.Effect<Observation, unknown> => {
  const spans: Array<Span> = []
  let start = 0
  let steps = 0
  let running = 0
  let peak = 0

  const handler: Handler.Handler<string, string> = (request) =>
    Effect.gen(function* () {
      const [key, millis, , fate] = request.body.split(" ") as [string, string, string, string]
      const span: Span = {
        request: request.id,
        connection: request.connection.id,
        key,
        beginStep: steps++,
        begin: (yield* Clock.currentTimeMillis) - start,
        endStep: Infinity,
        end: Infinity,
        exit: undefined
      }
      spans.push(span)
      peak = Math.max(peak, ++running)
      const work = millis === "0" ? Effect.void : Effect.sleep(Number(millis))
      return yield* Effect.onExit(
        Effect.andThen(
          work,
          fate === "dies" ? Effect.die("told to") : Effect.succeed(Response.make(`answer to ${request.body}`))
        ),
        (exit) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            running--
            span.endStep = steps++
            span.end = now - start
            span.exit = Exit.isFailure(exit) && Exit.hasInterrupts(exit) ? "Interrupt" : exit._tag
          })
      )
    })

  const total = connections.reduce((sum, lines) => sum + lines.length, 0)
  const layer: Layer.Layer<Lines, ServerError | Policy.PolicyError> = Layer.provideMerge(
    Lines.serve(handler, { policy }),
    MemoryServer.layer(Lines, { maxPipelined: Math.max(1, total) })
  )
  return Effect.gen(function* () {
    start = yield* Clock.currentTimeMillis
    const server = yield* Lines
    const events = yield* ledger(server)
    const clients: Array<Client.Client<string, string>> = []
    const replies = connections.map((): Array<string> => [])
    for (const [i, lines] of connections.entries()) {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const client = yield* Scope.provide(Lines.client, scope)
      clients.push(client)
      // A policy that forgets a request must not hold up the end of the test.
      yield* Effect.addFinalizer(() => client.reset)
      const reading = Stream.runForEach(client.stream, (line) => Effect.sync(() => void replies[i]!.push(line)))
      yield* Effect.forkIn(Effect.ignore(reading), scope, { startImmediately: true })
      for (const line of lines) yield* client.write(encode(line))
    }
    if (connections.every((lines) => lines.every(({ millis }) => millis > 0))) yield* received(server, total)
    else yield* settle
    if (leaving !== undefined) {
      yield* TestClock.adjust(leaving.millis)
      yield* clients[leaving.connection]!.reset
      yield* settle
    }
    yield* TestClock.adjust("1 hour")
    yield* settle
    return { spans, peak, replies, events: yield* Queue.clear(events), counts: yield* server.counts }
  }).pipe(on(Layer.provide(layer, quiet)))
}

/** Lets everything happen that can happen without time. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 100 })
