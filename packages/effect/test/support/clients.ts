/** Effect's own RPC client, over whatever a test has. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Server from "@socketserver/core/Server"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import { Calls } from "./calls.ts"

type Bytes = Connection.Connection<Uint8Array, Uint8Array>

const failed = (reason: ConstructorParameters<typeof Socket.SocketError>[0]["reason"]) =>
  new Socket.SocketError({ reason })

/** A socket over connections of ours, which dials once. */
export const socketOf = (connect: Effect.Effect<Bytes, unknown, Scope.Scope>): Effect.Effect<Socket.Socket> =>
  Effect.sync(() => {
    let current: Bytes | undefined
    const opened = Latch.makeUnsafe(false)
    const utf8 = new TextEncoder()
    const send = (chunk: Uint8Array | string | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> => {
      const connection = current
      if (connection === undefined) return opened.whenOpen(Effect.suspend(() => send(chunk)))
      if (Socket.isCloseEvent(chunk)) return connection.close
      return Effect.mapError(connection.write(typeof chunk === "string" ? utf8.encode(chunk) : chunk), (cause) =>
        failed(new Socket.SocketWriteError({ cause }))
      )
    }
    return Socket.make({
      reader: Effect.gen(function* () {
        const connection = yield* Effect.mapError(connect, (cause) =>
          failed(new Socket.SocketOpenError({ kind: "Unknown", cause }))
        )
        current = connection
        yield* Effect.addFinalizer(() => connection.close)
        opened.openUnsafe()
        return {
          pull: Effect.mapError(connection.pull, () => failed(new Socket.SocketCloseError({ code: 1_000 }))),
          upgrade: () => Effect.void
        }
      }),
      writer: Effect.succeed({ write: send, writeAll: (chunks) => Effect.forEach(chunks, send, { discard: true }) })
    })
  })

/** A server of a test, whatever it was declared with. */
export interface Playable {
  readonly key: string
  readonly protocol: { readonly kind: string }
}

/** Serves it, and connects to it by bytes. */
export const served = <Tag extends Playable>(
  tag: Tag,
  live: Layer.Layer<never, unknown, never>,
  place: (tag: Server.Tag<never, never, never>) => Layer.Layer<never, unknown>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Layer.provideMerge(live, place(tag as never)))
    const server = Context.get(context as never, tag as never) as Server.Server<never, never>
    const { rawClient } = tag as unknown as { readonly rawClient: Effect.Effect<Bytes, unknown, Scope.Scope> }
    return {
      server,
      raw: Effect.orDie(Effect.provideContext(rawClient, context as never)) as Effect.Effect<Bytes, never, Scope.Scope>
    }
  })

/** A client that is connected as long as the scope is open. */
export const clientOver = (
  socket: Effect.Effect<Socket.Socket>,
  serialization: Layer.Layer<RpcSerialization.RpcSerialization> = RpcSerialization.layerNdjson,
  options: Parameters<typeof RpcClient.layerProtocolSocket>[0] = {}
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      RpcClient.layerProtocolSocket({ retryTransientErrors: false, ...options }).pipe(
        Layer.provide(Layer.effect(Socket.Socket)(socket)),
        Layer.provide(serialization)
      )
    )
    return yield* Effect.provideContext(RpcClient.make(Calls), context)
  })
