import type * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import type * as http from "node:http"
import type { Duplex } from "node:stream"
import type { Bytes } from "./bridgedSocket.ts"
import { Pieces } from "./pieces.ts"

/** A request whose turn comes later. */
export interface Waiting {
  readonly begin: () => void
  /** What it takes meanwhile, about. */
  readonly bytes: number
}

/** A connection as an HTTP server has it: how many requests are at work on it, and how it ends at a stop. */
export class Visit {
  readonly socket: Duplex
  readonly connection: Bytes
  private readonly end: (outcome?: Outcome.Outcome) => void
  private inFlight = 0
  private isStopping = false
  private isUpgraded = false
  private isClosed = false
  /** Requests that are in flight and have not begun, in their order. */
  private readonly waiting: Array<Waiting> = []
  private pieces: Pieces | undefined = undefined
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
  constructor(socket: Duplex, connection: Bytes, end: Visit["end"]) {
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

  /** Somebody else has the socket from now on. */
  upgraded(): void {
    this.inFlight++
    this.isUpgraded = true
    const { pieces, socket } = this
    const rest = pieces?.letGo()
    if (rest !== undefined && rest.length > 0 && !socket.readableEnded) socket.unshift(rest)
  }

  /** Whether a request waits, no more than so many are at work, and what was answered leaves. */
  mayBegin(most: number): boolean {
    const { inFlight, socket, waiting } = this
    return waiting.length > 0 && inFlight - waiting.length < most && !socket.writableNeedDrain
  }

  /** A request's turn comes later. */
  push(request: Waiting): void {
    this.waiting.push(request)
    this.charge(request.bytes)
  }

  /**
   * Node's parser gets what arrives in pieces from now on, and nothing while a request waits, or behind the last that is
   * answered. Of a peer that waits for its answers Node reads faster by itself. `onRoom` is called when a request may have room.
   */
  inPieces(onRoom: () => void): void {
    const { socket, waiting } = this
    if (this.pieces !== undefined || this.isClosed || socket.destroyed) return
    socket.on("drain", onRoom)
    const isFull = () => waiting.length > 0 || this.isClosing
    const inBody = () => this.newest?.complete === false
    this.pieces = new Pieces(socket, isFull, inBody)
  }

  /** Begins the next that waits, if one does. */
  beginNext(): boolean {
    const next = this.waiting.shift()
    if (next === undefined) return false
    this.charge(-next.bytes)
    if (this.waiting.length === 0) {
      // What comes after it is known before it says, at a stop, that it is the last.
      this.heldUntil = performance.now()
      this.pieces?.goOn()
    }
    next.begin()
    return true
  }

  /** What waits is not going to begin, since its answer could not leave; how many they are. */
  drop(): number {
    const dropped = this.waiting.splice(0)
    for (const { bytes } of dropped) this.charge(-bytes)
    return dropped.length
  }

  /** What waits counts in what its server may hold for all. */
  private charge(bytes: number): void {
    Remote.hold(this.connection, bytes)
  }

  /** The same of a message whose rest its peer has to send. */
  holds(bytes: number): void {
    Remote.hold(this.connection, bytes, true)
  }

  /** Its peer has not sent that in time. */
  isLate(outcome: Outcome.TimedOut): void {
    this.end(outcome)
    this.socket.destroy()
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
    if (this.pieces === undefined) this.socket.removeAllListeners("data")
    else this.pieces.letGo()
    this.end()
  }
}

const visitKey = Symbol("@socketserver/effect/internal/visit")

export const visitOf = (socket: object): Visit | undefined => (socket as { readonly [visitKey]?: Visit })[visitKey]
