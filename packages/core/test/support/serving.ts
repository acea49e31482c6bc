/** Servers in memory, with what the tests of handlers and middlewares look at. */
import { type Handler, MemoryServer, type Outcome, Protocol, Server, type Session } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"

/** A line whose key function throws. */
export const noKey = "no key"

/** A server of lines, all with one key. */
export class Lines extends Server.Service<Lines>()("Lines", {
  protocol: Protocol.lines(),
  key: ({ body }) => {
    if (body === noKey) throw new Error("it has no key")
    return "one"
  }
}) {}

export type LineHandler<R = never> = Handler.Handler<string, string, R>

/** Runs a test against a handler that is served in memory. */
export const serving = <A, E, R, R2 = never>(
  work: LineHandler<R2> | Session.Session<string, string, R2>,
  test: Effect.Effect<A, E, R>,
  options?: Server.ServeOptions<string>
): Effect.Effect<A, unknown, Exclude<Exclude<R, Scope.Scope>, Lines> | Exclude<R2, Lines>> =>
  test.pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(Lines.serve(work as LineHandler<R2>, options), MemoryServer.layer(Lines)))
  ) as never

/** A connection that sends raw text and reads lines. */
export const peer = Lines.client

/** Sends a line without waiting for an answer; fails the test if it cannot. */
export const tell = (
  client: { readonly write: (line: string) => Effect.Effect<void, unknown> },
  ...lines: ReadonlyArray<string>
) => Effect.orDie(Effect.forEach(lines, (line) => client.write(line), { discard: true }))

/** Waits until the server has seen what happened on other connections before; its handlers may not have. */
export const settled = Effect.scoped(
  Effect.gen(function* () {
    const client = yield* Lines.rawClient
    yield* client.end
    yield* Effect.exit(client.take)
  })
)

/** The outcomes of a server that are not zero. */
export const counts: Effect.Effect<Partial<Outcome.Counts>, never, Lines> = Effect.gen(function* () {
  const server = yield* Lines
  const all = yield* server.counts
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
})

/** What a connection still sends, until its end. */
export const rest = (client: { readonly take: Effect.Effect<string, unknown> }) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    for (let i = 0; i < 100; i++) {
      const exit = yield* Effect.exit(client.take)
      if (Exit.isFailure(exit)) return lines
      lines.push(exit.value)
    }
    return lines
  })

export interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Collects what is logged instead of printing it. */
export const logs = (): readonly [entries: Array<Logged>, layer: Layer.Layer<never>] => {
  const entries: Array<Logged> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message]).filter((part) => typeof part === "string").join(" ")
    entries.push({ level: logLevel, message: text, annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return [entries, Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug"))]
}
