/** Who listens to which channel, and to which patterns of channels. */
import { Resp } from "@socketserver/protocols"
import { type Effort, matches } from "./glob.ts"
import type { Outgoing } from "./outgoing.ts"
import * as replies from "./replies.ts"

/** A connection as the channels know it. */
export interface Listener {
  readonly outgoing: Outgoing
  /** Makes of a push what its connection speaks. */
  readonly spoken: (reply: Resp.Reply) => Resp.Reply
}

export type Kind = "channels" | "patterns"

export class Channels {
  private readonly channels = new Map<string, Set<Listener>>()
  private readonly patterns = new Map<string, Set<Listener>>()

  add(kind: Kind, name: string, listener: Listener): void {
    const listeners = this[kind].get(name)
    if (listeners === undefined) this[kind].set(name, new Set([listener]))
    else listeners.add(listener)
  }

  delete(kind: Kind, name: string, listener: Listener): void {
    const listeners = this[kind].get(name)
    listeners?.delete(listener)
    if (listeners?.size === 0) this[kind].delete(name)
  }

  get counts(): { readonly channels: number; readonly patterns: number } {
    return { channels: this.channels.size, patterns: this.patterns.size }
  }

  /** Sends a message to all who listen; how many they are. */
  publish(channel: string, message: string | Uint8Array, effort: Effort): number {
    let count = 0
    const size = channel.length + message.length + 128
    const send = (listeners: Iterable<Listener>, reply: Resp.Reply) => {
      for (const { outgoing, spoken } of listeners) {
        outgoing.send(spoken(reply), size)
        count++
      }
    }
    const [to, text] = [replies.key(channel), Resp.bulk(message)]
    const listeners = this.channels.get(channel)
    if (listeners !== undefined) send(listeners, Resp.push([Resp.bulk("message"), to, text]))
    for (const [pattern, listeners] of this.patterns) {
      if (!matches(pattern, channel, effort)) continue
      send(listeners, Resp.push([Resp.bulk("pmessage"), replies.key(pattern), to, text]))
    }
    return count
  }
}
