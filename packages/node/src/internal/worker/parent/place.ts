/** From a handler to what stands in for it: makes the pool of a server, and a call of each request, connection or set-up. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import type { Placement, Served } from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import type * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Role } from "../channel/given.ts"
import type { Tick } from "../channel/tick.ts"
import type { Child } from "./child.ts"
import { tickOf } from "./clockTick.ts"
import { ConnectionCall } from "./connectionCall.ts"
import type { PoolOptions } from "./options.ts"
import { Pool } from "./pool.ts"
import { programOf } from "./program.ts"
import { RequestCall } from "./requestCall.ts"
import { SetUpCall } from "./setUpCall.ts"
import { Starter } from "./spawn.ts"

/** Starts workers for a server, and returns what stands in for what it serves. Fails with what is in the way. */
export const place = <In, Out, R>(
  served: Served<In, Out, R>,
  server: Placement<In, Out>,
  options: PoolOptions
): Effect.Effect<Served<In, Out, R>, string, Scope.Scope> =>
  Effect.gen(function* () {
    if (served.onConnect !== undefined && !options.fixed) {
      return yield* Effect.fail(
        "a Session keeps state for each connection, and a process for each request has none to keep it in; take pool or thread, which give each connection to one worker, or PREFORK"
      )
    }
    const found = yield* Effect.fromResult(programOf(options.entry))
    const program = options.bundle ? { ...found, entry: yield* bundle(found.entry) } : found
    const tick = tickOf(yield* Effect.context<never>())
    const start = yield* Starter
    return yield* placeOn(served, server, options, tick, (role) => start(program, role, options))
  })

/** Has a server served by workers, however they are started: a simulation's are not programs of their own. */
export const placeOn = <In, Out, R>(
  served: Served<In, Out, R>,
  server: Placement<In, Out>,
  options: PoolOptions,
  tick: Tick,
  start: (role: Role) => Child,
  /** Who wants to look into the pool. */
  onPool: (pool: Pool) => void = () => {}
): Effect.Effect<Served<In, Out, R>, string, Scope.Scope> =>
  Effect.gen(function* () {
    const { graceMillis, kind } = options
    const { protocol } = server
    const hasSessions = served.onConnect !== undefined
    const { each, windowBytes } = options
    const role: Role = { service: server.service, kind, address: server.address, graceMillis, each, windowBytes }
    const pool = new Pool(options, {
      service: server.service,
      shutdown: server.shutdown,
      unreleased: server.unreleased,
      sticky: hasSessions,
      start: () => start(role),
      context: yield* Effect.context<never>(),
      tick
    })
    onPool(pool)
    yield* Effect.addFinalizer(() => pool.close)
    yield* pool.open
    const handler = protocol.kind === "connection" ? relaying(pool, windowBytes) : messaging<In, Out>(pool, windowBytes)
    return {
      // Where each connection has its worker, those of one that is stuck must not keep out those of others.
      room: hasSessions ? undefined : pool.room,
      handler: handler as Handler.Handler<In, Out>,
      onConnect: hasSessions ? (settingUp(pool) as NonNullable<typeof served.onConnect>) : undefined
    }
  })

/** Loaded where it is asked for. */
const bundle = (entry: string): Effect.Effect<string, string> =>
  Effect.flatMap(
    Effect.promise(() => import("./bundle.ts")),
    ({ bundled }) => bundled(entry)
  )

/** Sends each request to a worker, as it was received. */
const messaging =
  <In, Out>(pool: Pool, windowBytes: number | undefined): Handler.Handler<In, Out> =>
  (request: Request.Request<In, Out>) =>
    Effect.contextWith((context) =>
      Effect.callback<Response.Response<Out>>((resume) => {
        const call = new RequestCall<Out>({
          request,
          context,
          payload: Remote.payloadOf(request),
          windowBytes,
          resume,
          cancel: (call) => pool.cancel(call),
          atEnd: (f) => pool.atEnd(request.connection, f)
        })
        pool.submit(call)
        return Effect.sync(() => pool.cancel(call))
      })
    )

/** Passes the bytes of each connection to a worker, and back. */
const relaying =
  (pool: Pool, windowBytes: number | undefined) =>
  (request: Request.Request<object>): Effect.Effect<Response.Response<never>> => {
    // Asked for at once, before anything is decoded.
    const relay = Remote.relay(request.body)
    return Effect.contextWith((context) => {
      const call = new ConnectionCall(request, relay, context, windowBytes)
      pool.submit(call)
      return Effect.onInterrupt(call.pass, () => Effect.sync(() => pool.cancel(call)))
    })
  }

/** Lets a worker set a connection up. */
const settingUp =
  (pool: Pool) =>
  (connection: Connection.Ref<never>): Effect.Effect<void, Outcome.Refused> =>
    Effect.contextWith((context) =>
      Effect.callback<void, Outcome.Refused>((resume) => {
        const call = new SetUpCall(connection, context, resume)
        pool.setUp(call)
        return Effect.sync(() => pool.cancel(call))
      })
    )
