/** A transport without a network: what it does itself allocates next to nothing, so that what is counted is the library's. */
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Policy from "@socketserver/core/Policy"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as WorkerPolicy from "@socketserver/node/WorkerPolicy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const address = Endpoint.memory("counted")
const peer = Peer.make({ transport: "memory", name: "peer" })

/** A request of 32 bytes, its newline among them. */
export const line = Buffer.from("x".repeat(31) + "\n")

/** A connection whose peer reads at once, and only counts bytes. */
export class CountingWire implements Wire.Wire {
  readonly peer = peer
  readonly listener = address
  readonly carries = "stream" as const
  readonly resetsOnClose = true
  readonly bytesUnsent = 0
  bytesRead = 0
  bytesWritten = 0
  closed = false
  private halved = false
  private receiver: Wire.Receiver | undefined = undefined
  private readonly ended = () => {
    this.receiver?.onFinish()
    if (this.halved) this.gone()
  }
  private readonly gone = () => {
    if (this.closed) return
    this.closed = true
    this.receiver?.onClose(undefined)
    this.onWritten(this)
  }
  private readonly onWritten: (wire: CountingWire) => void

  /** `onWritten` hears of each write, and of the end. */
  constructor(onWritten: (wire: CountingWire) => void) {
    this.onWritten = onWritten
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
  }
  write(data: string | Uint8Array): boolean {
    this.bytesWritten += data.length
    this.onWritten(this)
    return true
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    // In a later turn, as with a socket.
    queueMicrotask(this.ended)
  }
  destroy(): void {
    queueMicrotask(this.gone)
  }
  reset(): void {
    this.destroy()
  }

  /** The peer sends. */
  data(bytes: Uint8Array): void {
    this.bytesRead += bytes.length
    this.receiver?.onData(bytes)
  }
  /** The peer sends no more. */
  half(): void {
    this.halved = true
    this.receiver?.onEnd()
  }
}

/** A datagram, whose reply `sent` hears of. */
export const datagram = (answered: () => void): Wire.Datagram => ({
  data: line.subarray(0, 31),
  peer,
  listener: address,
  reply: (_, sent) => {
    sent()
    answered()
  }
})

export class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines(), key: ({ body }) => body }) {}

const yields = (request: { readonly body: string }) => Effect.as(Effect.yieldNow, Response.make(request.body))

const handlers = {
  /** A handler that answers at once. */
  atOnce: Echo.serve((request) => Effect.succeed(Response.make(request.body))),
  /** A handler that yields once. */
  yields: Echo.serve(yields),
  /** The same, one after the other of a connection, or of a key; and in a thread. */
  connection: Echo.serve(yields, { policy: Policy.connection() }),
  keyed: Echo.serve(yields, { policy: Policy.keyed() }),
  thread: Echo.serve(yields, {
    policy: WorkerPolicy.thread({ size: 1, entry: new URL("worker.ts", import.meta.url) })
  })
}

export type HandlerName = keyof typeof handlers

/** Serves lines for as long as `use` runs. */
export const serving = (handler: string, use: (sink: Transport.Sink) => Promise<void>): Promise<void> => {
  if (!(handler in handlers)) throw new Error(`there is no handler ${handler}`)
  let sink: Transport.Sink | undefined
  const transport = Transport.layer(Echo, {}, (given) => {
    sink = given
    return Effect.succeed({ address, close: () => {}, connect: Effect.never })
  })
  return Effect.runPromise(
    Effect.scoped(
      Effect.andThen(
        Layer.build(Layer.provide(handlers[handler as HandlerName], transport)),
        Effect.promise(() => use(sink!))
      )
    ).pipe(Effect.updateService(Clock.Clock, standing))
  )
}

/** A clock that stands still: a turn ends by its time, too, and what is looked at once a second would be in some runs only. */
const standing = (clock: Clock.Clock): Clock.Clock => {
  const nanos = clock.monotonicTimeNanosUnsafe()
  return Object.assign(Object.create(clock) as Clock.Clock, {
    monotonicTimeNanosUnsafe: () => nanos,
    sleep: () => Effect.never
  })
}
