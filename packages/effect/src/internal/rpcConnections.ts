/** RPC over whole connections: Effect's server has them, and a stop waits for their calls. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CurrentConnection } from "../CurrentConnection.ts"
import {
  type Call,
  type Control,
  discarded,
  type FromClient,
  type FromServer,
  interrupted,
  knocking,
  pong
} from "./rpcMessages.ts"
import { Flights } from "./rpcFlights.ts"
import { RpcQueue, type Waiting } from "./rpcQueue.ts"
import { valueBytes } from "./valueBytes.ts"
import type { Side, Watched, Write } from "./rpcServing.ts"

export type RpcConnection = Connection.Connection<FromClient, FromServer>

interface Options {
  /** Calls of one connection that run at a time. */
  readonly maxInFlight: number
  /** What waits beyond those, in bytes. */
  readonly maxWaiting: number
}

/** The connections that calls come on. */
export class Connections implements Side {
  private readonly open = new Map<number, Client>()
  private readonly options: Options
  private ids = 0
  private isStopping = false

  constructor(options: Options) {
    this.options = options
  }

  readonly send = (clientId: number, response: FromServer): Effect.Effect<void> =>
    this.open.get(clientId)?.send(response) ?? Effect.void

  readonly end = (clientId: number): void => this.open.get(clientId)?.end()

  readonly watched: Watched["Service"] = (effect, { client, requestId }) =>
    this.open.get(client.id)?.watching(effect, requestId) ?? effect

  /** Handles connections, with Effect's server behind. */
  handler(write: Write, disconnect: (clientId: number) => void): Handler.Handler<RpcConnection, never> {
    return ({ body: connection }) =>
      Effect.contextWith((context: Context.Context<never>) => {
        const id = this.ids++
        const client = new Client(id, connection, write, this.options, context)
        this.open.set(id, client)
        // What had come before a stop is read, also where its turn comes after it.
        const late = Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 3 }), client.finish)
        const reading = this.isStopping
          ? Effect.raceFirst(client.reading, Effect.andThen(late, Effect.never))
          : client.reading
        return Effect.raceFirst(reading, client.over).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              this.open.delete(id)
              if (!client.isOver) disconnect(id)
            })
          ),
          Effect.as(Response.empty)
        )
      }).pipe(Effect.provideService(CurrentConnection, connection))
  }

  /** The server stops: connections end once their calls have, those that it has told of it. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.isStopping = true
    const told = [...this.open.values()].filter((client) => client.isTold)
    const all = told.length === this.open.size
    return Effect.andThen(
      Effect.forEach(told, (client) => client.finish, { discard: true }),
      all ? Effect.void : Effect.andThen(Effect.yieldNow, this.stop)
    )
  })
}

/** One connection: a client of Effect's server. */
class Client {
  private readonly id: number
  private readonly connection: RpcConnection
  private readonly write: Write
  private readonly options: Options
  private readonly context: Context.Context<never>
  private readonly inFlight: Flights
  private notifications = 0
  private readonly waiting: RpcQueue
  private readBytes = 0
  /** How many bytes each of the messages came in that are received now, about. */
  private eachBytes = 0
  /** No more calls are taken. */
  private isFinishing = false
  private hasSaidSo = false
  /** No acknowledgement will come any more: who reads what it is sent is told by TCP alone. */
  private isDeaf = false
  private onOver: () => void = noop
  isOver = false

  constructor(id: number, connection: RpcConnection, write: Write, options: Options, context: Context.Context<never>) {
    this.id = id
    this.connection = connection
    this.write = write
    this.options = options
    this.context = context
    this.inFlight = new Flights(connection)
    this.waiting = new RpcQueue(connection, options.maxWaiting)
  }

  /** Whether the server has told it of a stop. */
  get isTold(): boolean {
    return this.connection.endedBy !== undefined
  }

  readonly over: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.isOver) return resume(Effect.void)
    this.onOver = () => resume(Effect.void)
  })

  /** Reads until the peer sends no more, or what cannot be decoded; and then lets what it has asked for end. */
  get reading(): Effect.Effect<never> {
    const { connection } = this
    const each = Effect.flatMap(connection.pull, (messages) => this.receiveAll(messages))
    // A fiber yields by itself when it has been at work for long: once for each chunk, that was half of what a call cost.
    return Effect.forever(
      Effect.suspend(() => (this.waiting.isFull ? Effect.andThen(this.waiting.less, each) : each)),
      { disableYield: true }
    ).pipe(
      Effect.catch(() => this.deafen),
      Effect.andThen(knocking(Effect.suspend(() => this.say(pong))))
    )
  }

  private receiveAll(messages: ReadonlyArray<FromClient>): Effect.Effect<void> {
    const { bytesRead } = this.connection
    this.eachBytes = (bytesRead - this.readBytes) / messages.length
    this.readBytes = bytesRead
    if (messages.length === 1) return this.receive(messages[0] as FromClient)
    return Effect.forEach(messages, (message) => this.receive(message), { discard: true })
  }

  private receive(message: FromClient): Effect.Effect<void> {
    switch (message._tag) {
      case "Request":
        return this.ask(message)
      case "Ping":
        return this.say(pong)
      case "Eof":
        return this.finish
      case "Interrupt":
      case "Ack":
        return this.about(message)
    }
  }

  private ask(asked: Call): Effect.Effect<void> {
    const isNotification = asked.isNotification === true
    const call = isNotification ? discarded(asked, `notification ${++this.notifications}`) : asked
    if (this.isFinishing || this.inFlight.has(call.id)) return Effect.void
    // It counts in what the server may hold for all, from here on until it is answered.
    const bytes = callBytes + valueBytes(call, this.eachBytes)
    Remote.hold(this.connection, bytes)
    const waiting = { call, bytes, isNotification }
    if (this.waiting.isEmpty && this.hasPlace) return this.begin(waiting)
    this.waiting.add(waiting)
    return Effect.void
  }

  private get hasPlace(): boolean {
    return this.inFlight.size < this.options.maxInFlight
  }

  /** Begins a call, unless one has begun that waited with the same id. */
  private begin({ bytes, call, isNotification }: Waiting): Effect.Effect<void> {
    if (this.inFlight.has(call.id)) {
      Remote.hold(this.connection, -bytes)
      return Effect.void
    }
    this.inFlight.begin(call, bytes, isNotification)
    return this.write(this.id, call)
  }

  /** What concerns a call. */
  private about(control: Extract<Control, { readonly requestId: unknown }>): Effect.Effect<void> {
    const { requestId } = control
    if (this.inFlight.has(requestId)) return this.write(this.id, control)
    if (control._tag === "Ack") return Effect.void
    const removed = this.waiting.remove(requestId)
    if (removed.length === 0) return Effect.void
    for (const { bytes } of removed) Remote.hold(this.connection, -bytes)
    return this.say(interrupted(requestId))
  }

  /** Effect's server says something to it. */
  send(response: FromServer): Effect.Effect<void> {
    if (response._tag === "Exit") return this.answer(response.requestId, response)
    if (response._tag === "Chunk") this.inFlight.streaming(response.requestId)
    const said = this.say(response)
    if (!this.isDeaf || response._tag !== "Chunk") return said
    return Effect.andThen(said, this.write(this.id, { _tag: "Ack", requestId: response.requestId }))
  }

  private answer(id: Call["id"], response: FromServer): Effect.Effect<void> {
    const said = this.inFlight.isNotification(id) ? Effect.void : this.say(response)
    return this.inFlight.answered(id) && !this.waiting.isEmpty ? Effect.andThen(said, this.next) : said
  }

  /** The handler of a call, which goes on after the answer where that was discarded. */
  watching<A, E, R>(handler: Effect.Effect<A, E, R>, id: Call["id"]): Effect.Effect<A, E, R> {
    if (!this.inFlight.running(id)) return handler
    return Effect.onExit(handler, () =>
      Effect.suspend(() => (this.inFlight.ran(id) && !this.waiting.isEmpty ? this.next : Effect.void))
    )
  }

  /** Begins what waits, as the connection's own. */
  private get next(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const begun: Array<Effect.Effect<void>> = []
      this.waiting.take(
        () => this.hasPlace,
        (waiting) => begun.push(this.begin(waiting))
      )
      if (this.isFinishing) begun.push(this.finish)
      return Effect.provideContext(
        Effect.forEach(begun, (each) => each, { discard: true }),
        this.context
      )
    })
  }

  /** What has been asked for is answered; no more is taken. */
  get finish(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isFinishing = true
      if (this.hasSaidSo || !this.waiting.isEmpty) return Effect.void
      this.hasSaidSo = true
      return Effect.provideContext(this.write(this.id, { _tag: "Eof" }), this.context)
    })
  }

  /** Nothing more is read. Streams go on all the same. */
  private get deafen(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isDeaf = true
      const acks = this.inFlight.ids.map((requestId) => this.write(this.id, { _tag: "Ack", requestId }))
      return Effect.andThen(
        Effect.forEach(acks, (ack) => ack, { discard: true }),
        this.finish
      )
    })
  }

  /** All of its calls are over. */
  end(): void {
    this.isOver = true
    this.onOver()
  }

  /** Whoever is gone is told nothing; what cannot be encoded is a defect of its call. */
  private say(response: FromServer): Effect.Effect<void> {
    const written = Remote.write(this.connection, response)
    if (written === Effect.void) return Effect.void
    return Effect.catch(written, (error) =>
      error.reason._tag === "EncodeFailed" ? Effect.die(error.reason.problem) : Effect.void
    )
  }
}

/** What a call takes in flight, beside its values. */
const callBytes = 4_096

const noop = () => {}
