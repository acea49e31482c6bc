/** What can be called, for the server and for its clients. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export class Api extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  /** From 1 on. */
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("WhoAmI", { success: Schema.Struct({ peer: Schema.String, worker: Schema.String }) }),
  /** Ends the process that it runs in: under `pool`, a worker. */
  Rpc.make("Crash")
) {}
