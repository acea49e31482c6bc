/** The servers that are measured, by what they listen on, in the order of a round. The first of each is the baseline. */
export interface Transport {
  readonly servers: readonly [Measured, ...Array<Measured>]
  /** The load generator that speaks to them. */
  readonly load: string
  /** What it is told besides where and how much. */
  readonly loadMode?: string
  readonly connections: number
  /** Requests outstanding per connection. */
  readonly depths: string
}

export interface Measured {
  readonly name: string
  readonly what: string
}

export const transports: Readonly<Record<string, Transport>> = {
  tcp: {
    load: "load.ts",
    connections: 50,
    depths: "1,16,128",
    servers: [
      { name: "node-net", what: "hand-written on node:net, one write per chunk read (the baseline)" },
      { name: "node-net-yield", what: "the same, each answer one setImmediate later" },
      { name: "effect-socket", what: "Effect's NodeSocketServer, hand-written lines, one write per pull" },
      { name: "effect-socket-yield", what: "the same, each line's handler an Effect that yields once" },
      { name: "socketserver", what: "ours, default policy, the handler answers at once" },
      { name: "socketserver-yield", what: "ours, default policy, the handler yields once" },
      { name: "socketserver-sequential", what: "ours, one request at a time" }
    ]
  },
  tls: {
    load: "load.ts",
    loadMode: "tls",
    connections: 50,
    depths: "1,16,128",
    servers: [
      { name: "node-tls", what: "hand-written on node:tls, one write per chunk read (the baseline)" },
      { name: "socketserver-tls", what: "ours, default policy, the handler answers at once" },
      { name: "socketserver-tls-yield", what: "ours, default policy, the handler yields once" }
    ]
  },
  udp: {
    load: "loadUdp.ts",
    // More would not fit into a socket's buffer, and be lost.
    connections: 16,
    depths: "1,8",
    servers: [
      { name: "node-dgram", what: "hand-written on node:dgram, a send for each message (the baseline)" },
      { name: "socketserver-udp", what: "ours, default policy, the handler answers at once" },
      { name: "socketserver-udp-yield", what: "ours, default policy, the handler yields once" }
    ]
  },
  unixgram: {
    load: "loadUnixgram.ts",
    connections: 16,
    depths: "1,8",
    servers: [
      { name: "koffi-unixgram", what: "hand-written on koffi, a send for each message (the baseline)" },
      { name: "socketserver-unixgram", what: "ours, default policy, the handler answers at once" },
      { name: "socketserver-unixgram-yield", what: "ours, default policy, the handler yields once" }
    ]
  }
}

/**
 * The servers of a transport that `--only` names: a whole name means that server, any other text every name that
 * contains it. The baseline is always among them.
 */
export const select = (
  { servers: [baseline, ...others] }: Transport,
  only: string | undefined
): ReadonlyArray<string> => {
  const names = [baseline, ...others].map(({ name }) => name)
  if (only === undefined) return names
  const terms = only
    .split(",")
    .map((term) => term.trim())
    .filter((term) => term !== "")
  return names.filter(
    (name) =>
      name === baseline.name || terms.some((term) => (names.includes(term) ? name === term : name.includes(term)))
  )
}
