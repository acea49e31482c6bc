import { ConnectFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { UnixDatagramSocketOptions } from "../UnixDatagramServer.ts"
import type { Libc } from "./libc.ts"
import { bindFailed } from "./netServer.ts"
import { unixPeer } from "./peers.ts"
import { copy } from "./prefork/copy.ts"
import { type Receiver, type Sender, UnixDatagram } from "./unixDatagram.ts"
import * as unixgram from "./unixgram.ts"
import { connect } from "./unixgramClient.ts"
import { Replies } from "./unixReplies.ts"

/** Listens on a socket that the process was started with. Its path stays when the server stops: it is its maker's. */
export const inherit =
  (fd: number, options: UnixDatagramSocketOptions = {}): Transport.Listen =>
  (sink) =>
    Effect.gen(function* () {
      const set = yield* unixgram.resolve(options)
      const system = yield* unixgram.load(Endpoint.fd(fd))
      const adopted = Effect.mapError(
        Effect.suspend(() => Effect.fromResult(UnixDatagram.adopt(system, fd, set.maxDatagramBytes))),
        (cause) => bindFailed(String(Endpoint.fd(fd)), cause)
      )
      const socket = yield* Effect.acquireRelease(adopted, (socket) => Effect.sync(() => socket.close()))
      const address = socket.name === undefined ? Endpoint.fd(fd) : Endpoint.unixgram(socket.name)
      return serve(sink, system, { socket, address, leave: undefined }, set)
    })

/** A sender as a peer, and the way back to it. */
type Way = Pick<Wire.Datagram, "peer" | "reply">

const noReply: Way["reply"] = (_, sent) => sent(Outcome.undelivered("NoReturnAddress"))

interface Bound {
  readonly socket: UnixDatagram
  readonly address: Endpoint.Unixgram | Endpoint.Fd
  /** Takes the path away; none where it is somebody else's, who keeps the socket. */
  readonly leave: (() => void) | undefined
}

/** Hands the datagrams of a bound socket to a server, and its replies back. */
export const serve = (
  sink: Transport.Sink,
  system: Libc,
  { address, leave, socket }: Bound,
  settings: unixgram.Settings
): Transport.Listening => {
  socket.sendBufferBytes = settings.sendBufferBytes
  const replies = new Replies(system, socket, settings.sendTimeoutMillis)
  let closed = false
  let isLast = false
  let unnamed = 0
  const ways = new WeakMap<Sender, Way>()
  const wayOf = (from: Sender): Way => {
    const known = ways.get(from)
    if (known !== undefined) return known
    const { name } = from
    const way: Way = {
      peer: unixPeer("unixgram", String(Endpoint.unixgram(name)), name.startsWith("/") ? name : undefined),
      reply: (data, sent) => replies.send(data, from, sent)
    }
    ways.set(from, way)
    return way
  }
  const nobody = (): Way => ({ peer: unixPeer("unixgram", `${address}#${++unnamed}`), reply: noReply })
  const receiver: Receiver = {
    onMessage: (data, from, sizeBytes) => {
      const { peer, reply } = from === undefined ? nobody() : wayOf(from)
      if (sizeBytes > data.length)
        return sink.refuse(peer, address, tooLarge(sizeBytes, settings.maxDatagramBytes), "datagram")
      sink.receive({ data, peer, listener: address, reply, isLast })
    },
    onError: (error) => sink.fail(error)
  }
  const start = () => {
    if (!closed) socket.start(receiver)
  }
  if (copy === undefined) start()
  else copy.whenReady(start)
  // Another copy has the socket from now on, and what waits in it.
  const retired = copy?.onRetire(() => {
    closed = true
    socket.pause()
  })
  return {
    address,
    close: () => {
      if (closed) return
      closed = true
      // Whoever has the socket next reads what waits in it.
      if (leave === undefined) return socket.pause()
      // Nobody finds it any more; what was sent before counts as received, also what was held back.
      const left = Result.try(leave)
      isLast = true
      socket.readAll()
      socket.pause()
      if (Result.isFailure(left)) throw left.failure
    },
    ended: () => {
      retired?.()
      replies.close()
      socket.close()
    },
    flow: {
      pause: () => {
        replies.pressed = true
        socket.pause()
      },
      resume: () => {
        replies.pressed = false
        if (!closed) socket.resume()
      }
    },
    connect: address._tag === "Unixgram" ? connect(system, address) : nameless(address)
  }
}

const tooLarge = (sizeBytes: number, maxBytes: number) =>
  Outcome.refused(`a datagram of ${sizeBytes} bytes, more than ${maxBytes}`, "TooLarge")

const nameless = (address: Endpoint.Endpoint) =>
  Effect.fail(
    new ConnectFailed({ endpoint: String(address), kind: "Other", cause: new Error("its socket has no name") })
  )
