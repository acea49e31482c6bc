import type * as Effect from "effect/Effect"
import type * as NodeHttp from "node:http"
import type { Duplex } from "node:stream"
import { AsyncLocalStorage } from "node:async_hooks"
import { forgiven } from "./forgiving.ts"
import { Pipelines } from "./pipelines.ts"
import type { Visit } from "./visit.ts"
import { visitOf } from "./visit.ts"

// As a module of its own kind it would load what fetches, too.
const http = process.getBuiltinModule("node:http") as typeof NodeHttp

interface Limits {
  /** How long a connection is kept, in milliseconds: the first answer after that is its last. */
  readonly lifetimeMillis: number
  /** How many requests of a connection are at work at once. */
  readonly maxPipelined: number
}

/** Where it listens, as `address` of a server of Node says it. */
export type Address = string | { readonly address: string; readonly port: number }

/**
 * A server of `node:http` that binds nothing: its connections are brought to it, and
 * it counts the requests on each.
 */
export class HttpListener extends http.Server {
  private readonly where: Address
  private readonly shutdown: (done: () => void) => void
  private isOpen = false
  private readonly limits: () => Limits
  private readonly isLeaving: () => boolean
  private readonly now: () => number
  private readonly pipelines: Pipelines
  private readonly ended: (this: NodeHttp.ServerResponse) => void

  constructor(
    options: NodeHttp.ServerOptions,
    more: {
      readonly address: Address
      readonly keepAliveMillis: number
      /** Those of its server, which may be changed while it runs. */
      readonly limits: () => Limits
      /** Whether that stops soon: no connection is kept any longer. */
      readonly isLeaving: () => boolean
      readonly now: () => number
      /** Stops the server whose connections these are, and waits for it. */
      readonly shutdown: Effect.Effect<unknown>
      readonly run: (effect: Effect.Effect<unknown>, done: () => void) => void
    }
  ) {
    super(options)
    this.where = more.address
    this.limits = more.limits
    this.isLeaving = more.isLeaving
    this.now = more.now
    this.pipelines = new Pipelines(() => more.limits().maxPipelined)
    this.ended = endedOf(this.pipelines)
    this.shutdown = (done) => more.run(more.shutdown, done)
    this.keepAliveTimeout = more.keepAliveMillis
    // Who half-closes after a request is answered.
    Object.assign(this, { httpAllowHalfOpen: true })
    // A property there, so that it cannot be overridden.
    Object.defineProperty(this, "listening", { get: () => this.isOpen })
    this.on("upgrade", (request: NodeHttp.IncomingMessage) => {
      const visit = visitOf(request.socket)
      if (visit !== undefined) this.pipelines.left(visit)
      visit?.upgraded()
    })
  }

  override emit(event: string | symbol, ...args: ReadonlyArray<unknown>): boolean {
    switch (event) {
      case "request":
      case "checkContinue":
        return this.onRequest(event, ...(args as [NodeHttp.IncomingMessage, NodeHttp.ServerResponse]))
      case "clientError":
        return this.onClientError(...(args as [NodeJS.ErrnoException, Duplex]))
      default:
        return super.emit(event, ...args)
    }
  }

  /** It begins at once, unless one of its connection is at work: then it has its turn. */
  private onRequest(event: string, request: NodeHttp.IncomingMessage, response: NodeHttp.ServerResponse): boolean {
    const visit = visitOf(request.socket)
    if (visit === undefined) return super.emit(event, request, response)
    if (visit.isClosing) {
      // Nobody hears of it, and nothing more is read until it closes.
      visit.inPieces(() => {})
      return true
    }
    const isFirst = visit.isIdle
    visit.received(response, this.isOld(visit) || this.isLeaving())
    response.on("close", this.ended)
    if (isFirst) return super.emit(event, request, response)
    this.pipelines.add(visit, {
      // Whatever is known by who called belongs to it, and not to the one whose turn it was before.
      begin: AsyncLocalStorage.bind(() => void super.emit(event, request, response)),
      bytes: bytesOf(request)
    })
    return true
  }

  private isOld({ connection }: Visit): boolean {
    const { lifetimeMillis } = this.limits()
    return lifetimeMillis !== Infinity && this.now() - connection.openedAt >= lifetimeMillis
  }

  private onClientError(error: NodeJS.ErrnoException, socket: Duplex): boolean {
    const visit = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? visitOf(socket) : undefined
    if (visit === undefined) return super.emit("clientError", error, socket)
    return forgiven(visit, this, () => {
      // As Node does, but in the place of no other answer.
      if (visit.isIdle && socket.writable) socket.write("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
      socket.destroy(error)
    })
  }

  /** A connection whose socket it gets, with all that was received. */
  bring(visit: Visit): void {
    const { socket } = visit
    this.emit("connection", socket)
    this.pipelines.came(visit)
    socket.resume()
  }

  override listen(...args: ReadonlyArray<unknown>): this {
    this.isOpen = true
    const listening = args.at(-1)
    // It begins to look for requests that take too long.
    this.emit("listening")
    if (typeof listening === "function") listening()
    return this
  }

  override address(): ReturnType<NodeHttp.Server["address"]> {
    return this.where as ReturnType<NodeHttp.Server["address"]>
  }

  override close(done?: (error?: Error) => void): this {
    this.isOpen = false
    this.shutdown(() => {
      // It ends its looking; that it does not listen is no error.
      super.close(() => {})
      done?.()
    })
    return this
  }
}

/** What is called at the end of a response; one for all of them. */
const endedOf = (pipelines: Pipelines) =>
  function (this: NodeHttp.ServerResponse): void {
    const visit = visitOf(this.req.socket)
    if (visit === undefined) return
    visit.ended(this)
    pipelines.look(visit)
  }

/** What Node makes of a head, and of the answer to it, and its text, as it came and by name; twice, for what has died and not been collected. */
const bytesOf = ({ rawHeaders, url = "" }: NodeHttp.IncomingMessage): number =>
  rawHeaders.reduce((sum, text) => sum + 4 * text.length, 8_192 + 2 * url.length)
