import * as Networks from "@socketserver/core/Networks"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import * as ProxyProtocol from "../ProxyProtocol.ts"
import type * as TcpServer from "../TcpServer.ts"
import type { UnixListenOptions } from "../UnixServer.ts"
import { inetPeer } from "./peers.ts"
import { time } from "./times.ts"

/** The options that say who may come in by a listener for connections, and who they are. */
export interface AdmissionOptions extends Omit<TcpServer.AdmissionOptions, "proxyProtocol"> {
  /** Networks, or everybody that the listener lets in. */
  readonly proxyProtocol?: TcpServer.AdmissionOptions["proxyProtocol"] | UnixListenOptions["proxyProtocol"]
}

/** Finds out who a peer is, and whether it may come in by this listener. */
export interface Admission {
  /** Reads who it is, where it is a balancer that says so. */
  readonly introduced: (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Peer.Peer, Outcome.Refused> | undefined
  readonly allowed: (peer: Peer.Peer) => boolean
  /** How long that may take. */
  readonly headerMillis: number
}

/** Resolves the options of a listener, or says what is wrong with one. */
export const admission = (options: AdmissionOptions): Effect.Effect<Admission, ServerError> =>
  Effect.gen(function* () {
    const allows = yield* allowed(options.allow)
    const { proxyProtocol = false } = options
    const trusted = typeof proxyProtocol === "boolean" ? undefined : yield* networks("proxyProtocol", proxyProtocol)
    const trusts = (peer: Peer.Peer) =>
      trusted === undefined ? proxyProtocol === true : Networks.includes(trusted, peer)
    const millis = yield* Effect.fromResult(time("proxyTimeout", options.proxyTimeout ?? "5 seconds"))
    return {
      introduced: (socket, peer) => (trusts(peer) ? introduced(socket, peer, millis) : undefined),
      allowed: allows,
      headerMillis: millis
    }
  })

/** Says whether peers come from networks that are allowed. */
export const allowed = (
  allow: ReadonlyArray<Networks.Input> | undefined
): Effect.Effect<(peer: Peer.Peer) => boolean, ServerError> =>
  Effect.map(
    networks("allow", allow),
    (networks) => (peer) => networks === undefined || Networks.includes(networks, peer)
  )

const networks = (option: string, inputs: ReadonlyArray<Networks.Input> | undefined) =>
  inputs === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(Effect.fromResult(Networks.parseAll(inputs)), ({ message }) => invalid(option, message))

const invalid = (option: string, problem: string): ServerError =>
  new ServerError({ reason: new InvalidOption({ option, problem }) })

/** Reads the header, and leaves what follows it to the next reader. */
const introduced = (socket: net.Socket, peer: Peer.Peer, millis: number): Effect.Effect<Peer.Peer, Outcome.Refused> =>
  Effect.callback<Peer.Peer, Outcome.Refused>((resume) => {
    let received: Buffer = Buffer.alloc(0)
    const refuse = (reason: string) => settle(Effect.fail(Outcome.refused(reason, "Opening")))
    const settle = (result: Effect.Effect<Peer.Peer, Outcome.Refused>) => {
      stop()
      resume(result)
    }
    const readable = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        received = Buffer.concat([received, chunk])
      }
      const header = ProxyProtocol.read(received)
      if (header._tag === "Malformed") return refuse(header.reason)
      if (header._tag === "More") return
      stop()
      const rest = received.subarray(header.size)
      if (rest.length > 0) socket.unshift(rest)
      const { source } = header
      resume(Effect.succeed(typeof source === "string" ? peer : inetPeer(peer.transport, source.host, source.port)))
    }
    const ended = () => refuse("the connection ended inside its PROXY header")
    const stop = () => {
      socket.off("readable", readable)
      socket.off("end", ended)
      socket.off("close", ended)
    }
    socket.on("readable", readable)
    socket.on("end", ended)
    socket.on("close", ended)
    return Effect.sync(stop)
  }).pipe(
    Effect.timeoutOrElse({
      duration: millis,
      orElse: () => Effect.fail(Outcome.refused(`no PROXY header within ${millis} ms`, "Opening"))
    })
  )
