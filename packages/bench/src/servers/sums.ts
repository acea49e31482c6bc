/** What the servers of RPC have in common: a group of one call. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"

export class Sums extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number })
) {}

export const SumsLive = Sums.toLayer({ Add: ({ a, b }) => Effect.succeed(a + b) })

/** Spans cost each the same: they are not what is shown. */
export const options = { disableTracing: true }
