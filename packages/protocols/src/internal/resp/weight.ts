import type { Payload } from "@socketserver/core/Protocol"

/** What commands and replies take in memory beside their bytes, as V8 lays them out. */

/** A command, its view of the bytes, its list of places. */
const each = 320
/** A word: two places. The least that one has on the wire is six bytes. */
const eachWord = 16

/** How many requests of a connection may be in flight, by default. */
const mostAtOnce = 128

/** At most; of one command, as the number at its head tells. */
export const ofCommands = (bytes: number, payload?: Payload): number => {
  // An inline command may be two bytes. It is as many words, as an array of which it is kept.
  if (payload === undefined || typeof payload === "string")
    return Math.min(bytes, 2 * mostAtOnce) * (each / 2) + bytes * 4
  let words = 0
  for (let i = 1; i < 9; i++) {
    const digit = (payload[i] ?? 0) - 48
    if (digit < 0 || digit > 9) break
    words = words * 10 + digit
  }
  return each + words * eachWord
}

/** At most: `_\r\n` is an object in an array. */
export const ofReplies = (bytes: number): number => bytes * 24
