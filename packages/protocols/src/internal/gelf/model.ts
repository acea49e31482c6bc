/** What GELF's parts are: `Gelf` has these as its own. */

export interface Message {
  readonly _tag: "Message"
  /** `"1.1"`; some senders leave it out. */
  readonly version: string | undefined
  readonly host: string
  readonly shortMessage: string
  readonly fullMessage: string | undefined
  /** Seconds since 1970, with a fraction. */
  readonly timestamp: number | undefined
  /** The severity of syslog, 0 (the gravest) to 7. */
  readonly level: number | undefined
  /** Everything else, by the names that it has there: `_user_id`, and `facility`, `line` and `file` of older senders. */
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

/** A whole message in gzip or zlib, as it came. */
export interface Compressed {
  readonly _tag: "Compressed"
  readonly bytes: Uint8Array
}

/** One of the pieces of a message that is larger than a datagram. */
export interface Chunk {
  readonly _tag: "Chunk"
  /** Of the message: eight bytes in hexadecimal. */
  readonly id: string
  /** Which of them it is, from 0. */
  readonly index: number
  /** How many there are, at most 128. */
  readonly count: number
  readonly bytes: Uint8Array
}

export type Part = Message | Compressed | Chunk

/** How many chunks a message may have. */
export const mostChunks = 128
export const chunkHeader = 12
