import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import type * as Connection from "../Connection.ts"
import type * as Handler from "../Handler.ts"
import * as Outcome from "../Outcome.ts"
import type * as Protocol from "../Protocol.ts"
import type * as Response from "../Response.ts"
import type * as Server from "../Server.ts"
import { type Reason, ServerClosed, ServerError } from "../ServerError.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import { type Conversation, failed, responseOf } from "./conversation.ts"
import { Exchange } from "./exchange.ts"
import { Gate } from "./gate.ts"
import type { ConnectHook } from "./hooks.ts"
import { CurrentRequest, type Incoming } from "./incoming.ts"
import { Ledger } from "./ledger.ts"
import type { Limits } from "./limits.ts"
import { Mailbox } from "./mailbox.ts"
import { Messages } from "./messages.ts"
import { Turn } from "./turn.ts"
import { Whole } from "./whole.ts"

/** Starts an effect now, with the services it needs; if it is a handler's, it knows its request. */
export type Runner = <A>(effect: Effect.Effect<A, never, unknown>, request?: object) => Fiber.Fiber<A>

/**
 * One server: the connections that its transport accepted, the requests that
 * wait for a policy, and the stop.
 *
 * It knows no socket and no policy. Transports call `accept` and `fail`;
 * policies take from `mailbox` and call `begin`.
 */
export class Engine<In, Out> {
  readonly protocol: Protocol.Protocol<In, Out>
  readonly limits: Limits
  readonly turn: Turn
  readonly mailbox = new Mailbox<Incoming<In, Out>, ServerError>()
  readonly connections = new Map<number, Conversation<In, Out>>()
  readonly ledger: Ledger
  /** Where it listens; until it is bound, what it is called. */
  address: string
  readonly gate: Gate<In, Out>
  /** What is said to a peer whose input cannot be decoded, before its connection closes. */
  onUndecodable: Server.ServeOptions<In, Out>["onUndecodable"] = undefined
  private listeners: ReadonlyArray<Transport.Listening> = []
  private paused = false
  private readonly clock: Clock.Clock
  private readonly run: Runner
  private requestIds = 0
  /** Requests whose handlers have begun. */
  begun = 0
  private connectionIds = 0
  private consumers = 0
  private stale = 0
  private failure: ServerError | undefined = undefined
  private connect: ((connection: Conversation<In, Out>) => void) | undefined = undefined
  private stoppedAt: number | undefined = undefined
  private completedAtStop = 0
  private report: Outcome.Report | undefined = undefined
  private releasing = 0
  private callers = 0
  private cancelDeadline: () => void = () => {}
  private cancelSweep: () => void = () => {}
  private waiters: Array<() => void> = []
  private arrived: Array<Incoming<In, Out>> = []

  constructor(
    service: string,
    protocol: Protocol.Protocol<In, Out>,
    limits: Limits,
    context: Context.Context<never>,
    verify?: Transport.Verify
  ) {
    this.address = service
    this.protocol = protocol
    this.limits = limits
    this.clock = Context.get(context, Clock.Clock)
    this.turn = new Turn(Context.get(context, Scheduler.Scheduler))
    this.run = this.runner(context as Context.Context<unknown>)
    this.ledger = new Ledger((effect) => void this.run(effect))
    this.gate = new Gate(this, this.run, verify)
  }

  /** It is bound. */
  open(listeners: ReadonlyArray<Transport.Listening>): void {
    this.listeners = listeners
    this.address = listeners.map(({ address }) => String(address)).join(", ")
    // One of them has died while others were being bound.
    if (this.stopBegins) for (const listener of listeners) listener.close()
    else {
      // Until now there was none to be told.
      this.paused = false
      this.regulate()
      if (this.limits.idleMillis < Infinity) this.sweep()
    }
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  nextConnectionId(): number {
    return ++this.connectionIds
  }

  nextRequestId(): number {
    return ++this.requestIds
  }

  /** Starts effects with `context`, all in the turns of this server. */
  runner<R>(context: Context.Context<R>): Runner {
    const turned = Context.add(context, Scheduler.Scheduler, this.turn) as Context.Context<unknown>
    const run = Effect.runForkWith(turned)
    return (effect, request) =>
      request === undefined ? run(effect) : Effect.runForkWith(Context.add(turned, CurrentRequest, request))(effect)
  }

  /** Starts handlers with `context`. */
  handlerRunner<R>(context: Context.Context<R>): Runner {
    return this.runner(Context.add(context, CurrentEngine, this))
  }

  /** Does something later, unless it is cancelled before. */
  after(millis: number, f: () => void, clock = this.clock): () => void {
    const sleep = Effect.provideService(Effect.sleep(millis), Clock.Clock, clock)
    const fiber = this.run(Effect.andThen(sleep, Effect.sync(f)))
    return () => fiber.interruptUnsafe()
  }

  // ---------------------------------------------------------------- transport

  /** A connection that has been let in. */
  admit(wire: Wire.Wire, id = this.nextConnectionId()): void {
    const conversation: Messages<In, Out> | Whole<In, Out> =
      this.protocol.kind === "connection" ? new Whole(this as never, wire, id) : new Messages(this, wire, id)
    this.register(conversation as Conversation<In, Out>)
    wire.start(conversation)
    if (conversation instanceof Whole) conversation.open()
  }

  /** A datagram that has been let in. */
  exchange(datagram: Wire.Datagram): void {
    const exchange = new Exchange(this, datagram, this.nextConnectionId())
    this.register(exchange)
    exchange.open()
  }

  private register(conversation: Conversation<In, Out>): void {
    this.connections.set(conversation.id, conversation)
    this.regulate()
    this.connect?.(conversation)
  }

  /** Whether no more may be let in. */
  get full(): boolean {
    return this.connections.size + this.gate.waiting >= this.limits.maxConnections
  }

  /** Stops or resumes the reading of datagrams, where a transport can, as there is room or not. */
  regulate(): void {
    if (this.paused === this.full) return
    this.paused = !this.paused
    for (const { flow } of this.listeners) (this.paused ? flow?.pause : flow?.resume)?.()
  }

  /**
   * Requests have arrived. All that arrive in one turn of the event loop, on
   * whatever connections, reach the policy as one batch at its end: waking the
   * policy costs more than an echo (`pnpm bench`, "1 outstanding": 1.3 times
   * `node:net` with a wake for each, 1.0 times with one for all).
   */
  arrive(requests: Array<Incoming<In, Out>>): void {
    if (this.arrived.length > 0) {
      for (const incoming of requests) this.arrived.push(incoming)
      return
    }
    this.arrived = requests
    this.turn.soon(this.deliver)
  }

  private readonly deliver = (): void =>
    this.turn.run(() => {
      // Answers given at once make room for what their connections have over the pipelining limit.
      while (this.arrived.length > 0) {
        const batch = this.arrived
        this.arrived = []
        if (this.abandoned || !this.mailbox.offer(batch)) this.drop(batch)
      }
    })

  /** A connection could not be accepted. */
  lose(cause: unknown): void {
    this.ledger.counts.Refused++
    this.run(Effect.logWarning(`${this.address} could not accept a connection`, cause))
  }

  /** The listener died, or the policy. What was received is still answered. */
  fail(reason: Reason): void {
    if (this.stoppedAt !== undefined) return
    this.failure = new ServerError({ reason })
    this.stop()
  }

  /** A request that waits for a policy has been cancelled. They are let go of when they are many. */
  abandon(): void {
    if (++this.stale <= Math.max(1_024, this.mailbox.size / 2)) return
    this.stale = 0
    this.mailbox.retain((incoming) => incoming.settled === undefined)
  }

  // ------------------------------------------------------------------- policy

  /** All requests, in the batches in which they came. */
  readonly batches: Stream.Stream<Incoming<In, Out>, ServerError> = this.consume(() => this.mailbox.takeAll)

  /** All requests, one by one: what is not pulled is not taken. */
  readonly requests: Stream.Stream<Incoming<In, Out>, ServerError> = this.consume(() => this.mailbox.takeOne)

  /** Runs `hook` for each connection that there is and that will be, until the returned function is called. */
  onConnect(hook: ConnectHook<Out>, run: Runner): () => void {
    this.connect = (conversation) => {
      run(hook(conversation)).addObserver((exit) => {
        if (exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause)) return
        this.ledger.record(Outcome.failed(exit.cause), undefined, conversation)
        this.run(conversation.close)
      })
    }
    for (const conversation of this.connections.values()) this.connect(conversation)
    return () => {
      this.connect = undefined
    }
  }

  /**
   * Begins a request: starts its handler, and returns the handler's fiber. An
   * answer that is there at once needs none, and has been given on return.
   */
  begin(
    incoming: Incoming<In, Out>,
    handler: Handler.Handler<In, Out, unknown>,
    run: Runner,
    finishes: boolean
  ): Fiber.Fiber<unknown> {
    if (incoming.begun || incoming.settled !== undefined) return done
    incoming.begun = true
    this.begun++
    incoming.finishes = finishes
    const { conversation } = incoming
    let effect: Effect.Effect<Response.Response<Out>, never, unknown>
    // oxlint-disable-next-line socketserver/no-try -- a handler may throw before it returns its effect: a defect like any other
    try {
      effect = handler(incoming)
    } catch (error) {
      conversation.answer(incoming, failed(Cause.die(error)))
      return done
    }
    if (Exit.isExit(effect)) {
      const response = responseOf(effect as Exit.Exit<Response.Response<Out>>)
      if (response._tag !== "Streamed") {
        conversation.answer(incoming, response)
        return done
      }
      effect = incoming.streamed(response)
    } else {
      effect = Effect.flatMap(effect, (response) =>
        response?._tag === "Streamed" ? incoming.streamed(response) : Exit.succeed(response)
      )
    }
    conversation.started()
    const fiber = run(incoming.running(effect), incoming)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      conversation.ended(incoming, exit)
      return done
    }
    fiber.addObserver((exit) => conversation.ended(incoming, exit))
    return fiber
  }

  /** What is said to a peer whose input cannot be decoded. */
  lastWords(fault: Protocol.DecodeError, connection: Connection.Info): Response.Response<Out> | undefined {
    const said = Result.try(() => this.onUndecodable?.(fault, connection))
    if (Result.isSuccess(said)) return said.success
    this.run(Effect.logError("onUndecodable threw", said.failure))
    return undefined
  }

  // --------------------------------------------------------------------- stop

  /** A request has its outcome; a handler that stops its own server waits for those of others. */
  settled(): void {
    if (this.callers > 0) this.checkStopped()
  }

  /** A connection has ended, and its handlers with it. */
  released(
    conversation: Conversation<In, Out>,
    finalizers: ReadonlyArray<(exit: Exit.Exit<void>) => Effect.Effect<void>>
  ): void {
    if (!this.connections.delete(conversation.id)) return
    this.regulate()
    if (finalizers.length > 0) {
      this.releasing++
      const all = Effect.forEach(finalizers, (finalizer) => Effect.ignoreCause(finalizer(Exit.void)), { discard: true })
      this.run(all).addObserver(() => {
        this.releasing--
        this.checkStopped()
      })
    }
    this.checkStopped()
  }

  private readonly stopWaiters = new Set<() => void>()

  /** Waits until the stop begins. */
  readonly stopBegan: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.stoppedAt !== undefined) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.stopWaiters.add(wake)
    return Effect.sync(() => this.stopWaiters.delete(wake))
  })

  /** Waits until everything has ended. */
  readonly stopped: Effect.Effect<Outcome.Report> = Effect.callback((resume) => {
    const check = () => {
      if (this.report !== undefined) resume(Exit.succeed(this.report))
    }
    this.waiters.push(check)
    check()
  })

  /** Stops, and waits until everything has ended: at most the drain timeout. */
  readonly shutdown: Effect.Effect<Outcome.Report> = Effect.withFiber((fiber) => {
    this.stop()
    return fiber.getRef(CurrentEngine) === this ? this.stoppedButCallers : this.stopped
  })

  /** For handlers that stop their own server: waits for everything but such handlers, which would wait for themselves. */
  private readonly stoppedButCallers: Effect.Effect<Outcome.Report> = Effect.callback((resume) => {
    this.callers++
    const check = () => {
      if (this.report !== undefined) return resume(Exit.succeed(this.report))
      if (!this.stopping) return
      let inFlight = 0
      for (const conversation of this.connections.values()) inFlight += conversation.inFlight
      if (inFlight <= this.callers) resume(Exit.succeed(this.makeReport()))
    }
    this.waiters.push(check)
    this.checkStopped()
  })

  private stopping = false

  /** From here on nothing new is taken. */
  get isStopping(): boolean {
    return this.stopping
  }

  /** A stop has been asked for; what has arrived by now is still taken. */
  get stopBegins(): boolean {
    return this.stoppedAt !== undefined
  }

  private stop(): void {
    if (this.stoppedAt !== undefined) return
    this.stoppedAt = this.now()
    this.completedAtStop = this.ledger.counts.Completed
    for (const listener of this.listeners) listener.close()
    this.gate.close()
    this.cancelSweep()
    const cut = () => {
      for (const conversation of this.connections.values()) conversation.cut()
      this.finishStop()
    }
    const deadline = [this.after(this.limits.drainMillis, cut)]
    // Virtual time may stand still for ever once a test is over.
    if (this.clock !== liveClock) deadline.push(this.after(virtualDrainMillis, cut, liveClock))
    this.cancelDeadline = () => deadline.forEach((cancel) => cancel())
    for (const wake of this.stopWaiters) wake()
    // What has arrived but was not read yet is read in the next turn of the event loop, and counts as received.
    this.run(aTurn).addObserver(() =>
      this.turn.run(() => {
        this.stopping = true
        // A datagram that has come since then may be waiting to be let in.
        this.gate.close()
        for (const conversation of this.connections.values()) conversation.stop()
        this.dropUnconsumed()
        this.checkStopped()
      })
    )
  }

  private checkStopped(): void {
    if (!this.stopping) return
    if (this.connections.size === 0 && this.releasing === 0) return this.finishStop()
    for (const waiter of this.waiters) waiter()
  }

  private finishStop(): void {
    if (this.report !== undefined) return
    this.cancelDeadline()
    this.report = this.makeReport()
    const { drained, millis } = this.report
    if (drained > 0)
      this.run(
        Effect.logWarning(
          `The stop of ${this.address} cut off ${drained} request${drained === 1 ? "" : "s"} after ${millis} ms`
        )
      )
    for (const listener of this.listeners) listener.ended?.()
    this.mailbox.end(this.failure === undefined ? undefined : Exit.fail(this.failure))
    const waiters = this.waiters
    this.waiters = []
    for (const waiter of waiters) waiter()
  }

  private makeReport(): Outcome.Report {
    return {
      millis: this.now() - (this.stoppedAt ?? this.now()),
      answered: this.ledger.counts.Completed - this.completedAtStop,
      drained: this.ledger.counts.Drained,
      counts: { ...this.ledger.counts }
    }
  }

  /** Whether nobody will take what waits, so that nobody shall wait for it. */
  private get abandoned(): boolean {
    return this.stopping && this.consumers === 0
  }

  private dropUnconsumed(): void {
    if (this.abandoned) this.drop(this.mailbox.clear())
  }

  private drop(batch: Array<Incoming<In, Out>>): void {
    for (const incoming of batch) incoming.conversation.drop(incoming)
  }

  private consume(
    pull: () => Mailbox<Incoming<In, Out>, ServerError>["takeAll"]
  ): Stream.Stream<Incoming<In, Out>, ServerError> {
    return Stream.unwrap(
      Effect.acquireRelease(
        Effect.sync(() => {
          this.consumers++
          return Stream.fromPull(Effect.succeed(pull()))
        }),
        () => this.leaving
      )
    )
  }

  /** Takes a request, and counts as a consumer until it has been handled. */
  consumeOne<A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        this.consumers++
      }),
      () => use,
      () => this.leaving
    )
  }

  // Whoever takes one request after the other is back at once.
  private readonly leaving = Effect.sync(() => {
    this.consumers--
    this.run(Effect.andThen(aTurn, aTurn)).addObserver(() => this.turn.run(() => this.dropUnconsumed()))
  })

  private sweep(): void {
    const { idleMillis } = this.limits
    this.cancelSweep = this.after(Math.max(1, idleMillis / 4), () => {
      const before = this.now() - idleMillis
      for (const conversation of this.connections.values()) {
        if (conversation.inFlight > 0 && this.protocol.kind === "messages") continue
        if (conversation.activeSince(before)) continue
        this.run(conversation.close)
      }
      this.sweep()
    })
  }

  /** The error of someone who wants requests of a server that has been shut down. */
  get closed(): ServerError {
    return this.failure ?? new ServerError({ reason: new ServerClosed({ endpoint: this.address }) })
  }
}

const aTurn = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

const done: Fiber.Fiber<unknown> = Effect.runFork(Effect.void)

const liveClock = Context.get(Context.empty(), Clock.Clock)

// How long, in real time, a stop waits where time is virtual.
const virtualDrainMillis = 1_000

/** The engine whose handler the current fiber is in. */
const CurrentEngine = Context.Reference<object | undefined>("@socketserver/core/internal/CurrentEngine", {
  defaultValue: () => undefined
})
