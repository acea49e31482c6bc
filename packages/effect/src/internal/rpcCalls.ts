/** RPC as our requests: each call is one, wherever its handler runs, and Effect's server does it there. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { CurrentConnection } from "../CurrentConnection.ts"
import { type Client, RpcCall, type Run } from "./rpcCall.ts"
import { type Call, died, discarded, type FromServer, interrupted, knocking, pong } from "./rpcMessages.ts"
import type { Side, Watched, Write } from "./rpcServing.ts"

/** The calls that are done here. */
export class Calls implements Side {
  /** A client of Effect's server is a connection of ours, for as long as that is open. */
  private readonly clients = new Map<number, Client>()
  /** Those that send no more, and are knocked at for as long as they have calls. */
  private readonly deaf = new Set<number>()
  private notifications = 0

  readonly send = (clientId: number, response: FromServer): Effect.Effect<void> => {
    const calls = this.clients.get(clientId)?.calls
    if (response._tag !== "Exit") return Effect.sync(() => said(calls, response))
    // Nothing of it waits to be run: most calls end at once.
    calls?.get(response.requestId)?.offer(response)
    return Effect.void
  }

  readonly end = (): void => {}

  readonly watched: Watched["Service"] = (effect, { client, requestId }) => {
    const call = this.clients.get(client.id)?.calls.get(requestId)
    return call === undefined ? effect : call.watching(effect)
  }

  /** Does calls, with Effect's server behind. */
  handler(write: Write, disconnect: (clientId: number) => void): Handler.Handler<Call, FromServer> {
    const open = (connection: Connection.Ref<FromServer>) => this.open(connection, write, disconnect)
    return (request) => {
      const { connection } = request
      const known = this.clients.get(connection.id)
      // A worker's is not the server's own: its context says whose it is, and may be another for each.
      if (known?.run !== undefined && Remote.isOwn(request)) return this.begin(request, request, known, known.run)
      return Effect.contextWith((context: Context.Context<never>) => {
        const client = this.clients.get(connection.id) ?? open(connection)
        const services = Context.add(Remote.withoutRequest(context), CurrentConnection, connection)
        const run = Effect.runForkWith(services)
        // The same for all of its calls: Effect's server keeps what it makes of it.
        client.run ??= run
        return this.begin(request, Remote.requestOf(context) ?? request, client, run)
      })
    }
  }

  private begin(
    { body }: Request.Request<Call, FromServer>,
    own: object,
    client: Client,
    run: Run
  ): Effect.Effect<Response.Response<FromServer>> {
    const isNotification = body.isNotification === true
    const id = isNotification ? `notification ${++this.notifications}` : body.id
    if (client.calls.has(id)) {
      return Exit.succeed(Response.withOutcome(Response.empty, Outcome.malformed(0, "a call has its id already")))
    }
    const call = new RpcCall(isNotification ? discarded(body, id) : body, isNotification, own, client, run)
    return call.wasInterrupted ? Exit.succeed(call.answer(interrupted(id))) : call.begin()
  }

  private open(connection: Connection.Ref<FromServer>, write: Write, disconnect: (clientId: number) => void): Client {
    const { id } = connection
    const client: Client = {
      calls: new Map(),
      isOpen: true,
      run: undefined,
      write: (message) => write(id, message),
      onDeaf: (run) => this.knock(connection, client, run)
    }
    this.clients.set(id, client)
    Remote.onEnd(connection as Connection.Ref<never>, () =>
      Effect.sync(() => {
        this.clients.delete(id)
        client.isOpen = false
        disconnect(id)
      })
    )
    return client
  }

  private knock(connection: Connection.Ref<FromServer>, { calls }: Client, run: Run): void {
    if (connection.kind === "datagram" || this.deaf.has(connection.id)) return
    this.deaf.add(connection.id)
    const say = Effect.suspend(() => (calls.size === 0 ? Effect.interrupt : Effect.ignore(connection.push(pong))))
    run(knocking(say)).addObserver(() => this.deaf.delete(connection.id))
  }
}

/** Of a defect it is not said what it is about. */
const said = (calls: Client["calls"] | undefined, response: FromServer): void => {
  if (response._tag === "Chunk") calls?.get(response.requestId)?.offer(response)
  if (response._tag === "Defect") for (const [id, call] of calls ?? []) call.offer(died(id, response.defect))
}
