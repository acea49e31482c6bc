import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Connection from "../Connection.ts"
import type * as Outcome from "../Outcome.ts"
import type { DecodeError } from "../Protocol.ts"
import type { Inbox } from "./inbox.ts"
import type { Inflow } from "./inflow.ts"
import type { Reader } from "./reading.ts"

/** From what has come to messages in the inbox, as many as somebody waits for: before the rest is decoded nothing more is read. */
export class Decoding<In> {
  /** Why it could not be decoded, or the connection not be upgraded. */
  fault: DecodeError | Outcome.Refused | undefined = undefined
  private readonly inflow: Inflow
  private readonly reader: Reader<In>
  private readonly inbox: Inbox<In>
  /** How the inbox ends, when all that has come is decoded. */
  private ending: Exit.Exit<never, Connection.ConnectionError> | "ended" | undefined = undefined
  private isBusy = false
  /** Whether it goes on in a later turn. */
  private isResting = false

  constructor(inflow: Inflow, reader: Reader<In>, inbox: Inbox<In>) {
    this.inflow = inflow
    this.reader = reader
    this.inbox = inbox
  }

  get wantsMore(): boolean {
    const { inbox, inflow } = this
    return inbox.wants(!inflow.isOpen) && inflow.owner.mayDecode?.() !== false
  }

  /** How it has ended, where no more bytes come. */
  get ended(): Exit.Exit<never, Connection.ConnectionError | Cause.Done> | undefined {
    if (this.inflow.isOpen) return undefined
    const { ending = "ended" } = this
    return ending === "ended" ? done : ending
  }

  /** Reads on, where that is wanted and nothing is left to decode. */
  readOn(wants: boolean): void {
    // Of a server that says what is wrong nothing more is wanted: it would say so for ever.
    const isWanted = this.inbox.taker === undefined || this.fault === undefined || this.reader.separate
    this.inflow.read(wants && isWanted && !this.reader.isBehind)
  }

  /** Decodes a chunk, or the end of the input. */
  decode(chunk: Uint8Array | undefined): void {
    this.inbox.expect(chunk?.length ?? 0)
    this.decoded(this.reader.read(chunk, this.inflow.wire.bytesRead, this.wantsMore ? mostDecoded : 0))
    this.catchUp()
    this.readOn(this.wantsMore)
  }

  /** Decodes more of what has arrived, for as long as somebody waits for it. */
  catchUp(): void {
    if (this.isBusy) return
    this.isBusy = true
    const { inbox, inflow, reader } = this
    while (reader.isBehind && this.wantsMore && !this.isResting) {
      const { received } = inbox
      this.decoded(reader.more(inflow.wire.bytesRead, mostDecoded))
      // What is no message, as an empty line of JSON, fills no inbox.
      if (received === inbox.received && inflow.owner.later !== undefined) this.rest()
    }
    this.isBusy = false
    if (this.ending !== undefined && !reader.isBehind) this.end()
  }

  private rest(): void {
    this.isResting = true
    this.inflow.owner.later?.(() => {
      this.isResting = false
      this.catchUp()
      this.readOn(this.wantsMore)
    })
  }

  private decoded(fault: DecodeError | undefined): void {
    const { isRefused, messages, payloads } = this.reader
    if (isRefused) {
      this.reader.clear()
      return this.reader.holder?.overflow()
    }
    if (messages.length > 0) {
      this.reader.clear()
      this.inbox.receive(messages, payloads)
    }
    if (fault !== undefined) this.fail(fault)
  }

  private fail(fault: DecodeError): void {
    this.fault = fault
    const error = new Connection.ConnectionError({ reason: fault, peer: this.inflow.wire.peer })
    if (this.reader.separate) this.inbox.offerFault(error)
    else {
      this.inflow.state = "ended"
      this.ending = Exit.fail(error)
      this.end()
    }
  }

  /** Nothing more will come: ends the inbox, once what has come is decoded. */
  end(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    this.ending ??= exit ?? "ended"
    // What is left may hold what somebody waits for, who is not to wait for those who read.
    if (this.reader.isBehind && this.inbox.taker !== undefined) this.catchUp()
    if (this.reader.isBehind) return
    this.inbox.end(this.ending === "ended" ? undefined : this.ending)
  }
}

const done = Exit.fail(Cause.Done())

/** How many messages are decoded ahead of whoever reads them. */
const mostDecoded = 128
