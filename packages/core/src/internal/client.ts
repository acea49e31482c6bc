import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Client from "../Client.ts"
import * as Connection from "../Connection.ts"
import type { Codec } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { Duplex } from "./duplex.ts"
import { Outbox } from "./outbox.ts"
import { Turn } from "./turn.ts"

/** A client over a connected wire, for as long as the scope is open. */
export const fromWire = <Send, Receive>(
  wire: Wire.Wire,
  codec: Codec<Receive, Send>
): Effect.Effect<Client.Client<Send, Receive>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const outbox = new Outbox(wire, codec, new Turn(Context.get(context, Scheduler.Scheduler)))
    const info = {
      id: ++ids,
      openedAt: Context.get(context, Clock.Clock).currentTimeMillisUnsafe(),
      inFlight: 0
    }
    const client = new TypedClient<Send, Receive>({ wire, codec, outbox, info })
    wire.start(client)
    // What was written still leaves; the wire's own scope destroys it.
    yield* Effect.addFinalizer(() => client.close)
    return client
  })

let ids = 0

class TypedClient<Send, Receive> extends Duplex<Receive, Send> implements Client.Client<Send, Receive> {
  private readonly keepsBoundaries: boolean
  private readonly turns = Semaphore.makeUnsafe(1)

  constructor(options: ConstructorParameters<typeof Duplex<Receive, Send>>[0]) {
    super(options)
    this.keepsBoundaries = options.wire.keepsBoundaries
  }

  readonly send = (request: Send): Effect.Effect<Receive, Connection.ConnectionError> => {
    const answer = Effect.catchTag(this.take, "Done", () =>
      Effect.fail(new Connection.ConnectionError({ reason: { _tag: "Closed" }, peer: this.peer }))
    )
    return this.turns.withPermits(1)(
      // From its first byte on the request counts as sent. A datagram may be lost, and then be sent again.
      Effect.onInterrupt(Effect.andThen(this.write(request), answer), () =>
        this.keepsBoundaries ? Effect.void : this.reset
      )
    )
  }

  readonly exchange = <E, R>(
    requests: Stream.Stream<Send, E, R>
  ): Stream.Stream<Receive, Connection.ConnectionError | E, R> => {
    const sending = Effect.andThen(
      Stream.runForEach(requests, (request) => this.write(request)),
      this.end
    )
    return Stream.merge(this.stream, Stream.drain(Stream.fromEffect(sending)))
  }
}
