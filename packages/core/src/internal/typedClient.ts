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
import type { Correlation, Protocol } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { Outbox } from "./outbox.ts"
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
    const side = protocol.client
    const outbox = new Outbox<Send>(wire, side, new Tick(Context.get(services, Scheduler.Scheduler)))
    const info = {
      id: ++ids,
      openedAt: Context.get(services, Clock.Clock).currentTimeMillisUnsafe(),
      inFlight: 0
    }
    const maxInFlight = yield* MaxInFlight
    const client = new TypedClient<Send, Receive>({ wire, side, outbox, info }, protocol.correlation, maxInFlight)
    wire.start(client)
    // What was written still leaves; the wire's own scope destroys it.
    yield* Effect.addFinalizer(() => client.close)
    return client
  })

let ids = 0

/** The end of a connection that asks: each request is written at once, and gets the answer that is its own. */
class TypedClient<Send, Receive> extends TypedConnection<Receive, Send> implements Client.Client<Send, Receive> {
  private readonly correlation: Correlation | undefined
  private readonly places: Places
  private readonly wireLoses: boolean
  /** Why nothing can be sent. */
  private readonly problem: string | undefined
  /** Who waits for the answer with an id. Those who gave up wait on, so that their late answer is nobody else's. */
  private readonly byId = new Map<unknown, Answered<Receive>>()
  /** How many answers to an id may still come that nobody waits for, where they may also be lost. */
  private readonly late = new Map<unknown, number>()
  private awaited = 0

  constructor(
    options: ConstructorParameters<typeof TypedConnection<Receive, Send>>[0],
    correlation: Correlation | undefined,
    maxInFlight: number
  ) {
    super(options)
    this.correlation = correlation
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
    return Effect.callback((resume) => {
      place.asked = true
      let given = false
      const settle = (effect: Effect.Effect<Receive, Connection.ConnectionError>) => {
        if (given) this.awaited--
        place.giveBack()
        resume(effect)
      }
      const { correlation } = this
      let id: unknown
      if (correlation !== undefined) {
        id = idOf(correlation.request, request)
        const problem =
          id === undefined
            ? "it has no id, by which its answer could be known"
            : this.byId.has(id)
              ? `an answer with its id (${String(id)}) is awaited already`
              : undefined
        if (problem !== undefined) return settle(this.fails({ _tag: "EncodeFailed", problem }))
      }
      if (this.outbox.isClosed || this.outbox.isEnding) return settle(this.fails({ _tag: "Closed" }))
      const problem = this.outbox.add(request)
      if (problem !== undefined) return settle(this.fails({ _tag: "EncodeFailed", problem }))
      given = true
      this.awaited++
      this.read(true)
      const answered: Answered<Receive> = (exit) =>
        settle(
          exit._tag === "Failure" &&
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && Cause.isDone(reason.error))
            ? this.fails({ _tag: "Closed" })
            : (exit as Exit.Exit<Receive, Connection.ConnectionError>)
        )
      if (correlation !== undefined) {
        if (this.inbox.ended !== undefined) return answered(this.inbox.ended)
        this.byId.set(id, answered)
        return this.wireLoses ? Effect.sync(() => this.giveUp(id, place)) : undefined
      }
      const forget = this.inbox.take((exit) => answered(Exit.map(exit, (messages) => messages[0])))
      return Effect.suspend(() => {
        if (this.wireLoses) {
          // A datagram may be lost, and its answer never come: whoever asks next would wait behind it.
          forget()
          this.awaited--
          place.giveBack()
          return Effect.void
        }
        // Where others wait behind it, its answer is taken when it comes, and is nobody's. Alone, it is called off.
        return this.awaited === 1 ? this.reset : Effect.void
      })
    })
  }

  /** A datagram may be lost, and its answer never come; if it comes after all, it is nobody's. */
  private giveUp(id: unknown, place: Place): void {
    this.byId.delete(id)
    this.awaited--
    this.late.set(id, (this.late.get(id) ?? 0) + 1)
    for (const oldest of this.late.keys()) {
      if (this.late.size <= maxLate) break
      this.late.delete(oldest)
    }
    place.giveBack()
  }

  /** Whether a message is the answer to a request that was given up. */
  private isLate(id: unknown): boolean {
    const expected = this.late.get(id)
    if (expected === undefined) return false
    if (expected === 1) this.late.delete(id)
    else this.late.set(id, expected - 1)
    return true
  }

  protected override received(messages: Array<Receive>): void {
    const { correlation } = this
    if (correlation === undefined) return super.received(messages)
    const others = messages.filter((message) => {
      const id = idOf(correlation.response, message)
      const answered = id === undefined ? undefined : this.byId.get(id)
      if (answered === undefined) return !this.isLate(id)
      this.byId.delete(id)
      answered(Exit.succeed(message))
      return false
    })
    if (others.length > 0) super.received(others)
  }

  protected override get isAwaited(): boolean {
    return this.awaited > 0 && this.inbox.size < maxUnread
  }

  protected override endInbox(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    super.endInbox(exit)
    const waiting = [...this.byId.values()]
    this.byId.clear()
    for (const answered of waiting) answered(exit ?? Exit.fail(Cause.Done()))
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

type Answered<Receive> = (exit: Exit.Exit<Receive, Connection.ConnectionError | Cause.Done>) => void

/** How many messages that answer nobody are read while answers are awaited. */
const maxUnread = 1_024

/** How many ids are remembered that were given up. */
const maxLate = 1_024

const idOf = (id: (message: never) => unknown, message: unknown): unknown => {
  // oxlint-disable-next-line socketserver/no-try -- the function is user code: what it throws for has no id
  try {
    return id(message as never)
  } catch {
    return undefined
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
