/**
 * The connection that what runs on a bridge came on: for RPC handlers, and others
 * behind a `SocketServer`, that want to know their peer, its certificate, or the
 * listener.
 *
 * `SocketBridge` and `RpcBridge` provide it around the handler of each connection.
 * HTTP handlers ask `HttpBridge.connection`.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import * as Context from "effect/Context"

/**
 * The connection of the current handler: who the peer is, over which listener it
 * came, what TLS has agreed on, and what ends it, once something does. `undefined`
 * elsewhere, so that a handler that asks for it needs nothing more.
 *
 * **Example** (Answering with who asks)
 *
 * ```ts
 * import { CurrentConnection } from "@socketserver/effect"
 * import { Effect } from "effect"
 *
 * const whoAmI = Effect.map(CurrentConnection.CurrentConnection, (connection) =>
 *   connection === undefined ? "nobody" : `${connection.peer.name} over ${connection.listener}`
 * )
 *
 * await Effect.runPromise(whoAmI) // => "nobody"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentConnection: Context.Reference<Connection.Info | undefined> = Context.Reference<
  Connection.Info | undefined
>("@socketserver/effect/CurrentConnection", { defaultValue: () => undefined })
