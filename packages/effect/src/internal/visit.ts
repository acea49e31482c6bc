import type * as Connection from "@socketserver/core/Connection"
import type * as http from "node:http"
import type { Duplex } from "node:stream"

/** A connection as an HTTP server has it: how many requests are at work on it, and how it ends at a stop. */
export class Visit {
  readonly socket: Duplex
  readonly connection: Connection.Info
  private readonly end: () => void
  private inFlight = 0
  private isStopping = false
  private isUpgraded = false
  private isClosed = false
  /** Requests that are in flight and have not begun, in their order. */
  private readonly waiting: Array<() => void> = []
  private isHeld = false
  /** When it was held last, by `performance.now`. */
  private heldUntil = -Infinity
  /** How many requests have arrived, and the newest of them, whose body may not be there. */
  arrived = 0
  newest: http.IncomingMessage | undefined = undefined
  /** The response to what came last, while that is in flight. */
  private latest: http.ServerResponse | undefined = undefined
  /** The response that says that the connection closes after it. */
  private last: http.ServerResponse | undefined = undefined

  /** `end` closes it, once what was written has left. */
  constructor(socket: Duplex, connection: Connection.Info, end: () => void) {
    this.socket = socket
    this.connection = connection
    this.end = end
    // Node breaks off after the last answer, which is lost where something has arrived that nobody reads:
    // https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    const closing = "destroySoon" in socket ? { destroySoon: () => this.close() } : {}
    Object.assign(socket, { [visitKey]: this, ...closing })
  }

  /** Whether its peer owes and is owed nothing. */
  get isIdle(): boolean {
    return this.inFlight === 0
  }

  /** Whether it goes on when its peer closes it, as what was upgraded has an end of its own. */
  get isOwed(): boolean {
    return this.inFlight > 0 && !this.isUpgraded
  }

  /** Whether it has said that it closes, and answers nothing more. */
  get isClosing(): boolean {
    return this.isClosed || (this.last?.headersSent === true && !this.last.shouldKeepAlive)
  }

  /** Whether nothing is read of it now; and since when it is. */
  get isUnread(): boolean {
    return this.waiting.length > 0 || this.socket.isPaused()
  }

  get readSince(): number {
    return this.heldUntil
  }

  /** A request has arrived. `isLast`: the connection closes after its answer, unless another one arrives before that. */
  received(response: http.ServerResponse, isLast: boolean): void {
    this.inFlight++
    this.arrived++
    this.newest = response.req
    if (isLast || this.isStopping) this.closesAfter(response)
    this.latest = response
  }

  ended(response: http.ServerResponse): void {
    this.inFlight--
    if (this.latest === response) this.latest = undefined
    if (this.isStopping && this.isIdle) this.close()
  }

  upgraded(): void {
    this.letGo()
    this.inFlight++
    this.isUpgraded = true
  }

  /** Whether a request waits, and no more than so many are at work. */
  mayBegin(most: number): boolean {
    return this.waiting.length > 0 && this.inFlight - this.waiting.length < most
  }

  /** What begins a request whose turn comes later. Until none waits nothing more is read. */
  push(begin: () => void): void {
    this.waiting.push(begin)
    if (this.waiting.length === 1) this.hold()
  }

  beginNext(): void {
    const begin = this.waiting.shift()
    if (this.waiting.length === 0) {
      this.heldUntil = performance.now()
      this.socket.resume()
    }
    begin?.()
  }

  /** Somebody else has the socket from now on. What waits could not be answered any more, and does not begin. */
  private letGo(): void {
    if (this.waiting.length === 0) return
    this.waiting.splice(0)
    // Node has taken away what would have told its handle to read on. The stream does so when it wants more, and
    // finds that out when nothing comes: https://nodejs.org/api/stream.html#readablepush
    this.socket.push("")
  }

  private hold(): void {
    this.socket.pause()
    if (this.isHeld) return
    this.isHeld = true
    // Node reads on after each request, whoever has paused it; and if it has begun to, a pause alone tells its handle
    // nothing: of a stream that does not flow it is no event.
    this.socket.on("resume", () => {
      if (this.waiting.length === 0) return
      this.socket.pause()
      this.socket.emit("pause")
    })
    // Nobody is there to be answered.
    this.socket.once("close", () => void this.waiting.splice(0))
  }

  /** The server stops: what was received is answered, and says that the connection closes. */
  stop(): void {
    this.isStopping = true
    if (this.latest !== undefined) this.closesAfter(this.latest)
  }

  /** What had arrived has been taken for requests: it closes, unless there are any. */
  stopped(): void {
    if (this.isIdle) this.close()
  }

  /** Only the last of several answers may say so: those behind it would be lost. */
  private closesAfter(response: http.ServerResponse): void {
    if (this.last !== undefined && !this.last.headersSent) this.last.shouldKeepAlive = true
    if (!response.headersSent) response.shouldKeepAlive = false
    this.last = response
  }

  /** What was written leaves, and what the peer sends from now on is read, and nobody takes it for a request. */
  private close(): void {
    this.isClosed = true
    this.socket.removeAllListeners("data")
    this.end()
  }
}

const visitKey = Symbol("@socketserver/effect/internal/visit")

export const visitOf = (socket: object): Visit | undefined => (socket as { readonly [visitKey]?: Visit })[visitKey]
