import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import { existsSync } from "node:fs"
import * as net from "node:net"
import { networkInterfaces } from "node:os"
import type { UdpListenOptions } from "../UdpServer.ts"
import * as descriptors from "./descriptors.ts"
import { leaveUnread } from "./dgramHandle.ts"
import { bindFailed } from "./netServer.ts"
import { copy } from "./prefork/copy.ts"

/** The largest payload of a datagram over IPv4 and over IPv6, in bytes. */
export const maxBytes = (family: number): number => (family === 6 ? 65_527 : 65_507)

/** A bound socket that is not read yet, for as long as the scope is open. */
export const bind = (
  endpoint: Endpoint.Udp,
  options: UdpListenOptions
): Effect.Effect<dgram.Socket, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    if (endpoint.host === "") {
      const problem = 'it is empty; "0.0.0.0" and "::" listen everywhere'
      return yield* Effect.fail(new ServerError({ reason: new InvalidOption({ option: "host", problem }) }))
    }
    const failed = (cause: unknown) => Effect.fail(bindFailed(String(endpoint), cause))
    // Unlike `node:net`, `node:dgram` binds any free port for what is none.
    if (!Number.isInteger(endpoint.port) || endpoint.port < 0 || endpoint.port > 65_535) {
      const cause = new RangeError(`the port must be 0 to 65535, not ${endpoint.port}`)
      return yield* Effect.fail(bindFailed(String(endpoint), cause, "InvalidOption"))
    }
    yield* onceEach(options)
    const { address, family } = yield* Effect.catch(resolve(endpoint.host), failed)
    const { ipv6Only = false, receiveBufferBytes, reusePort = false, sendBufferBytes } = options
    const open = Effect.callback<dgram.Socket, ServerError>((resume) => {
      const socket = create(family, { ipv6Only, reusePort, receiveBufferBytes, sendBufferBytes })
      const refused = (cause: unknown) => {
        close(socket)
        resume(failed(cause))
      }
      socket.once("error", refused)
      const bound = () => {
        // What is there already, or comes before somebody listens for it, would be lost.
        leaveUnread(socket)
        socket.removeListener("error", refused)
        resume(Effect.succeed(socket))
      }
      // One of several copies of a program receives from what their supervisor holds.
      if (copy === undefined) socket.bind({ address, port: endpoint.port, exclusive: true }, bound)
      else {
        copy.udp({ host: address, port: endpoint.port, ipv6Only }, (handle, error) => {
          if (error !== undefined) refused(error)
          else if (!isClosed(socket)) socket.bind(handle as never, bound)
        })
      }
      return Effect.sync(() => close(socket))
    }).pipe(Effect.catchDefect(failed))
    const socket = yield* Effect.acquireRelease(open, (socket) => Effect.sync(() => close(socket)))
    const { broadcast, multicast = [], multicastInterface: on, multicastTtl: ttl } = options
    if (broadcast !== undefined) yield* set("broadcast", String(broadcast), () => socket.setBroadcast(broadcast))
    if (ttl !== undefined) {
      yield* set("multicastTtl", `${ttl}; it must be 0 to 255`, () => socket.setMulticastTTL(ttl))
    }
    if (on !== undefined) {
      const form = 'it must be the address of an interface of this machine for IPv4, "::%NAME" for IPv6'
      // For a name that it does not know, libuv takes any interface.
      if (family === 6 && !isInterface(on)) {
        const problem = `there is no interface "${on}"; ${form}`
        return yield* Effect.fail(
          new ServerError({ reason: new InvalidOption({ option: "multicastInterface", problem }) })
        )
      }
      yield* set("multicastInterface", `"${on}"; ${form}`, () => socket.setMulticastInterface(on))
    }
    for (const group of multicast) {
      const form = "it must be a multicast address of the family of the host, and the interface one of this machine"
      yield* set("multicast", `the group "${group}"; ${form}`, () => join(socket, group, on))
    }
    return socket
  })

/** The UDP socket of an inherited descriptor, not read yet, or none if it is of another kind. */
export const adopt = (fd: number): Effect.Effect<dgram.Socket | undefined, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    // Node has to be told the family, or none of its replies would leave.
    const family = descriptors.isUdp6(fd) ? 6 : 4
    const socket = yield* Effect.acquireRelease(
      Effect.catchDefect(
        Effect.callback<dgram.Socket | undefined>((resume) => {
          const socket = create(family, {})
          // What is no UDP socket throws.
          socket.bind({ fd }, () => {
            leaveUnread(socket)
            resume(Effect.succeed(socket))
          })
        }),
        () => Effect.succeed(undefined)
      ),
      (socket) => Effect.sync(() => socket !== undefined && close(socket))
    )
    if (socket !== undefined && socket.address().family !== `IPv${family}`) {
      const cause = new Error("on this platform an inherited UDP socket must be one of IPv4")
      return yield* Effect.fail(bindFailed(`fd://${fd}`, cause, "Other"))
    }
    return socket
  })

/** Each copy has a socket of its own, and what goes to many the system gives to every socket of its port. */
const onceEach = ({ broadcast = false, multicast = [] }: UdpListenOptions): Effect.Effect<void, ServerError> => {
  const copies = Remote.copies()
  const option = multicast.length > 0 ? "multicast" : broadcast ? "broadcast" : undefined
  if (copies === 1 || option === undefined) return Effect.void
  const what = option === "multicast" ? "what is sent to a group" : "what is broadcast"
  const problem = `each of ${copies} copies (PREFORK) would handle ${what}; take POLICY=pool or thread to use all cores`
  return Effect.fail(new ServerError({ reason: new InvalidOption({ option, problem }) }))
}

/** A copy has the socket of the one before it, which may be a member. */
const join = (socket: dgram.Socket, group: string, on: string | undefined): void => {
  const joined = Result.try({
    try: () => socket.addMembership(group, on),
    catch: (error) => error as NodeJS.ErrnoException
  })
  if (Result.isFailure(joined) && (copy === undefined || joined.failure.code !== "EADDRINUSE")) throw joined.failure
}

/** Whether `::%NAME` names an interface of this machine, with or without addresses. */
const isInterface = (on: string): boolean => {
  const name = /^[^%]+%(.+)$/.exec(on)?.[1]
  if (name === undefined || name.includes("/")) return false
  return networkInterfaces()[name] !== undefined || existsSync(`/sys/class/net/${name}`)
}

/** Sets an option of a socket; the system may refuse its value, which is said with the form that it must have. */
const set = (option: string, value: string, f: () => void): Effect.Effect<void, ServerError> =>
  Effect.mapError(Effect.try({ try: f, catch: (cause) => cause }), (cause) => {
    const problem = `the system refuses ${value} (${cause instanceof Error ? cause.message : String(cause)})`
    return new ServerError({ reason: new InvalidOption({ option, problem }) })
  })

export interface Resolved {
  readonly address: string
  readonly family: number
}

/** The address of a host, and its family, which a socket has to know before it is made. */
export const resolve = (host: string): Effect.Effect<Resolved, unknown> => {
  const family = net.isIP(host)
  return family !== 0
    ? Effect.succeed({ address: host, family })
    : Effect.callback<Resolved, unknown>((resume) => {
        dns.lookup(host, (error, address, family) =>
          resume(error === null ? Effect.succeed({ address, family }) : Effect.fail(error))
        )
      })
}

export const create = (
  family: number,
  options: Pick<UdpListenOptions, "ipv6Only" | "reusePort" | "receiveBufferBytes" | "sendBufferBytes">
): dgram.Socket => {
  const socket = dgram.createSocket({
    type: family === 6 ? "udp6" : "udp4",
    ipv6Only: options.ipv6Only ?? false,
    reusePort: options.reusePort ?? false,
    ...(options.receiveBufferBytes === undefined ? {} : { recvBufferSize: options.receiveBufferBytes }),
    ...(options.sendBufferBytes === undefined ? {} : { sendBufferSize: options.sendBufferBytes }),
    // Every address is one already: looking it up would cost each datagram a turn of the event loop.
    lookup: ((host: string, _: unknown, callback: (error: null, address: string, family: number) => void) =>
      callback(null, host, family)) as never
  })
  socket.once("close", () => closed.add(socket))
  return socket
}

const closed = new WeakSet<dgram.Socket>()

export const isClosed = (socket: dgram.Socket): boolean => closed.has(socket)

export const close = (socket: dgram.Socket): void => {
  if (closed.has(socket)) return
  closed.add(socket)
  socket.close()
}

/** Whether an error of reading is about a datagram, and not about the socket. */
export const isPassing = (error: NodeJS.ErrnoException): boolean =>
  ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EMSGSIZE", "ENOBUFS", "EPERM"].includes(error.code ?? "")

/** Sorts the platform's error codes of `send`. */
export const undelivered = (error: NodeJS.ErrnoException): Outcome.Undelivered => {
  switch (error.code) {
    case "EMSGSIZE":
      return Outcome.undelivered("TooLarge", error)
    case "ECONNREFUSED":
      return Outcome.undelivered("PeerGone", error)
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
    case "EACCES":
      return Outcome.undelivered("Unreachable", error)
    default:
      return Outcome.undelivered("Other", error)
  }
}
