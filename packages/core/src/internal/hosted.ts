import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { ConnectFailed } from "../Connection.ts"
import * as Endpoint from "../Endpoint.ts"
import type * as Remote from "../Remote.ts"
import type * as Server from "../Server.ts"
import { ServerError } from "../ServerError.ts"
import type { ServerOptions } from "../Transport.ts"
import { controlOf, type Resolve } from "./control.ts"
import { Engine } from "./engine.ts"
import { resolve, unwatched } from "./limits.ts"
import { declarationOf, makeServer } from "./face.ts"

/**
 * A server in a worker. It binds nothing: the one that the worker runs the
 * handler of takes its requests from the host, any other gets none.
 */
export const hosted = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: ServerOptions,
  host: Remote.Host
): Effect.Effect<Server.Server<In, Out>, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    // Whoever sends the requests has counted them, and watches the peers.
    const largest = tag.protocol.server.maxFrameBytes
    const unlimited: Resolve = (options) =>
      Result.map(resolve(options, largest), (limits) =>
        unwatched({ ...limits, maxConnections: Infinity, maxMemory: Infinity, placeMillis: longestMillis })
      )
    const limits = yield* Effect.mapError(
      Effect.fromResult(unlimited(options)),
      (reason) => new ServerError({ reason })
    )
    const engine = new Engine<In, Out>({
      service: tag.key,
      declaration: declarationOf(tag),
      protocol: tag.protocol,
      limits,
      services: yield* Effect.context<never>()
    })
    const mine = tag.key === host.service
    const address = mine
      ? Result.getOrElse(Endpoint.parse(host.address), () => Endpoint.memory(tag.key))
      : Endpoint.memory(tag.key)
    const cause = new Error("it does not listen in a worker")
    const connect = Effect.fail(new ConnectFailed({ endpoint: String(address), kind: "Refused", cause }))
    const listening = { address, close: () => {}, connect }
    engine.open([listening])
    engine.context.log.silent = true
    if (mine) {
      host.open({
        accept: (wire, id) => engine.gate.admitting.connection(wire, id),
        stop: (id) => {
          if (tag.protocol.atStop === "told") engine.stop.tell()
          engine.gate.connections.get(id)?.stop()
        },
        observe: (observer) => void engine.context.ledger.observers.add(observer),
        stopping: Effect.map(engine.stop.began, () => (engine.stop.hasFailed ? "failed" : "asked"))
      })
    }
    yield* Effect.addFinalizer(() => engine.stop.shutdown)
    return makeServer(engine, [listening], controlOf(engine, options, unlimited))
  })

// A timer takes no longer time. The parent has counted, and waits itself.
const longestMillis = 2 ** 31 - 1
