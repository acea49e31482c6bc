import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import { type Codec, Unencodable } from "../Protocol.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import { Conversation, unencodable } from "./conversation.ts"
import { decodeDatagram } from "./decoders.ts"
import { Duplex } from "./duplex.ts"
import type { Engine } from "./engine.ts"
import type { Incoming } from "./incoming.ts"
import { Outbox } from "./outbox.ts"
import { ReplyWire } from "./replyWire.ts"

/**
 * The server's end of a datagram: one request, and the datagrams that go back.
 *
 * The request has its outcome when the system has taken the last of them, or
 * would not take one. Nothing is known of the peer after that; `push` still
 * reaches it.
 */
export class Exchange<In, Out> extends Conversation<In, Out> {
  readonly outbox: Outbox<Out>
  private readonly datagram: Wire.Datagram
  private readonly wire: ReplyWire
  /** The connection that is the request, where the protocol makes it one. */
  private duplex: Duplex<unknown, Out> | undefined = undefined
  /** How the request ends once everything has been sent. */
  private verdict: Outcome.Outcome | undefined = undefined

  constructor(engine: Engine<In, Out>, datagram: Wire.Datagram, id: number) {
    super(engine, id)
    this.datagram = datagram
    this.wire = new ReplyWire(datagram, {
      onSent: (failure) => this.onSent(failure),
      onEnded: () => this.duplex?.onFinish(),
      onReset: () => this.end(Outcome.cancelled("ConnectionClosed"))
    })
    this.outbox = new Outbox(this.wire, this.codec, engine.turn)
  }

  private get codec(): Codec<unknown, Out> {
    return this.engine.protocol.server as Codec<unknown, Out>
  }

  get peer(): Peer.Peer {
    return this.datagram.peer
  }
  get listener(): Endpoint.Endpoint {
    return this.datagram.listener
  }
  get bytesRead(): number {
    return this.datagram.data.length
  }
  get bytesWritten(): number {
    return this.wire.bytesWritten
  }

  /** Each push is a datagram of its own, also after the answer. */
  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => {
        const encoded = Result.getOrElse(
          Result.try(() => this.codec.datagram.encode(message)),
          (error) => new Unencodable(`the encoder threw: ${String(error)}`)
        )
        if (encoded instanceof Unencodable) return this.fails({ _tag: "EncodeFailed", problem: encoded.problem })
        return Effect.callback<void, Connection.ConnectionError>((resume) =>
          this.wire.send(encoded, (failure) => resume(failure === undefined ? Effect.void : this.fails(failure)))
        )
      })
  }

  /** Makes the request, or says why the datagram is none. */
  open(): void {
    if (this.engine.protocol.kind === "connection") {
      const { codec, outbox, wire } = this
      this.duplex = new Duplex({ wire, codec, outbox, info: this, holds: true })
      this.duplex.onData(this.datagram.data)
      this.duplex.onEnd()
      return this.engine.arrive([this.receive(this.duplex as never)])
    }
    const decoded = decodeDatagram(this.codec as Codec<In, never>, this.datagram.data)
    if (Result.isSuccess(decoded)) return this.engine.arrive([this.receive(decoded.success)])
    this.engine.ledger.record(decoded.failure, undefined, this)
    const last = this.engine.lastWords(decoded.failure, this)
    if (last?._tag === "Reply") this.outbox.add(last.value)
    this.leave()
  }

  answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    if (incoming.settled !== undefined) return
    if (response._tag === "Reply") {
      // A reply that can no longer leave must not be recorded as if it had.
      if (this.outbox.ending) return this.cancel(incoming, Outcome.cancelled("ConnectionClosed"))
      const problem = this.outbox.add(response.value)
      if (problem !== undefined) return this.settle(incoming, unencodable(problem))
    }
    this.duplex?.begun()
    // The connection ends with its handler.
    if (this.duplex !== undefined) this.outbox.end()
    this.verdict = response.outcome ?? this.duplex?.fault ?? Outcome.completed
    this.progress()
  }

  override started(): void {
    super.started()
    this.duplex?.begun()
  }

  isTurnOf(): boolean {
    return true
  }

  activeSince(): boolean {
    return true
  }

  /** A datagram that was received is answered. */
  stop(): void {}

  cut(): void {
    this.abandonHandlers()
    this.outbox.close()
    this.release()
  }

  drop(incoming: Incoming<In, Out>): void {
    this.cancel(incoming, this.engine.isStopping ? Outcome.drained : Outcome.cancelled("ConnectionClosed"))
  }

  /** Nothing more is sent; the handler that asks for it may go on. */
  protected shut(): void {
    this.outbox.end()
  }

  protected override settle(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    super.settle(incoming, outcome)
    this.leave()
  }

  private onSent(failure: Outcome.Undelivered | undefined): void {
    this.engine.turn.run(() => {
      if (failure !== undefined) return this.end(failure)
      // With the first of many only a little room is made.
      if (this.wire.unsent === 0) this.outbox.onDrain()
      this.progress()
    })
  }

  private end(outcome: Outcome.Outcome): void {
    this.outbox.close()
    this.duplex?.onClose(undefined)
    if (this.first !== undefined) this.cancel(this.first, outcome)
  }

  private progress(): void {
    if (this.first !== undefined && this.verdict !== undefined && !this.outbox.pending && this.wire.unsent === 0) {
      this.settle(this.first, this.verdict)
    }
  }

  private leave(): void {
    this.state = "closed"
    this.release()
  }
}
