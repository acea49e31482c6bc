import * as Endpoint from "@socketserver/core/Endpoint"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import type * as Transport from "@socketserver/core/Transport"
import type * as dgram from "node:dgram"
import { networkInterfaces } from "node:os"
import { leaveUnread, read } from "./dgramHandle.ts"
import { inetPeer, reachable } from "./peers.ts"
import { copy } from "./prefork/copy.ts"
import * as udp from "./udp.ts"
import { connect } from "./udpClient.ts"

/**
 * A bound UDP socket as a listener. It stays open until the last datagram has been
 * answered. One that was `inherited` is not read any more when a stop has begun:
 * what comes then is for whoever is started next.
 */
export const receiving = (
  sink: Transport.Sink,
  socket: dgram.Socket,
  address: Endpoint.Udp,
  allows: ((peer: Peer.Peer) => boolean) | undefined,
  inherited = false
): Transport.Listening & { readonly address: Endpoint.Udp } => {
  // By a name it may have been asked for.
  const bound = socket.address().address
  socket.on("message", (data, { address: host, port }) => {
    const peer = inetPeer("udp", host, port)
    // It was forged, or is a reply of ours: an answer would come back here, and be answered, for ever.
    if (port === address.port && isOwn(host, bound)) return sink.refuse(peer, address, ownAddress, "datagram")
    if (allows?.(peer) === false) return sink.refuse(peer, address, notAllowed, "datagram")
    sink.receive({ data, peer, listener: address, reply: reply(socket, host, port) })
  })
  socket.on("error", (error: NodeJS.ErrnoException) =>
    udp.isPassing(error) ? sink.lose(error, "datagram") : sink.fail(error)
  )
  const unread = () => {
    if (!udp.isClosed(socket)) leaveUnread(socket)
  }
  const start = () => {
    if (!udp.isClosed(socket)) read(socket)
  }
  if (copy === undefined) start()
  else {
    copy.whenReady(start)
    socket.once("close", copy.onRetire(unread))
  }
  return {
    address,
    queues: true,
    close: () => {
      if (inherited) unread()
    },
    ended: () => udp.close(socket),
    connect: connect(Endpoint.udp(reachable(address.host), address.port))
  }
}

const reply =
  (socket: dgram.Socket, host: string, port: number): ((data: Uint8Array, sent: Sent) => void) =>
  (data, sent) => {
    // Anybody can forge it, and nothing can be sent there.
    if (port === 0) return sent(Outcome.undelivered("NoReturnAddress"))
    if (udp.isClosed(socket)) return sent(Outcome.undelivered("Other", new Error("the server has stopped")))
    socket.send(data, port, host, (error) => sent(error === null ? undefined : udp.undelivered(error)))
  }

type Sent = (failure?: Outcome.Undelivered) => void

/** Whether what is sent to an address comes to a socket that is bound to `bound`. */
const isOwn = (host: string, bound: string): boolean => {
  if (bound !== "0.0.0.0" && bound !== "::") return host === bound
  const local = host.replace(/^::ffff:(?=\d+\.)/, "").replace(/%.*$/, "")
  return local.startsWith("127.") || local === "::1" || addresses().has(local)
}

/** The addresses of this machine, as they were a moment ago. */
const addresses = (): ReadonlySet<string> => {
  const now = performance.now()
  if (known === undefined || now - known.at > knownMillis) {
    const all = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
    known = { at: now, all: new Set(all.map(({ address }) => address)) }
  }
  return known.all
}

let known: { readonly at: number; readonly all: ReadonlySet<string> } | undefined

const knownMillis = 10_000

const notAllowed = Outcome.refused("allow", "Allow")
const ownAddress = Outcome.refused("the sender's address is the server's own", "OwnAddress")
