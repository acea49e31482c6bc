import { ConnectFailed } from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { UnixDatagramClientOptions } from "../NodeClient.ts"
import { connectKind } from "./errors.ts"
import { type Later, later } from "./later.ts"
import type { Libc } from "./libc.ts"
import { unixPeer } from "./peers.ts"
import { systemError, type UnixDatagram } from "./unixDatagram.ts"
import * as unixgram from "./unixgram.ts"
import * as unixPath from "./unixPath.ts"

/** The same for whoever has not loaded the system's calls and checked the options yet. */
export const open = (
  endpoint: Endpoint.Unixgram,
  options: UnixDatagramClientOptions
): Effect.Effect<Wire.Wire, ConnectFailed | ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { sendTimeoutMillis } = yield* unixgram.resolve({
      ...options,
      sendTimeout: options.sendTimeout ?? "10 seconds"
    })
    return yield* connect(yield* unixgram.load(endpoint), endpoint, { ...options, sendTimeout: sendTimeoutMillis })
  })

/** A socket with a name of its own, connected to a server, as a wire. */
export const connect = (
  system: Libc,
  endpoint: Endpoint.Unixgram,
  options: Omit<UnixDatagramClientOptions, "sendTimeout"> & { readonly sendTimeout?: number | undefined } = {}
): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { bind: name, maxDatagramBytes = 65_536, mode = 0o600, sendTimeout = 10_000 } = options
    const { path } = endpoint
    const failed = (cause: unknown) =>
      Effect.fail(new ConnectFailed({ endpoint: String(endpoint), kind: connectKind(cause), cause }))
    yield* Effect.catch(unixPath.tooLong(path, String(endpoint)) ?? Effect.void, failed)
    const bound = Effect.catch(unixgram.bind(system, { name, mode, maxDatagramBytes }), failed)
    const { server: socket } = yield* Effect.acquireRelease(bound, ({ close, server }) =>
      Effect.sync(() => {
        close()
        server.close()
      })
    )
    const refused = socket.connect(path)
    if (refused !== undefined) return yield* failed(refused)
    const outgoing = new Outgoing(socket, sendTimeout)
    yield* Effect.addFinalizer(() => outgoing.end)
    const wire = Transport.datagramWire({
      peer: unixPeer("unixgram", String(endpoint), unixPath.isAbstract(path) ? undefined : path),
      listener: endpoint,
      // The kernel's own rule.
      maxMessageBytes: socket.unread.limitBytes - 32,
      send: (data, sent) => outgoing.send(data, sent),
      close: () => socket.close(),
      flow: { pause: () => socket.pause(), resume: () => socket.resume() }
    })
    socket.start({
      onMessage: (data, _, sizeBytes) =>
        sizeBytes > data.length
          ? wire.broken(new Error(`an answer of ${sizeBytes} bytes, more than ${maxDatagramBytes}`))
          : wire.received(data),
      onError: (error) => wire.broken(error)
    })
    return wire
  })

interface Message {
  readonly data: Uint8Array
  readonly sent: (error?: unknown) => void
}

/** What a client has written, in order. While the server has no room it waits, which the kernel ends with an event. */
class Outgoing {
  private readonly socket: UnixDatagram
  private readonly timeoutMillis: number
  private messages: Array<Message> = []
  private timer: Later | undefined = undefined
  private emptied: (() => void) | undefined = undefined

  constructor(socket: UnixDatagram, timeoutMillis: number) {
    this.socket = socket
    this.timeoutMillis = timeoutMillis
  }

  send(data: Uint8Array, sent: (error?: unknown) => void): void {
    this.messages.push({ data, sent })
    if (this.messages.length === 1) this.flush()
  }

  /** Waits until everything has left, a second at most. */
  readonly end: Effect.Effect<void> = Effect.callback((resume) => {
    const ended = () => {
      this.timer?.cancel()
      resume(Effect.void)
    }
    if (this.messages.length === 0) return ended()
    this.emptied = ended
    setTimeout(ended, 1_000).unref()
  })

  private readonly flush = (): void => {
    this.timer?.cancel()
    for (let message = this.messages[0]; message !== undefined; message = this.messages[0]) {
      const code = this.socket.send(message.data)
      if (code === "EAGAIN") return this.wait()
      this.messages.shift()
      message.sent(code === undefined ? undefined : systemError(code, "send"))
    }
    this.emptied?.()
  }

  private wait(): void {
    this.timer = later(this.timeoutMillis, () => {
      const { messages } = this
      this.messages = []
      for (const { sent } of messages) sent(systemError("ETIMEDOUT", "send"))
    })
    this.socket.onWritable(this.flush)
  }
}
