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
import * as body from "./spawn.ts"
import { encode } from "../channel/crossing.ts"
import { ConnectionJob, ConnectJob, RequestJob } from "./calls.ts"
import type { PoolOptions } from "./options.ts"
import { Pool } from "./pool.ts"
import { programOf } from "./program.ts"
import type { Role } from "../child/role.ts"

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
    const options = protocol.kind === "connection" ? { ...chosen, hasClaims: false, ahead: 0 } : chosen
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
      pinned: hook !== undefined,
      start: () => body.start(program, role, options),
      context: yield* Effect.context<never>()
    })
    yield* Effect.addFinalizer(() => pool.close)
    yield* pool.open
    const standIn = (
      protocol.kind === "connection" ? connections(pool) : messages(pool, duplex.client as Codec<Out, In>)
    ) as Handler.Handler<In, Out>
    return hook === undefined ? standIn : Remote.withOnConnect(standIn, connecting(pool))
  })

/** Loaded where it is asked for. */
const bundle = (entry: string): Effect.Effect<string, string> =>
  Effect.flatMap(
    Effect.promise(() => import("./bundle.ts")),
    ({ bundled }) => bundled(entry)
  )

/** Sends the message of each request to a worker. */
const messages =
  <In, Out>(pool: Pool, codec: Codec<Out, In>): Handler.Handler<In, Out> =>
  (request: Request.Request<In, Out>) => {
    const encoded = encode(codec as Codec<never, In>, request.body)
    if (Result.isFailure(encoded)) {
      return Effect.die(new Error(`The request cannot cross to a worker: ${encoded.failure}`))
    }
    return Effect.contextWith((context) =>
      Effect.callback<Response.Response<Out>>((resume) => {
        const job = new RequestJob<Out>({
          request,
          context,
          message: encoded.success,
          codec: codec as Codec<Out, never>,
          resume,
          cancel: (job) => pool.cancel(job),
          atEnd: (f) => pool.atEnd(request.connection, f)
        })
        pool.submit(job)
        return Effect.sync(() => pool.cancel(job))
      })
    )
  }

/** Passes the bytes of each connection to a worker, and back. */
const connections =
  (pool: Pool) =>
  (request: Request.Request<object>): Effect.Effect<Response.Response<never>> => {
    // Asked for at once, before anything is decoded.
    const relay = Remote.relay(request.body)
    return Effect.contextWith((context) => {
      const job = new ConnectionJob(request, relay, context)
      pool.submit(job)
      return Effect.onInterrupt(job.pass, () => Effect.sync(() => pool.cancel(job)))
    })
  }

/** Lets a worker set a connection up. */
const connecting =
  (pool: Pool) =>
  (connection: Connection.Ref<never>): Effect.Effect<void> =>
    Effect.contextWith((context) =>
      Effect.callback<void>((resume) => {
        const job = new ConnectJob(connection, context, resume)
        pool.connect(job)
        return Effect.sync(() => pool.cancel(job))
      })
    )
