/**
 * Who holds something that others want, what it waits for meanwhile, and for how
 * long: the one table of it. Nobody waits without a bound, and the waits form no
 * cycle: a place waits for a turn, a turn for those before it, which have begun,
 * and the first of a connection only for its handler and its reader.
 *
 * `docs/reference/limits.md` shows it, and a test holds the two together. What a
 * simulation prints of who waits for whom are rows of it, and `pnpm simulate` is
 * broken where a wait of requests never happens.
 */
export const waits = [
  {
    who: "a request that has not begun",
    holds: "its place in the pipeline of its connection",
    waitsFor: "place",
    bound: "turns",
    atMost:
      "one request of each other peer, and of its peer one of each other connection; then whichever place is free next"
  },
  {
    who: "a whole connection that has not begun",
    holds: "its place among `maxConnections`",
    waitsFor: "place",
    bound: "placeTimeout",
    atMost: "`placeTimeout`, then it is `Refused`"
  },
  {
    who: "a request that has begun",
    holds: "its place",
    waitsFor: "handler",
    bound: "author",
    atMost: "its author's time; `timeout=` of the policy, where it is set"
  },
  {
    who: "a reply that is not the first of its connection",
    holds: "no place; its key under `keyed`",
    waitsFor: "turn",
    bound: "turns",
    atMost: "the requests before it on its connection, all of which have begun or will before it"
  },
  {
    who: "a reply under `fiber`, `connection` or `keyed` whose peer does not read",
    holds: "no place, and no further request of its connection begins",
    waitsFor: "reader",
    bound: "writeTimeout",
    atMost: "as long as its connection, which waits for nothing of others"
  },
  {
    who: "a reply that has a place for one at a time (`sequential`, a key, a policy of one's own), while others wait for that",
    holds: "that place",
    waitsFor: "reader",
    bound: "placeTimeout",
    atMost:
      "`placeTimeout` without progress of its reader, six of them in all; then it is `Cancelled`, and its connection reset"
  },
  {
    who: "a reply of a worker of which more than 64 KiB wait for their turn or their reader, while others wait for that worker",
    holds: "a place of the worker",
    waitsFor: "reader",
    bound: "placeTimeout",
    atMost: "the same"
  },
  {
    who: "a connection that closes",
    holds: "its place among `maxConnections`",
    waitsFor: "reader",
    bound: "drainTimeout",
    atMost: "`drainTimeout` without progress of its reader, and a second for its peer to close"
  },
  {
    who: "a connection that is being opened",
    holds: "its place among `maxConnections`",
    waitsFor: "opening",
    bound: "opening",
    atMost: "`handshakeTimeout` and `proxyTimeout`, twice where it waits for its turn, and a minute in all"
  },
  {
    who: "a stop",
    holds: "the program",
    waitsFor: "everything",
    bound: "drainTimeout",
    atMost: "`drainTimeout`"
  }
] as const satisfies ReadonlyArray<Wait>

/** One row of the table. */
export interface Wait {
  readonly who: string
  /** What others may want of it. */
  readonly holds: string
  readonly waitsFor: "place" | "handler" | "turn" | "reader" | "opening" | "everything"
  /** The limit that ends it: an option, or the order in which requests take turns, or what the handler's author decides. */
  readonly bound: "turns" | "author" | "placeTimeout" | "writeTimeout" | "drainTimeout" | "opening"
  /** The bound in words, as the documentation has it. */
  readonly atMost: string
}
