/** The sockets that a copy takes what comes to: its own, and those that it has borrowed. */

/** A socket of the system, as Node holds it, that somebody else has bound. */
export interface Native {
  close: (done?: () => void) => void
  readonly getsockname?: (out: { port?: number }) => number
}

/** What Node sets on one that it listens on or receives from, and shows nobody: who gets what comes, and by what. */
interface Listening extends Native {
  onconnection?: unknown
  onmessage?: unknown
  onerror?: unknown
  readonly listen?: (backlog: number) => number
  readonly recvStart?: () => number
}

export class Handles {
  /** By what they were asked for. */
  private readonly own = new Map<string, Listening>()
  /** Those of other places. */
  private readonly borrowed = new Map<number, Array<Native>>()

  /** It has a socket of its own, until that is closed; what is borrowed beside it is closed with it. */
  has(key: string, handle: Native): void {
    this.own.set(key, handle)
    const { close } = handle
    handle.close = (done) => {
      this.own.delete(key)
      if (this.own.size === 0) this.giveAllBack()
      close.call(handle, done)
    }
  }

  /** Whoever gets what comes to its own gets what comes to this one, too. */
  borrow(place: number, key: string, handle: Listening): void {
    const own = this.own.get(key)
    if (own === undefined) return handle.close()
    this.borrowed.set(place, [...(this.borrowed.get(place) ?? []), handle])
    // Whose it is: Node looks that up by a symbol of its own.
    for (const symbol of Object.getOwnPropertySymbols(own)) Object.assign(handle, { [symbol]: own[symbol as never] })
    const { onconnection, onerror, onmessage } = own
    Object.assign(handle, { onconnection, onerror, onmessage })
    // It listens already: the system keeps who waits there.
    if (handle.listen === undefined) handle.recvStart?.()
    else handle.listen(backlog)
  }

  giveBack(place: number): void {
    for (const handle of this.borrowed.get(place) ?? []) handle.close()
    this.borrowed.delete(place)
  }

  giveAllBack(): void {
    for (const place of this.borrowed.keys()) this.giveBack(place)
  }
}

/** As Node has it by default. */
const backlog = 511
