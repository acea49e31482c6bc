import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import { DatagramWire } from "./datagramWire.ts"

/** The largest datagram, as over UDP and IPv4. */
const maxMessageBytes = 65_507

/** A client whose datagrams `receive` gets, in a later turn, and which gets the replies. */
export const datagramPair = (
  listener: Endpoint.Endpoint,
  name: string,
  receive: (datagram: Wire.Datagram) => void
): Wire.Wire => {
  let left = false
  const peer = Peer.make({ transport: "memory", name })
  const reply: Wire.Datagram["reply"] = (data, sent) => {
    if (data.length > maxMessageBytes) return sent(Outcome.undelivered("TooLarge"))
    const bytes = new Uint8Array(data)
    queueMicrotask(() => {
      if (left) return sent(Outcome.undelivered("PeerGone"))
      client.received(bytes)
      sent()
    })
  }
  const client = new DatagramWire({
    peer: Peer.make({ transport: "memory", name: String(listener) }),
    listener,
    maxMessageBytes,
    send: (data, sent) => {
      const bytes = new Uint8Array(data)
      queueMicrotask(() => {
        receive({ data: bytes, peer, listener, reply })
        sent()
      })
    },
    close: () => {
      left = true
    }
  })
  return client
}
