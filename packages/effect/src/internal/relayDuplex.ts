import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Duplex } from "node:stream"

/**
 * A connection that has no socket, one in memory, as a stream of Node: what is
 * read and written keeps its back-pressure. It has to be made before anything was
 * read, so when a handler is called.
 */
export class RelayDuplex extends Duplex {
  readonly encrypted: boolean
  readonly remoteAddress: string
  private readonly relay: Remote.Relay
  private readonly onStop: () => void
  private fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void> = Effect.runFork

  constructor(connection: Connection.Info, onStop: () => void) {
    super({ allowHalfOpen: true })
    this.relay = Remote.relay(connection)
    this.encrypted = connection.peer.tls !== undefined
    this.remoteAddress = connection.peer.name
    this.onStop = onStop
  }

  /** Begins to read. What it starts from now on has these services. */
  open(context: Context.Context<never>): void {
    this.fork = Effect.runForkWith(context)
    this.relay.start({
      onData: (chunk) => {
        if (!this.push(chunk)) this.relay.read(false)
      },
      onEnd: () => void this.push(null),
      onStop: this.onStop
    })
  }

  /** What a socket has, too. Time and the network are not this one's. */
  setTimeout(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }

  override _read(): void {
    this.relay.read(true)
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.fork(this.relay.write(chunk)).addObserver(() => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    this.relay.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error !== null) this.relay.reset()
    done(error)
  }
}
