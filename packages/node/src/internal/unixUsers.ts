import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Outcome from "@socketserver/core/Outcome"
import * as Peer from "@socketserver/core/Peer"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import type { Peers } from "../UnixServer.ts"
import * as libc from "./libc.ts"

/** Which users connect to a Unix socket, and which may. */
export const identifying = (
  peers: Peers
): Effect.Effect<
  (sink: Transport.Sink, socket: net.Socket, name: string, listener: Endpoint.Endpoint) => Peer.Peer | undefined,
  ServerError
> =>
  Effect.gen(function* () {
    const wrong = typeof peers !== "string" && (peers.length === 0 || !peers.every(isUser))
    if (wrong) return yield* invalid(`it must be "any", "same-user" or numbers of users, not ${JSON.stringify(peers)}`)
    const system = yield* Effect.catch(libc.loadFor("users of peers"), invalid)
    const mayConnect =
      peers === "any"
        ? () => true
        : peers === "same-user"
          ? // Asked each time: a program may give up its rights once it listens.
            ({ uid }: Peer.Credentials) => uid === process.geteuid?.()
          : ({ uid }: Peer.Credentials) => peers.includes(uid)
    return (sink, socket, name, listener) => {
      const credentials = credentialsOf(system, socket)
      const peer = Peer.make({ transport: "unix", name, credentials })
      if (credentials !== undefined && mayConnect(credentials)) return peer
      // Whoever cannot be asked has closed the socket meanwhile.
      const reason = credentials === undefined ? "its user is not known" : `user ${credentials.uid} may not connect`
      sink.refuse(peer, listener, Outcome.refused(reason, "Allow"))
      socket.on("error", () => {})
      socket.destroy()
      return undefined
    }
  })

const isUser = (uid: number): boolean => Number.isInteger(uid) && uid >= 0 && uid <= 4_294_967_295

const invalid = (problem: string): Effect.Effect<never, ServerError> =>
  Effect.fail(new ServerError({ reason: new InvalidOption({ option: "peers", problem }) }))

/** Who has connected, as the kernel has noted it then. */
const credentialsOf = (system: libc.Libc, socket: net.Socket): Peer.Credentials | undefined => {
  const { _handle: handle } = socket as never as { readonly _handle?: { readonly fd?: number } | null }
  const fd = handle?.fd ?? -1
  length[0] = found.byteLength
  if (fd < 0 || system.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, found, length) !== 0) return undefined
  return { pid: found[0] as number, uid: found[1] as number, gid: found[2] as number }
}

const SOL_SOCKET = 1
const SO_PEERCRED = 17

// One for all: a call fills it, and it is read at once.
const found = new Uint32Array(3)
const length = new Uint32Array(1)
