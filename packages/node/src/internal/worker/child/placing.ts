/** What stands for a handler in a worker: it runs with the request that the parent has, and its answer goes there. */
import type { Served } from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import type * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { setUpKind } from "../channel/calls.ts"
import type { Call, Encode } from "./call.ts"

/** What it asks its host, where `Begun` is a call of it that has begun. */
interface Host<Begun extends { readonly call: Call }> {
  readonly encode: Encode
  readonly begunOf: (id: number) => Begun | undefined
  /** A handler is about to see a request. */
  readonly onRequest: () => void
  /** The set-up of a connection is complete. */
  readonly onConnected: (begun: Begun) => void
  /** A call and everything of it has ended. */
  readonly onFree: (call: Call) => void
}

type Anything = Served<unknown, unknown, unknown>

export const placing = <Begun extends { readonly call: Call }>(served: Anything, host: Host<Begun>): Anything => {
  const { encode } = host
  const handler: Anything["handler"] = (request: Request.Request<unknown, unknown>) => {
    const { call } = host.begunOf(request.connection.id) as Begun
    call.place()
    Remote.onEnd(request.connection, () => Effect.sync(() => host.onFree(call)))
    host.onRequest()
    const { facts, ref } = call
    const effect: Effect.Effect<Response.Response<unknown>, never, unknown> = served.handler({
      id: facts.request,
      body: request.body,
      peer: ref.peer,
      receivedAt: facts.receivedAt,
      connection: ref
    })
    // An answer that is there already needs no fiber.
    if (Exit.isExit(effect) && Exit.isSuccess(effect)) {
      return call.answer(encode, effect.value as Response.Response<unknown>)
    }
    return Effect.flatMap(call.within(effect), (response) => call.answer(encode, response))
  }
  const { onConnect } = served
  if (onConnect === undefined) return { handler, onConnect }
  const setUp: typeof onConnect = (connection) => {
    const begun = host.begunOf(connection.id)
    if (begun?.call.kind !== setUpKind) return Effect.void
    const { call } = begun
    call.place()
    Remote.onEnd(connection, () => Effect.sync(() => host.onFree(call)))
    return Effect.onExit(call.within(onConnect(call.ref)), (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) host.onConnected(begun)
      })
    )
  }
  return { handler, onConnect: setUp }
}
