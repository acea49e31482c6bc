/** Effect's own RPC server, fed by us: what both ways of serving a group have in common. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type { Call, Control, FromServer } from "./rpcMessages.ts"

/** Says when the handler of a call runs, and has ended: of one that is answered at its start, Effect's server does not. */
export class Watched extends RpcMiddleware.Service<Watched>()("@socketserver/effect/internal/Watched") {}

/** What is passed to Effect's server as it is. */
export interface RpcOptions {
  readonly disableTracing?: boolean | undefined
  readonly spanPrefix?: string | undefined
  readonly spanAttributes?: Record<string, unknown> | undefined
  readonly disableFatalDefects?: boolean | undefined
  readonly concurrency?: number | "unbounded" | undefined
}

/** A message of a client, to Effect's server. */
export type Write = (clientId: number, message: Call | Control) => Effect.Effect<void>

/** What Effect's server says. */
export interface Side {
  /** Around the handler of each call. */
  readonly watched: Watched["Service"]
  readonly send: (clientId: number, response: FromServer) => Effect.Effect<void>
  /** All calls of a client that has sent its last are over. */
  readonly end: (clientId: number) => void
}

/** Runs Effect's server in the current scope: how it is fed, and told that a client is gone. */
export const running = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: RpcOptions,
  sideOf: (write: Write) => Side
) =>
  Effect.gen(function* () {
    const disconnects = yield* Queue.make<number>()
    let write!: Write
    let watched!: Watched["Service"]
    const protocol = yield* RpcServer.Protocol.make((given) => {
      write = given
      const side = sideOf(given)
      const { end, send } = side
      watched = side.watched
      return Effect.succeed({
        disconnects,
        send,
        end: (clientId: number) => Effect.sync(() => end(clientId)),
        clientIds: Effect.succeed<ReadonlySet<number>>(new Set()),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true,
        supportsNotifications: true,
        codecFor: RpcSerialization.ndjson.codecFor
      })
    })
    const server = RpcServer.make(group.middleware(Watched), options).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.provideService(Watched, watched)
    )
    yield* Effect.forkScoped(server, { startImmediately: true })
    return { write, disconnect: (clientId: number) => void Queue.offerUnsafe(disconnects, clientId) }
  })
