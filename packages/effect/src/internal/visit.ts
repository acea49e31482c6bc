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
  /** The response to what came last, while that is at work. */
  private latest: http.ServerResponse | undefined = undefined
  /** The response that says that the connection closes after it. */
  private last: http.ServerResponse | undefined = undefined

  /** `end` closes it, once what was written has left. */
  constructor(socket: Duplex, connection: Connection.Info, end: () => void) {
    this.socket = socket
    this.connection = connection
    this.end = end
    Object.assign(socket, { [visitKey]: this })
  }

  /** Whether its peer owes and is owed nothing. */
  get isIdle(): boolean {
    return this.inFlight === 0
  }

  /** Whether it goes on when its peer closes it, as what was upgraded has an end of its own. */
  get isOwed(): boolean {
    return this.inFlight > 0 && !this.isUpgraded
  }

  began(response: http.ServerResponse): void {
    this.inFlight++
    if (this.isStopping) this.closesAfter(response)
    this.latest = response
  }

  ended(response: http.ServerResponse): void {
    this.inFlight--
    if (this.latest === response) this.latest = undefined
    if (this.isStopping && this.isIdle) this.close()
  }

  upgraded(): void {
    this.inFlight++
    this.isUpgraded = true
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

  /** What the peer sends from now on nobody takes for a request. */
  private close(): void {
    this.socket.removeAllListeners("data")
    this.end()
  }
}

const visitKey = Symbol("@socketserver/effect/internal/visit")

export const visitOf = (socket: object): Visit | undefined => (socket as { readonly [visitKey]?: Visit })[visitKey]
