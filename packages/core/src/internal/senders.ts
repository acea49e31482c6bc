import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import type { ServerContext } from "./context.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { Sender } from "./sender.ts"

/**
 * Those who send datagrams to a server of sessions. A sender is to its datagrams
 * what a connection is to its requests: it is set up once, has its state, and ends,
 * when it has been silent for `senderTimeout`, or when there are more than
 * `maxSenders` and it is the one to go.
 *
 * Its address may be forged, and then it never comes again. So those go first that
 * have sent one datagram, as long as they are more than a quarter; then those that
 * have sent more. Of either it is who has been silent for longest. Whoever has a
 * datagram at work stays.
 */
export class Senders<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly setUp: (sender: Sender<In, Out>) => void
  private readonly known = new Map<string, Sender<In, Out>>()
  private readonly listeners = new Map<Endpoint.Endpoint, number>()
  /** Who has nothing at work, the longest silent first: those with one datagram, and those with more. */
  private readonly strangers = new Set<Sender<In, Out>>()
  private readonly regulars = new Set<Sender<In, Out>>()
  /** How many have sent one datagram, which is at work. */
  private newcomers = 0

  constructor(context: ServerContext<In, Out>, setUp: (sender: Sender<In, Out>) => void) {
    this.context = context
    this.setUp = setUp
  }

  get all(): Iterable<Sender<In, Out>> {
    return this.known.values()
  }

  /** The datagram of a connection is a request, of this sender. */
  join(connection: DatagramConnection<In, Out>): void {
    const key = this.keyOf(connection)
    const known = this.known.get(key)
    const sender = known ?? new Sender(this.context, this, key, connection)
    if (!this.strangers.delete(sender)) this.regulars.delete(sender)
    if (sender.datagrams.isFirst) this.newcomers--
    sender.join(connection)
    if (known !== undefined) return
    this.newcomers++
    this.known.set(key, sender)
    this.trim()
    this.setUp(sender)
  }

  /** A datagram of it has its end, and its handler, too. */
  rest(sender: Sender<In, Out>): void {
    if (sender.isForgotten) return this.release(sender)
    if (sender.datagrams.count > 1) this.regulars.add(sender)
    else {
      this.newcomers--
      this.strangers.add(sender)
    }
    this.trim()
  }

  /** Who sends again begins anew. What is at work ends as it would. */
  forget(sender: Sender<In, Out>): void {
    if (sender.isForgotten) return
    sender.isForgotten = true
    if (sender.datagrams.isFirst) this.newcomers--
    this.known.delete(sender.key)
    this.strangers.delete(sender)
    this.regulars.delete(sender)
    sender.timeouts.end()
    if (!sender.datagrams.isBusy) this.release(sender)
  }

  /** Other limits hold. */
  limited(): void {
    const now = this.context.now()
    for (const sender of this.known.values()) sender.timeouts.by(now + 1)
    this.trim()
  }

  /** The server has answered its last datagram, or cuts it off. */
  end(): void {
    const all = [...this.known.values()]
    // A stop looks again when each of them is released, and there are many.
    this.known.clear()
    for (const sender of all) {
      sender.datagrams.abandon()
      sender.dismiss("stop")
    }
  }

  private trim(): void {
    const { maxSenders } = this.context.limits
    const share = Math.max(1, maxSenders >> 2)
    while (this.known.size > maxSenders) {
      // Within their share they find room, or nobody new could ever come in. More of them drive out each other alone.
      const crowd = this.strangers.size + this.newcomers > share
      const [sender] = crowd || this.regulars.size === 0 ? this.strangers : this.regulars
      if (sender === undefined) return
      this.context.limitLog.reached("maxSenders", maxSenders, "forgotten", sender.peer.name)
      sender.dismiss("self")
    }
  }

  private release(sender: Sender<In, Out>): void {
    const finalizers = sender.release()
    if (finalizers !== undefined) this.context.events.left(finalizers)
  }

  /** The same peer is another sender to another listener. */
  private keyOf({ listener, peer }: Connection.Info): string {
    let number = this.listeners.get(listener)
    if (number === undefined) this.listeners.set(listener, (number = this.listeners.size))
    return `${number} ${peer.name}`
  }
}
