/** What commands answer: the errors that Redis has words for, values, and arrays that do not grow beyond what is sent at once. */
import { Resp } from "@socketserver/protocols"
import type { Value } from "./store.ts"

export const wrongType = Resp.error("WRONGTYPE Operation against a key holding the wrong kind of value")
export const noInteger = Resp.error("ERR value is not an integer or out of range")
export const syntax = Resp.error("ERR syntax error")
export const zero = Resp.integer(0)
export const overflow = Resp.error("ERR increment or decrement would overflow")
export const tooLong = Resp.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")

export const outOfMemory = "OOM command not allowed when used memory > 'maxmemory'."
export const wrongNumberOf = (name: string): string => `ERR wrong number of arguments for '${name}' command`
export const wrongNumber = (name: string): Resp.Reply => Resp.error(wrongNumberOf(name))
export const wrongTime = (name: string): Resp.Reply => Resp.error(`ERR invalid expire time in '${name}' command`)

export const value = (of: Value | undefined): Resp.Reply => (of === undefined ? Resp.nil : Resp.bulk(of))

/** A key, a field or a channel: its characters are bytes. */
export const key = (name: string): Resp.Reply =>
  Resp.bulk(/[\x80-\xff]/.test(name) ? Uint8Array.from(name, (byte) => byte.charCodeAt(0)) : name)

/** The most that is answered at once. What would be more is an error, and no end of the connection. */
export const mostBytes = 7 * 1_048_576

export const tooMuch = Resp.error(`ERR the reply would have more than ${mostBytes} bytes`)

/** About how many bytes a reply has. */
export const weightOf = (reply: Resp.Reply): number => {
  switch (reply._tag) {
    case "BulkString":
    case "SimpleString":
    case "Error":
      return reply.value.length + 16
    case "Array":
    case "Several":
      return reply.value.reduce((sum, one) => sum + weightOf(one), 16)
    case "Map":
      return reply.value.reduce((sum, [key, value]) => sum + weightOf(key) + weightOf(value), 16)
    default:
      return 64
  }
}

/** Replies in a row, as long as they are not too much. */
export class Collected {
  private readonly replies: Array<Resp.Reply> = []
  private bytes = 0

  /** Whether more may follow. */
  add(reply: Resp.Reply): boolean {
    this.bytes += weightOf(reply)
    if (this.bytes > mostBytes) return false
    this.replies.push(reply)
    return true
  }

  get array(): Resp.Reply {
    return this.bytes > mostBytes ? tooMuch : Resp.array(this.replies)
  }

  /** The same as pairs: every other one is a key. */
  get map(): Resp.Reply {
    const { bytes, replies } = this
    if (bytes > mostBytes) return tooMuch
    const pair = (_: unknown, i: number) => [replies[2 * i]!, replies[2 * i + 1]!] as const
    return Resp.map(Array.from({ length: replies.length / 2 }, pair))
  }
}
