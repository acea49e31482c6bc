import type * as Connection from "@socketserver/core/Connection"
import type { PeerState } from "../Laws.ts"

/** Who waits for what: peers that have not got everything, and the handlers and connections that there are. */
export const waits = (
  peers: ReadonlyArray<PeerState>,
  connections: ReadonlyArray<Connection.Info>,
  begun: ReadonlyMap<number, string>
): ReadonlyArray<string> =>
  peers
    .filter((peer) => peer.open && peer.length < peer.expected.length)
    .map((peer) => {
      const { name } = peer.script
      const of = [...begun].filter(([, whose]) => whose === name).map(([id]) => id)
      const connection = connections.find((other) => other.peer.name === name)
      const server =
        connection === undefined
          ? "the server does not know it"
          : `${connection.inFlight} in flight${of.length === 0 ? ", none begun" : `, begun ${of.join(" ")}`}`
      return `${name}${peer.reads ? "" : " (does not read)"} has ${peer.length} of ${peer.expected.length} bytes ← ${server}`
    })
