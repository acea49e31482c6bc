/** From a handler to what stands in for it: makes the pool of a server, and a call of each request, connection or set-up. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import type { Placement } from "@socketserver/core/Policy"
import type { Codec, Duplex } from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import type * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { encode } from "../channel/crossing.ts"
import type { Role } from "../channel/given.ts"
import { platformTick } from "../channel/platformTick.ts"
import { ConnectionCall } from "./connectionCall.ts"
import type { PoolOptions } from "./options.ts"
import { Pool } from "./pool.ts"
import { programOf } from "./program.ts"
import { RequestCall } from "./requestCall.ts"
import { SetUpCall } from "./setUpCall.ts"
import { spawnChild } from "./spawn.ts"

/** Starts workers for a server, and returns what stands in for its handler. Fails with what is in the way. */
export const place = <In, Out, R>(
  handler: Handler.Handler<In, Out, R>,
  server: Placement<In, Out>,
  chosen: PoolOptions
): Effect.Effect<Handler.Handler<In, Out, R>, string, Scope.Scope> =>
  Effect.gen(function* () {
    const { protocol } = server
    if (!("client" in protocol)) {
      return yield* Effect.fail(
        `the protocol ${protocol.name} has no client's side, which requests need to cross to a worker. Make it with Protocol.make, or serve it in process`
      )
    }
    // The bytes of a whole connection flow to who has it: it cannot be taken back.
    const options = protocol.kind === "connection" ? { ...chosen, hasClaims: false, prefetch: 0 } : chosen
    const duplex = protocol as Duplex<In, Out, unknown, unknown>
    const hook = Remote.onConnect(handler)
    if (hook !== undefined && !chosen.fixed) {
      return yield* Effect.fail(
        "Handler.perConnection keeps state for each connection, and a process for each request has none to keep it in. Take process:N or thread:N, which give each connection to one worker, or PREFORK"
      )
    }
    const found = yield* Effect.fromResult(programOf(options.entry))
    const program = options.bundle ? { ...found, entry: yield* bundle(found.entry) } : found
    const { graceMillis, kind } = options
    const role: Role = { service: server.service, kind, address: server.address, graceMillis, each: options.each }
    const pool = new Pool(options, {
      service: server.service,
      codec: duplex.client as Codec<unknown, never>,
      shutdown: server.shutdown,
      sticky: hook !== undefined,
      start: () => spawnChild(program, role, options),
      context: yield* Effect.context<never>(),
      tick: platformTick
    })
    yield* Effect.addFinalizer(() => pool.close)
    yield* pool.open
    const standIn = (
      protocol.kind === "connection" ? relaying(pool) : messaging(pool, duplex.client as Codec<Out, In>)
    ) as Handler.Handler<In, Out>
    return hook === undefined ? standIn : Remote.withOnConnect(standIn, settingUp(pool))
  })

/** Loaded where it is asked for. */
const bundle = (entry: string): Effect.Effect<string, string> =>
  Effect.flatMap(
    Effect.promise(() => import("./bundle.ts")),
    ({ bundled }) => bundled(entry)
  )

/** Sends the message of each request to a worker. */
const messaging =
  <In, Out>(pool: Pool, codec: Codec<Out, In>): Handler.Handler<In, Out> =>
  (request: Request.Request<In, Out>) => {
    const encoded = encode(codec as Codec<never, In>, request.body)
    if (Result.isFailure(encoded)) {
      return Effect.die(new Error(`The request cannot cross to a worker: ${encoded.failure}`))
    }
    return Effect.contextWith((context) =>
      Effect.callback<Response.Response<Out>>((resume) => {
        const call = new RequestCall<Out>({
          request,
          context,
          message: encoded.success,
          codec: codec as Codec<Out, never>,
          resume,
          cancel: (call) => pool.cancel(call),
          atEnd: (f) => pool.atEnd(request.connection, f)
        })
        pool.submit(call)
        return Effect.sync(() => pool.cancel(call))
      })
    )
  }

/** Passes the bytes of each connection to a worker, and back. */
const relaying =
  (pool: Pool) =>
  (request: Request.Request<object>): Effect.Effect<Response.Response<never>> => {
    // Asked for at once, before anything is decoded.
    const relay = Remote.relay(request.body)
    return Effect.contextWith((context) => {
      const call = new ConnectionCall(request, relay, context)
      pool.submit(call)
      return Effect.onInterrupt(call.pass, () => Effect.sync(() => pool.cancel(call)))
    })
  }

/** Lets a worker set a connection up. */
const settingUp =
  (pool: Pool) =>
  (connection: Connection.Ref<never>): Effect.Effect<void> =>
    Effect.contextWith((context) =>
      Effect.callback<void>((resume) => {
        const call = new SetUpCall(connection, context, resume)
        pool.setUp(call)
        return Effect.sync(() => pool.cancel(call))
      })
    )
