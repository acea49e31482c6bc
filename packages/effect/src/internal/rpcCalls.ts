/** RPC as our requests: each call is one, wherever its handler runs, and Effect's server does it there. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import { CurrentConnection } from "../CurrentConnection.ts"
import { RpcCall } from "./rpcCall.ts"
import { type Call, died, type FromServer, interrupted, knocking, pong } from "./rpcMessages.ts"
import type { Side, Write } from "./rpcServing.ts"

/** Says when the handler of a call that is answered at its start has ended. */
export class Watched extends RpcMiddleware.Service<Watched>()("@socketserver/effect/internal/Watched") {}

/** The calls that are done here. */
export class Calls implements Side {
  /** A client of Effect's server is a connection of ours, for as long as that is open. */
  private readonly clients = new Map<number, Map<Call["id"], RpcCall>>()
  /** Those that send no more, and are knocked at for as long as they have calls. */
  private readonly deaf = new Set<number>()
  private notifications = 0

  readonly send = (clientId: number, response: FromServer): Effect.Effect<void> =>
    Effect.sync(() => {
      const calls = this.clients.get(clientId)
      if (response._tag === "Exit" || response._tag === "Chunk") calls?.get(response.requestId)?.offer(response)
      // It does not say what it is about.
      if (response._tag === "Defect") for (const [id, call] of calls ?? []) call.offer(died(id, response.defect))
    })

  readonly end = (): void => {}

  /** Only calls that are answered at their start are watched. */
  readonly watched: Watched["Service"] = (effect, { client, requestId }) => {
    const call = this.clients.get(client.id)?.get(requestId)
    return call?.isDiscarded === true ? call.watching(effect) : effect
  }

  /** Does calls, with Effect's server behind. */
  handler(write: Write, disconnect: (clientId: number) => void): Handler.Handler<Call, FromServer> {
    return ({ body, connection }) =>
      Effect.contextWith((context: Context.Context<never>) => {
        const calls = this.of(connection, disconnect)
        const isNotification = body.isNotification === true
        // Effect's server says of a notification neither that it has ended nor how: it does a call, which is not answered.
        const id = isNotification ? `notification ${++this.notifications}` : body.id
        if (calls.has(id)) {
          return Effect.succeed(Response.withOutcome(Response.empty, Outcome.malformed(0, "a call has its id already")))
        }
        const call = new RpcCall({
          call: isNotification ? called(body, id) : body,
          isNotification,
          controls: Remote.controlsOf(context),
          write: (message) => write(connection.id, message),
          context: Context.add(context, CurrentConnection, connection),
          onDeaf: () => this.knock(connection, calls, context),
          onEnd: () => calls.delete(id)
        })
        if (call.wasInterrupted) return Effect.succeed(call.answer(interrupted(id)))
        calls.set(id, call)
        return call.begin
      })
  }

  private knock(
    connection: Connection.Ref<FromServer>,
    calls: ReadonlyMap<Call["id"], RpcCall>,
    context: Context.Context<never>
  ): void {
    if (connection.kind === "datagram" || this.deaf.has(connection.id)) return
    this.deaf.add(connection.id)
    const say = Effect.suspend(() => (calls.size === 0 ? Effect.interrupt : Effect.ignore(connection.push(pong))))
    Effect.runForkWith(context)(knocking(say)).addObserver(() => this.deaf.delete(connection.id))
  }

  private of(connection: Connection.Ref<FromServer>, disconnect: (clientId: number) => void): Map<Call["id"], RpcCall> {
    const known = this.clients.get(connection.id)
    if (known !== undefined) return known
    const calls = new Map<Call["id"], RpcCall>()
    this.clients.set(connection.id, calls)
    Remote.onEnd(connection as Connection.Ref<never>, () =>
      Effect.sync(() => {
        this.clients.delete(connection.id)
        disconnect(connection.id)
      })
    )
    return calls
  }
}

const called = ({ isNotification: _, ...call }: Call, id: Call["id"]): Call => ({ ...call, id })
