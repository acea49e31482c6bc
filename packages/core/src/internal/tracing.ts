/** A span for each request, which ends as the request does. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type * as Handler from "../Handler.ts"
import type * as Middleware from "../Middleware.ts"
import * as Outcome from "../Outcome.ts"
import type * as Request from "../Request.ts"
import * as Response from "../Response.ts"
import { CurrentServer } from "./context.ts"
import { CurrentRequest, onOutcome } from "./incoming.ts"

/** A handler whose requests have a span each. */
export const traced =
  <In, Out, R>(
    handler: Handler.Handler<In, Out, R>,
    options: Middleware.TracedOptions<In> | undefined
  ): Handler.Handler<In, Out, R> =>
  (request) =>
    Effect.withFiber((fiber) =>
      Effect.flatMap(spanOf(request, fiber, options), (span) => {
        const clock = fiber.getRef(Clock.Clock)
        const end = (outcome: Outcome.Outcome) => {
          span.attribute("socketserver.outcome", outcome._tag)
          const exit = exitOf(outcome)
          if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) span.attribute("error.type", outcome._tag)
          span.end(clock.currentTimeNanosUnsafe(), exit)
        }
        const isTold = onOutcome(fiber.getRef(CurrentRequest), end)
        const handled = Effect.map(
          Effect.withParentSpan(
            Effect.suspend(() => handler(request)),
            span
          ),
          (response) => within(response, span)
        )
        // A handler that is called as a function has no server that knows how its request ends.
        return isTold ? handled : Effect.onExit(handled, (exit) => Effect.sync(() => end(outcomeOf(exit))))
      })
    )

const spanOf = <In>(
  request: Request.Request<In>,
  fiber: Fiber.Fiber<unknown, unknown>,
  options: Middleware.TracedOptions<In> | undefined
): Effect.Effect<Tracer.Span> => {
  const { name, parent } = options ?? {}
  const server = fiber.getRef(CurrentServer) as { readonly service: string } | undefined
  const asked = parent?.(request)
  const above = typeof asked === "string" ? parentOf(asked) : asked
  return Effect.makeSpan(typeof name === "function" ? name(request) : (name ?? server?.service ?? "request"), {
    kind: "server",
    parent: above,
    // What the server was built in is no part of the trace.
    root: above === undefined,
    attributes: { ...attributesOf(request), ...options?.attributes?.(request) }
  })
}

/** What a stream does while it is sent belongs to its request. */
const within = <Out>(response: Response.Response<Out>, span: Tracer.Span): Response.Response<Out> => {
  if (response?._tag !== "Streamed") return response
  const value = Stream.provideService(response.value, Tracer.ParentSpan, span)
  const streamed = response.close ? Response.andClose(Response.stream(value)) : Response.stream(value)
  return response.outcome === undefined ? streamed : Response.withOutcome(streamed, response.outcome)
}

/** As OpenTelemetry calls them. */
const attributesOf = ({ connection, id, peer }: Request.Request<unknown>): Record<string, unknown> => {
  const { listener } = connection
  const { address } = peer
  const isNet = "host" in listener
  return {
    "network.transport": transports[peer.transport] ?? peer.transport,
    "network.peer.address": address === undefined || !("port" in address) ? peer.name : String(address.address),
    ...(address !== undefined && "port" in address && { "network.peer.port": address.port }),
    "server.address": isNet ? listener.host : String(listener),
    ...(isNet && { "server.port": listener.port }),
    "socketserver.connection.id": connection.id,
    "socketserver.request.id": id
  }
}

const transports: { readonly [transport: string]: string } = { tls: "tcp", unixgram: "unix" }

/** How a span ends with which outcome. Who has left, or was cut off by a stop, is no error of the server. */
const exitOf = (outcome: Outcome.Outcome): Exit.Exit<unknown, unknown> => {
  switch (outcome._tag) {
    case "Completed":
      return Exit.void
    case "Cancelled":
    case "Drained":
      return Exit.interrupt()
    case "Failed":
      return Exit.failCause(outcome.cause)
    default:
      return Exit.fail(new Error(Outcome.describe(outcome)))
  }
}

const outcomeOf = (exit: Exit.Exit<Response.Response<unknown>>): Outcome.Outcome =>
  Exit.isSuccess(exit)
    ? (exit.value?.outcome ?? Outcome.completed)
    : Cause.hasInterruptsOnly(exit.cause)
      ? Outcome.cancelled("ConnectionClosed")
      : Outcome.failed(exit.cause)

/** The parent that a `traceparent` of W3C Trace Context names. What is none names nobody. */
const parentOf = (traceparent: string): Tracer.ExternalSpan | undefined => {
  const [, version, traceId, spanId, flags, more] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent.slice(0, 256)) ?? []
  if (traceId === undefined || spanId === undefined || version === "ff") return undefined
  // Later versions may say more.
  if (version === "00" && more !== undefined) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags ?? "", 16) & 1) === 1 })
}
