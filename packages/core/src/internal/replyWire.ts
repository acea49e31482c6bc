import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"

/** Whose replies they are. */
export interface ReplyOwner {
  /** A reply that was written has been sent, or could not be. */
  readonly onSent?: (failure: Outcome.Undelivered | undefined) => void
  /** Why so many bytes may not be sent, if they may not. Asked for each reply, before it is handed to the transport. */
  readonly withholds: (bytes: number) => Outcome.Undelivered | undefined
  /** The system has taken so many bytes. */
  readonly wrote: (bytes: number) => void
  /** No more replies will be written. */
  readonly onEnded?: () => void
  /** The handler breaks it off. */
  readonly onReset?: () => void
}

/** The way back of a datagram, as a wire that only writes. */
export class ReplyWire implements Wire.Wire {
  readonly carries = "datagrams"
  readonly resetsOnClose = false
  bytesWritten = 0
  bytesUnsent = 0
  /** Replies that the system has not taken yet. */
  unsent = 0
  readonly datagram: Wire.Datagram
  private owner: ReplyOwner | undefined = undefined

  constructor(datagram: Wire.Datagram) {
    this.datagram = datagram
  }

  belongTo(owner: ReplyOwner): void {
    this.owner = owner
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

  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === "string" ? utf8.encode(data) : data
    this.unsent++
    this.bytesUnsent += bytes.length
    this.send(bytes, (failure) => {
      this.unsent--
      this.bytesUnsent -= bytes.length
      this.owner?.onSent?.(failure)
    })
    return this.unsent === 0
  }

  /** Sends without a word to the owner. */
  send(bytes: Uint8Array, sent: (failure?: Outcome.Undelivered) => void): void {
    const withheld = this.owner?.withholds(bytes.length)
    if (withheld !== undefined) return sent(withheld)
    let told = false
    const done = (failure?: Outcome.Undelivered) => {
      if (told) return
      told = true
      if (failure === undefined) {
        this.bytesWritten += bytes.length
        this.owner?.wrote(bytes.length)
      }
      sent(failure)
    }
    // oxlint-disable-next-line socketserver/no-try -- a transport is foreign code: what it throws is the reply's outcome
    try {
      this.datagram.reply(bytes, done)
    } catch (error) {
      done(Outcome.undelivered("Other", error))
    }
  }

  end(): void {
    this.owner?.onEnded?.()
  }

  start(): void {}
  pause(): void {}
  resume(): void {}
  destroy(): void {}
  reset(): void {
    this.owner?.onReset?.()
  }
}

const utf8 = new TextEncoder()
