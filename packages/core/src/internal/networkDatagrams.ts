import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import { DatagramWire } from "./datagramWire.ts"
import type { Link } from "./links.ts"
import type { Loop } from "./loop.ts"

/** The largest datagram, as over UDP and IPv4. */
const maxMessageBytes = 65_507

/** A client whose datagrams `receive` gets, in a later turn, and which gets the replies. */
export const datagramPair = (
  loop: Loop,
  link: Link,
  listener: Endpoint.Endpoint,
  name: string,
  receive: (datagram: Wire.Datagram) => void
): Wire.Wire => {
  let left = false
  const peer = Peer.make({ transport: "memory", name })
  const reply: Wire.Datagram["reply"] = (data, sent) => {
    if (data.length > maxMessageBytes) return sent(Outcome.undelivered("TooLarge"))
    const bytes = new Uint8Array(data)
    loop.soon(() => {
      if (left) return sent(Outcome.undelivered("PeerGone"))
      back(bytes, (arrived) => client.received(arrived))
      sent()
    })
  }
  const client = new DatagramWire({
    peer: Peer.make({ transport: "memory", name: String(listener) }),
    listener,
    maxMessageBytes,
    soon: loop.soon,
    send: (data, sent) => {
      const bytes = new Uint8Array(data)
      loop.soon(() => {
        there(bytes, (arrived) => receive({ data: arrived, peer, listener, reply }))
        sent()
      })
    },
    close: () => {
      left = true
    }
  })
  const there = way(loop, link, `${name}>`)
  const back = way(loop, link, `${name}<`)
  return client
}

/** How datagrams travel one way: each for itself, so that one may overtake another. */
const way = (
  loop: Loop,
  link: Link,
  label: string
): ((bytes: Uint8Array, arrive: (bytes: Uint8Array) => void) => void) => {
  const { cut, jitter, late, latency, loss, twice } = link
  if (latency + jitter + loss + twice + late + cut === 0) return (bytes, arrive) => arrive(bytes)
  const random = loop.random(label)
  return (bytes, arrive) => {
    if (random.chance(loss)) return loop.log?.(`${label} loses ${bytes.length}`)
    for (let copies = random.chance(twice) ? 2 : 1; copies > 0; copies--) {
      const part = random.chance(cut) ? bytes.subarray(0, random.int(0, bytes.length)) : bytes
      const wait = latency + random.float() * jitter + (random.chance(late) ? random.float() * 10 * (latency + 1) : 0)
      loop.after(wait, () => {
        loop.log?.(`${label} ${part.length}`)
        arrive(part)
      })
    }
  }
}
