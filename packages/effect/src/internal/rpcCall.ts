/** One call that is a request: look here for what Effect's server says of it becomes. */
import * as Remote from "@socketserver/core/Remote"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Call, Control, FromServer } from "./rpcMessages.ts"

/** Whose calls these are. */
export interface Client {
  /** Those that have not ended, by their ids. */
  readonly calls: Map<Call["id"], RpcCall>
  /** Until its connection has ended, which ends all its calls. */
  isOpen: boolean
  /** For all calls of a server's own, once there was one. */
  run: Run | undefined
  /** To Effect's server. */
  readonly write: (message: Call | Control) => Effect.Effect<void>
  /** It sends no more. */
  readonly onDeaf: (run: Run) => void
}

/** Begins something at once, with what handlers have. */
export type Run = <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>

type About = Extract<Control, { readonly requestId: unknown }>

export class RpcCall {
  private readonly call: Call
  /** Whether nobody is told how it ends. */
  private readonly isNotification: boolean
  private readonly request: object
  private readonly client: Client
  private readonly run: Run
  /** What its client says about it, once somebody listens. */
  private controls: Remote.Controls | undefined = undefined
  /** What was said and nobody has taken. */
  private said: Array<FromServer> = []
  private hasExit = false
  /** Whether the handler runs of one that is answered at its start. */
  private isRunning = false
  private isOver = false
  /** Whether a chunk was said whose acknowledgement has not come. */
  private isUnacknowledged = false
  private wake: () => void = noop

  constructor(call: Call, isNotification: boolean, request: object, client: Client, run: Run) {
    this.call = call
    this.isNotification = isNotification
    this.request = request
    this.client = client
    this.run = run
  }

  /** Whether its client has interrupted it before it could begin. */
  get wasInterrupted(): boolean {
    if (!Remote.hasControls(this.request)) return false
    const controls = Remote.controlsFor(this.request)
    for (let next = controls?.take(); next !== undefined; next = controls?.take()) {
      if ((next.message as About)._tag === "Interrupt") return true
    }
    return false
  }

  /** Lets Effect's server do it. What is answered at once needs no fiber of the request's own, which is a half of what a call costs. */
  begin(): Effect.Effect<Response.Response<FromServer>> {
    const { calls, write } = this.client
    calls.set(this.call.id, this)
    const writing = this.run(write(this.call))
    const written = writing.pollUnsafe()
    if (written === undefined) {
      // What is decoded for nobody ends as well.
      const decoded = Effect.onInterrupt(Fiber.join(writing), () => Fiber.interrupt(writing))
      return this.interruptible(Effect.flatMap(decoded, () => this.answered))
    }
    if (Exit.isFailure(written)) {
      this.end()
      return Exit.failCause(written.cause)
    }
    const [first] = this.said
    if (first?._tag !== "Exit" || this.isRunning) return this.interruptible(this.answered)
    this.end()
    return Exit.succeed(this.answer(first))
  }

  /** Waits for the first that is said, and listens to its client meanwhile. */
  private get answered(): Effect.Effect<Response.Response<FromServer>> {
    return Effect.suspend(() => {
      this.listen()
      return Effect.flatMap(this.something, () => this.first)
    })
  }

  private listen(): void {
    if (this.isOver) return
    this.controls = Remote.controlsFor(this.request)
    if (this.controls === undefined) return
    this.controls.onChange = () => this.pass()
    this.pass()
  }

  private interruptible<A>(effect: Effect.Effect<A>): Effect.Effect<A> {
    return Effect.onInterrupt(effect, () => this.interrupt)
  }

  /** Passes on what the client says about it. */
  private pass(): void {
    const { controls } = this
    for (let next = controls?.take(); next !== undefined; next = controls?.take()) {
      const message = next.message as About
      if (message._tag === "Ack") this.acknowledged()
      this.tell(message)
    }
    // No acknowledgement will come: one that is waited for is taken for given.
    if (this.isDeaf) {
      this.acknowledge()
      this.client.onDeaf(this.run)
    }
  }

  private tell(message: About): void {
    this.run(this.client.write(message))
  }

  private get isDeaf(): boolean {
    return this.controls === undefined || this.controls.isOver
  }

  private acknowledge(): void {
    if (this.isOver) return
    this.acknowledged()
    this.tell({ _tag: "Ack", requestId: this.call.id })
  }

  private acknowledged(): void {
    this.isUnacknowledged = false
    this.wake()
  }

  /** Effect's server says something of it. */
  offer(response: FromServer): void {
    if (this.isOver || this.hasExit) return
    if (response._tag === "Exit") this.hasExit = true
    else this.isUnacknowledged = true
    this.said.push(response)
    this.wake()
  }

  private get first(): Effect.Effect<Response.Response<FromServer>> {
    return Effect.suspend(() => {
      const [first] = this.said as [FromServer]
      if (first._tag === "Exit" && !this.isRunning) {
        this.end()
        return Exit.succeed(this.answer(first))
      }
      const rest = Stream.fromPull(Effect.succeed(this.pull))
      return Exit.succeed(Response.stream(Stream.ensuring(rest, this.interrupt)))
    })
  }

  /** What is answered with what it has ended with. */
  answer(exit: FromServer): Response.Response<FromServer> {
    return this.isNotification ? Response.empty : Response.make(exit)
  }

  /** What was said, up to the end of it. */
  private get pull(): Pull.Pull<readonly [FromServer, ...Array<FromServer>]> {
    return Effect.suspend(() => {
      const { said } = this
      if (said.length === 0) {
        if (this.isUnacknowledged)
          return Effect.andThen(Request.awaitPeer(this.something, { bytes: streamBytes }), this.pull)
        if (!this.hasExit || this.isRunning) return Effect.andThen(this.something, this.pull)
        this.end()
        return done
      }
      this.said = []
      if (this.isDeaf) this.acknowledge()
      if (!this.isNotification) return Exit.succeed(said as [FromServer, ...Array<FromServer>])
      return this.pull
    })
  }

  /** Waits for what is said, or for the acknowledgement of what was. */
  private get something(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const wasUnacknowledged = this.isUnacknowledged
      const isThere = () =>
        this.said.length > 0 || (this.hasExit && !this.isRunning) || (wasUnacknowledged && !this.isUnacknowledged)
      if (isThere()) return resume(Effect.void)
      this.wake = () => {
        if (!isThere()) return
        this.wake = noop
        resume(Effect.void)
      }
    })
  }

  /** Its handler, which goes on after the answer where the call was discarded. */
  watching<A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const effect = Remote.within(this.request, handler)
    if (this.call.discard !== true) return effect
    this.isRunning = true
    return Effect.onExit(effect, () =>
      Effect.sync(() => {
        this.isRunning = false
        this.wake()
      })
    )
  }

  /** Nobody waits for it any more: its handler ends, unless it has. */
  private get interrupt(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isOver) {
        this.end()
        // A connection that is cut off has all its calls ended at once, in a third of the time.
        queueMicrotask(() => {
          if (this.client.isOpen) this.tell({ _tag: "Interrupt", requestId: this.call.id })
        })
      }
      return Effect.void
    })
  }

  private end(): void {
    this.isOver = true
    if (this.controls !== undefined) this.controls.onChange = noop
    this.client.calls.delete(this.call.id)
  }
}

const noop = () => {}
const done = Exit.fail(Cause.Done())

/** What Effect's server takes for a stream whose client is waited for, as measured: its fibers, and what it reads from. */
export const streamBytes = 49_152
