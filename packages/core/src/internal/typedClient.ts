import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Client from "../Client.ts"
import type * as Connection from "../Connection.ts"
import type { Protocol } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { type Answered, Answers, idOf } from "./answers.ts"
import { Outbox } from "./outbox.ts"
import { CurrentRegistry } from "./registry.ts"
import { requestSide } from "./requestSide.ts"
import { Tick } from "./tick.ts"
import { TypedConnection } from "./typedConnection.ts"

/** How many requests a client may have sent that are not answered. */
export const MaxInFlight: Context.Reference<number> = Context.Reference<number>(
  "@socketserver/core/Client/MaxInFlight",
  { defaultValue: () => 1_024 }
)

/** A client over a connected wire, for as long as the scope is open. */
export const fromWire = <In, Out, Send, Receive>(
  wire: Wire.Wire,
  protocol: Protocol<In, Out, Send, Receive>
): Effect.Effect<Client.Client<Send, Receive>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<never>()
    const side = requestSide(protocol)
    const outbox = new Outbox<Send>(wire, side, new Tick(Context.get(services, Scheduler.Scheduler)))
    const info = {
      id: (yield* CurrentRegistry).nextClient(),
      openedAt: Context.get(services, Clock.Clock).currentTimeMillisUnsafe(),
      inFlight: 0,
      endedBy: undefined
    }
    const maxInFlight = yield* MaxInFlight
    const answers = new Answers<Receive>(protocol.correlation, wire.carries === "datagrams")
    const client = new TypedClient<Send, Receive>({ wire, side, outbox, info, taker: answers }, answers, maxInFlight)
    wire.start(client)
    // What was written still leaves; the wire's own scope destroys it.
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        client.close,
        Effect.sync(() => outbox.handOver())
      )
    )
    return client
  })

/** The end of a connection that asks: each request is written at once, and gets the answer that is its own. */
class TypedClient<Send, Receive> extends TypedConnection<Receive, Send> implements Client.Client<Send, Receive> {
  private readonly answers: Answers<Receive>
  private readonly places: Places
  private readonly wireLoses: boolean
  /** Why nothing can be sent. */
  private readonly problem: string | undefined

  constructor(
    options: ConstructorParameters<typeof TypedConnection<Receive, Send>>[0],
    answers: Answers<Receive>,
    maxInFlight: number
  ) {
    super(options)
    this.answers = answers
    this.places = new Places(maxInFlight)
    const isSize = Number.isSafeInteger(maxInFlight) && maxInFlight >= 1
    this.problem = isSize ? undefined : `Client.MaxInFlight must be a positive integer, not ${maxInFlight}`
    this.wireLoses = options.wire.carries === "datagrams"
  }

  readonly send = (request: Send): Effect.Effect<Receive, Connection.ConnectionError> =>
    Effect.suspend(() => {
      if (this.problem !== undefined) return this.fails({ _tag: "EncodeFailed", problem: this.problem })
      const place = new Place(this.places)
      const asking = Effect.flatMap(place.taken, () => Effect.andThen(this.outbox.writable, this.ask(request, place)))
      // Who leaves before it is written gives the place back, at whatever step; after that it is the answer's.
      return Effect.onInterrupt(asking, () => Effect.sync(() => place.asked || place.giveBack()))
    })

  private ask(request: Send, place: Place): Effect.Effect<Receive, Connection.ConnectionError> {
    const { answers } = this
    const { correlation } = answers
    return Effect.callback((resume) => {
      place.asked = true
      let given = false
      const settle = (effect: Effect.Effect<Receive, Connection.ConnectionError>) => {
        if (given) answers.awaited--
        place.giveBack()
        resume(effect)
      }
      const answered: Answered<Receive> = (exit) =>
        settle(
          exit._tag === "Failure" &&
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && Cause.isDone(reason.error))
            ? this.fails({ _tag: "Closed" })
            : (exit as Exit.Exit<Receive, Connection.ConnectionError>)
        )
      let id: unknown
      if (correlation !== undefined) {
        id = idOf(correlation.request, request)
        const problem = answers.problemOf(id)
        if (problem !== undefined) return settle(this.fails({ _tag: "EncodeFailed", problem }))
      }
      if (this.outbox.isClosed || this.outbox.isEnding) return settle(this.fails({ _tag: "Closed" }))
      // Nothing is sent that cannot be answered: whoever sends it again would have it done twice.
      const { ended } = this.input.decoding
      if (ended !== undefined) return answered(ended)
      const problem = this.outbox.add(request)
      if (problem !== undefined) return settle(this.fails({ _tag: "EncodeFailed", problem }))
      given = true
      answers.awaited++
      this.input.read(true)
      if (correlation !== undefined) {
        answers.expect(id, answered)
        return Effect.sync(() => {
          answers.giveUp(id)
          place.giveBack()
        })
      }
      const forget = this.input.inbox.take((exit) => answered(Exit.map(exit, (messages) => messages[0])))
      return Effect.suspend(() => {
        if (this.wireLoses) {
          // A datagram may be lost, and its answer never come: whoever asks next would wait behind it.
          forget()
          answers.awaited--
          place.giveBack()
          return Effect.void
        }
        // Where others wait behind it, its answer is taken when it comes, and is nobody's. Alone, it is called off.
        return answers.awaited === 1 && !this.places.areAwaited ? this.reset : Effect.void
      })
    })
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

/** Counts what is in flight, up to a maximum; who wants more waits in line. */
class Places {
  private free: number
  private readonly line = new Set<Place>()
  private handing = false

  constructor(max: number) {
    this.free = max
  }

  /** Whether somebody stands in line for one. */
  get areAwaited(): boolean {
    return this.line.size > 0
  }

  /** Takes a place, or stands in line for one. */
  take(place: Place): void {
    this.line.add(place)
    this.hand()
  }

  leave(place: Place): void {
    this.line.delete(place)
  }

  giveBack(): void {
    this.free++
    this.hand()
  }

  private hand(): void {
    // Who gets a place may give it back at once: however many wait, they are not as many calls deep.
    if (this.handing) return
    this.handing = true
    for (const place of this.line) {
      if (this.free <= 0) break
      this.free--
      this.line.delete(place)
      place.get()
    }
    this.handing = false
  }
}

/** What one request takes of them, and gives back once. */
class Place {
  /** Whether its request was written, and its answer gives it back. */
  asked = false
  private readonly places: Places
  private state: "none" | "waiting" | "held" = "none"
  private onGot: () => void = () => {}

  constructor(places: Places) {
    this.places = places
  }

  readonly taken: Effect.Effect<void> = Effect.callback((resume) => {
    this.state = "waiting"
    this.onGot = () => resume(Effect.void)
    this.places.take(this)
  })

  get(): void {
    this.state = "held"
    this.onGot()
  }

  giveBack(): void {
    const { state } = this
    this.state = "none"
    if (state === "held") this.places.giveBack()
    else if (state === "waiting") this.places.leave(this)
  }
}
