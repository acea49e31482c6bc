/** A server that is told of its peers by hand, and what it has made of them. */
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Stream from "effect/Stream"
import { Scripted, turns } from "./scripted.ts"
import type { LineHandler } from "./serving.ts"

export class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

export const address = Endpoint.memory("front")

const echo: LineHandler = ({ body }) => Effect.succeed(Response.make(body))

export const front = (
  options: Transport.ServerOptions = {},
  handler: LineHandler = echo,
  serve: Server.ServeOptions<string, string> = {}
) =>
  Effect.gen(function* () {
    let sink!: Transport.Sink
    const listen: Transport.Listen = (given) => {
      sink = given
      return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("front") })
    }
    const server = Context.get(
      yield* Layer.build(Layer.provideMerge(Lines.serve(handler, serve), Transport.layer(Lines, options, listen))),
      Lines
    )
    const events: Array<Outcome.Event> = []
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, (event) => Effect.sync(() => events.push(event))),
      { startImmediately: true }
    )
    yield* turns
    return {
      server,
      sink,
      /** Who was refused, and why. */
      refused: () =>
        events
          .filter(({ outcome }) => outcome._tag !== "Completed")
          .map(
            ({ connection, outcome }) =>
              `${connection.peer.name}: ${outcome._tag === "Refused" ? outcome.reason : outcome._tag}`
          ),
      /** What was refused, by its kind. */
      refusals: Effect.map(server.refusals, (all) =>
        Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
      )
    }
  })

let port = 0

/** A peer with an IP address, each with another port. */
export const inet = (host: string, transport = "tcp"): Peer.Peer => {
  const own = ++port
  return Peer.make({
    transport,
    name: host.includes(":") ? `[${host}]:${own}` : `${host}:${own}`,
    address: () => NetAddress.inetAddressFromNativeUnsafe(host, own)
  })
}

/** A connection of a peer. */
export const wireOf = (peer: Peer.Peer) => new Scripted({ peer })

/** A peer in a handshake, or behind a header, that takes as long as the test says. */
export const opening = (peer: Peer.Peer, instead: Partial<Transport.Opening> = {}) => {
  const wire = wireOf(peer)
  const opening: Transport.Opening = {
    peer,
    listener: address,
    secure: (peer) => Effect.succeed<Wire.Wire>(Object.assign(wire, { peer })),
    // A stop waits for nobody who has sent nothing.
    begun: () => false,
    destroy: () => wire.destroy(),
    ...instead
  }
  return { wire, opening }
}

/** A datagram of a peer, and the replies that were sent to it. */
export const datagramOf = (peer: Peer.Peer, text: string, replies: Array<string> = []): Wire.Datagram => ({
  data: new TextEncoder().encode(text),
  peer,
  listener: address,
  reply: (data, sent) => {
    replies.push(new TextDecoder().decode(data))
    sent()
  }
})
