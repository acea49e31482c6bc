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
    who: "a request or a control message that comes while `maxPipelined` requests are in flight, of a protocol that has control messages",
    holds: "nothing; it counts in `maxBuffered`, and then nothing is read",
    waitsFor: "place",
    bound: "turns",
    atMost: "the requests before it on its connection"
  },
  {
    who: "a request for which no worker is ready",
    holds: "its place in the pipeline of its connection",
    waitsFor: "place",
    bound: "startTimeout",
    atMost:
      "`startTimeout`, and 6.4 seconds before the next start; once five starts have failed it ends as `WorkerCrashed`"
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
    atMost:
      "its author's time; `timeout=` of the policy, `deadline=` of its workers and `requestTimeout`, where they are set"
  },
  {
    who: "a request whose handler waits for what its peer says about it (`Request.awaitPeer`: the acknowledgement of a stream)",
    holds: "no place; that of its connection among `maxConnections`",
    waitsFor: "peer",
    bound: "room",
    atMost:
      "as long as there is room, in `maxConnections` and in `maxMemory`: where all of its connection waits so, that makes room for others as a silent one does"
  },
  {
    who: "the same where its place is for one at a time, or in a worker, while others wait for that",
    holds: "that place",
    waitsFor: "peer",
    bound: "placeTimeout",
    atMost: "six times `placeTimeout` in all; then it is `Cancelled`, and its connection reset"
  },
  {
    who: "a request, or a control message, that a rate holds back (`Middleware.rateLimit`, `perSecond`)",
    holds: "the place that it has, if it has one",
    waitsFor: "rate",
    bound: "rate",
    atMost: "`maxDelay`; some milliseconds"
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
    who: "a connection of which something is unsent: replies, pushes, what the handler of a whole connection writes",
    holds: "its place among `maxConnections`",
    waitsFor: "reader",
    bound: "writeTimeout",
    atMost: "`writeTimeout` without progress of its reader; then it is reset"
  },
  {
    who: "a datagram whose answer has not left",
    holds: "its place among `maxConnections`",
    waitsFor: "reader",
    bound: "sendTimeout",
    atMost: "`sendTimeout` of `unixgram`; over UDP the system takes it, or does not, at once"
  },
  {
    who: "a connection with nothing in flight",
    holds: "its place among `maxConnections`",
    waitsFor: "peer",
    bound: "room",
    atMost:
      "as long as there is room, and a second; a frame that has begun `frameTimeout`; `firstByteTimeout` and `idleTimeout`, where they are set"
  },
  {
    who: "a connection with a `Session`, a whole connection that has begun",
    holds: "its place among `maxConnections`",
    waitsFor: "peer",
    bound: "author",
    atMost:
      "its author's time; `frameTimeout`, `idleTimeout`; of HTTP `headersTimeout`, `requestTimeout` and `keepAliveTimeout` of `HttpBridge`"
  },
  {
    who: "a connection, or a sender of datagrams, whose `Session` is being set up",
    holds: "its place among `maxConnections`, or `maxSenders`",
    waitsFor: "setUp",
    bound: "loginTimeout",
    atMost: "`loginTimeout`; then it is `Refused`, and what it has asked for meanwhile"
  },
  {
    who: "a sender of datagrams whose `Session` is set up",
    holds: "its place among `maxSenders`",
    waitsFor: "peer",
    bound: "senderTimeout",
    atMost: "`senderTimeout` of silence; and as long as there is room, where nothing of it is at work"
  },
  {
    who: "a connection whose peer is gone, while a handler of it runs on",
    holds: "its place among `maxConnections`",
    waitsFor: "handler",
    bound: "author",
    atMost: "its author's time: others were interrupted"
  },
  {
    who: "a worker that is to let go of a request, or to end",
    holds: "its place among the workers",
    waitsFor: "handler",
    bound: "gracePeriod",
    atMost: "`gracePeriod`; then it is killed"
  },
  {
    who: "a connection that closes",
    holds: "its place among `maxConnections`",
    waitsFor: "reader",
    bound: "drainTimeout",
    atMost:
      "`drainTimeout`, or `writeTimeout` if that is less, without progress of its reader, and a second for its peer to close"
  },
  {
    who: "a connection that is being opened",
    holds: "its place among `maxConnections`",
    waitsFor: "opening",
    bound: "opening",
    atMost: "`handshakeTimeout` and `proxyTimeout`, twice where it waits for its turn, and a minute in all"
  },
  {
    who: "a connection that is being opened and whose peer sends nothing more for that, while others wait for a turn",
    holds: "its turn, one of `maxOpening`",
    waitsFor: "peer",
    bound: "opening",
    atMost:
      "a second; then it waits for another turn behind them, within its `handshakeTimeout` or `proxyTimeout`; one that waits for its first byte needs none"
  },
  {
    who: "a connection over what its peer may have",
    holds: "its place among `maxConnections`, which goes to whoever needs it",
    waitsFor: "place",
    bound: "maxPeerWait",
    atMost: "`maxPeerWait`, at most 30 seconds; then it is `Refused`"
  },
  {
    who: "a connection that its handler puts TLS under",
    holds: "what its handler has",
    waitsFor: "opening",
    bound: "opening",
    atMost: "`handshakeTimeout`"
  },
  {
    who: "a peer that is told why it is turned away",
    holds: "one of 32 last words",
    waitsFor: "reader",
    bound: "opening",
    atMost: "a second"
  },
  {
    who: "a stop",
    holds: "the program",
    waitsFor: "everything",
    bound: "drainTimeout",
    atMost: "`drainTimeout`"
  },
  {
    who: "a copy (`PREFORK`) that starts, hangs or stops",
    holds: "its sockets, which another one is started for",
    waitsFor: "everything",
    bound: "hangTimeout",
    atMost: "`startTimeout`; `hangTimeout`; its own `drainTimeout`, and three seconds"
  }
] as const satisfies ReadonlyArray<Wait>

/** One row of the table. */
export interface Wait {
  readonly who: string
  /** What others may want of it. */
  readonly holds: string
  readonly waitsFor: "place" | "handler" | "turn" | "reader" | "peer" | "rate" | "setUp" | "opening" | "everything"
  /** What ends it: a limit by its name, or the order in which requests take turns, or what the handler's author decides, or that others need the room. */
  readonly bound:
    | "turns"
    | "author"
    | "room"
    | "rate"
    | "opening"
    | "placeTimeout"
    | "writeTimeout"
    | "sendTimeout"
    | "loginTimeout"
    | "maxPeerWait"
    | "senderTimeout"
    | "startTimeout"
    | "gracePeriod"
    | "drainTimeout"
    | "hangTimeout"
  /** The bound in words, as the documentation has it. */
  readonly atMost: string
}
