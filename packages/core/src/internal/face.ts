import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as Control from "../Control.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Server from "../Server.ts"
import { DeclaredTwice, ServerError } from "../ServerError.ts"
import type { Listening } from "../Transport.ts"
import type { Engine } from "./engine.ts"

const engineKey = Symbol.for("@socketserver/core/Server/engine")
const listeningKey = Symbol.for("@socketserver/core/Server/listening")

/** The public face of an engine. */
export const makeServer = <In, Out>(
  engine: Engine<In, Out>,
  listeners: readonly [Listening, ...Array<Listening>],
  control: Control.Control
): Server.Server<In, Out> => {
  const [listening, ...others] = listeners
  const server: Server.Server<In, Out> = {
    address: listening.address,
    addresses: [listening.address, ...others.map(({ address }) => address)],
    protocol: engine.context.protocol,
    requests: engine.intake.requests,
    // A sender of datagrams is there between them, too.
    connections: Effect.sync(() => [
      ...new Set([...engine.gate.connections.inOrder().map(({ ref }) => ref), ...engine.senders.all])
    ]),
    counts: Effect.sync(() => ({ ...engine.context.ledger.counts })),
    refusals: Effect.sync(() => ({ ...engine.context.ledger.refusals })),
    begun: Effect.sync(() => engine.context.requestsBegun),
    timeouts: Effect.sync(() => ({ ...engine.context.ledger.timeouts })),
    outcomes: Stream.callback<Outcome.Event>(
      (queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const observer = (event: Outcome.Event) => Queue.offerUnsafe(queue, event)
            engine.context.ledger.observers.add(observer)
            return observer
          }),
          (observer) => Effect.sync(() => engine.context.ledger.observers.delete(observer))
        ),
      { bufferSize: 4_096, strategy: "sliding" }
    ),
    shutdown: engine.stop.shutdown,
    stopping: engine.stop.told,
    isReady: Effect.sync(() => engine.readiness.isReady),
    isLeaving: Effect.sync(() => engine.readiness.isLeaving),
    control
  }
  return Object.assign(server, { [engineKey]: engine, [listeningKey]: listening })
}

/** What tells a declaration from another one with the same key, and is the same for each class that extends it. */
export const declarationOf = (tag: { readonly policy: object }): object => tag.policy

/** The engine of a declared server, unless what was placed under its key is another declaration. */
export const engineFor = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>
): Effect.Effect<Engine<In, Out>, ServerError, Self> =>
  Effect.flatMap(tag, (server) => {
    const engine = engineOf(server)
    return engine.declaration === declarationOf(tag)
      ? Effect.succeed(engine)
      : Effect.fail(new ServerError({ reason: new DeclaredTwice({ service: tag.key }) }))
  })

export const engineOf = <In, Out>(server: Server.Server<In, Out>): Engine<In, Out> =>
  (server as never as { readonly [engineKey]: Engine<In, Out> })[engineKey]

export const listeningOf = (server: object): Listening =>
  (server as { readonly [listeningKey]: Listening })[listeningKey]
