/** One call that is a request: look here for what Effect's server says of it becomes. */
import type * as Remote from "@socketserver/core/Remote"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Call, Control, FromServer } from "./rpcMessages.ts"

interface Options {
  readonly call: Call
  /** Whether nobody is told how it ends. */
  readonly isNotification: boolean
  /** What its client says about it; nothing where that is not known. */
  readonly controls: Remote.Controls | undefined
  /** To Effect's server. */
  readonly write: (message: Call | Control) => Effect.Effect<void>
  /** What its handler has. */
  readonly context: Context.Context<never>
  /** Its client sends no more. */
  readonly onDeaf: () => void
  /** It is over. */
  readonly onEnd: () => void
}

type About = Extract<Control, { readonly requestId: unknown }>

export class RpcCall {
  readonly isDiscarded: boolean
  private readonly options: Options
  /** What was said and nobody has taken. */
  private said: Array<FromServer> = []
  private hasExit = false
  /** Whether the handler runs of one that is answered at its start. */
  private isRunning = false
  private isOver = false
  /** Whether a chunk was said whose acknowledgement has not come. */
  private isUnacknowledged = false
  private wake: () => void = noop

  constructor(options: Options) {
    this.options = options
    this.isDiscarded = options.call.discard === true
  }

  /** Whether its client has interrupted it before it could begin. */
  get wasInterrupted(): boolean {
    const { controls } = this.options
    for (let next = controls?.take(); next !== undefined; next = controls?.take()) {
      if ((next.message as About)._tag === "Interrupt") return true
    }
    return false
  }

  /** Lets Effect's server do it; ends with what is answered. */
  get begin(): Effect.Effect<Response.Response<FromServer>> {
    const { call, context, controls, write } = this.options
    const start = Effect.andThen(
      Effect.suspend(() => write(call)),
      Effect.sync(() => {
        if (controls === undefined || this.isOver) return
        controls.onChange = this.pass
        this.pass()
      })
    )
    const answered = Effect.flatMap(this.something, () => this.first)
    return Effect.onInterrupt(
      Effect.flatMap(Effect.provideContext(start, context), () => answered),
      () => this.interrupt
    )
  }

  /** Passes on what the client says about it. */
  private readonly pass = (): void => {
    const { controls } = this.options
    for (let next = controls?.take(); next !== undefined; next = controls?.take()) {
      const message = next.message as About
      if (message._tag === "Ack") this.acknowledged()
      this.tell(message)
    }
    // No acknowledgement will come: one that is waited for is taken for given.
    if (this.isDeaf) {
      this.acknowledge()
      this.options.onDeaf()
    }
  }

  private tell(message: About): void {
    const { context, write } = this.options
    Effect.runForkWith(context)(write(message))
  }

  private get isDeaf(): boolean {
    const { controls } = this.options
    return controls === undefined || controls.isOver
  }

  private acknowledge(): void {
    if (this.isOver) return
    this.acknowledged()
    this.tell({ _tag: "Ack", requestId: this.options.call.id })
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
    return this.options.isNotification ? Response.empty : Response.make(exit)
  }

  /** What was said, up to the end of it. */
  private readonly pull: Pull.Pull<readonly [FromServer, ...Array<FromServer>]> = Effect.suspend(() => {
    const { said } = this
    if (said.length === 0) {
      if (this.isUnacknowledged) return Effect.andThen(Request.awaitPeer(this.something), this.pull)
      if (!this.hasExit || this.isRunning) return Effect.andThen(this.something, this.pull)
      this.end()
      return done
    }
    this.said = []
    if (this.isDeaf) this.acknowledge()
    if (!this.options.isNotification) return Exit.succeed(said as [FromServer, ...Array<FromServer>])
    return this.pull
  })

  /** Waits for what is said, or for the acknowledgement of what was. */
  private readonly something: Effect.Effect<void> = Effect.callback((resume) => {
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

  /** Its handler goes on after the answer. */
  watching<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    this.isRunning = true
    return Effect.onExit(effect, () =>
      Effect.sync(() => {
        this.isRunning = false
        this.wake()
      })
    )
  }

  /** Nobody waits for it any more: its handler ends, unless it has. */
  private readonly interrupt: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isOver) return Effect.void
    this.end()
    return this.options.write({ _tag: "Interrupt", requestId: this.options.call.id })
  })

  private end(): void {
    const { controls, onEnd } = this.options
    this.isOver = true
    if (controls !== undefined) controls.onChange = noop
    onEnd()
  }
}

const noop = () => {}
const done = Exit.fail(Cause.Done())
