import type { ConnectFailed } from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { connectFailed, connectKind } from "./errors.ts"
import { inetPeer } from "./peers.ts"
import * as udp from "./udp.ts"

/** A socket that sends to one address and receives from nobody else, as a wire. */
export const connect = (endpoint: Endpoint.Udp): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port } = endpoint
    const failed = (cause: unknown, kind = connectKind(cause)) =>
      Effect.fail(connectFailed(String(endpoint), kind, cause))
    const { address, family } = yield* Effect.catch(udp.resolve(host), (cause) => failed(cause)).pipe(
      // A name server may never answer.
      Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => failed(new Error("no answer in time"), "TimedOut") })
    )
    const open = Effect.callback<ReturnType<typeof udp.create>, ConnectFailed>((resume) => {
      const socket = udp.create(family, {})
      const refused = (cause: unknown) => {
        udp.close(socket)
        resume(failed(cause))
      }
      socket.once("error", refused)
      const connected = (cause?: unknown) => {
        // Node hands over here why the system refuses, and throws for a port that there is not.
        if (cause !== undefined) return refused(cause)
        socket.removeListener("error", refused)
        resume(Effect.succeed(socket))
      }
      const asked = Result.try(() => socket.connect(port, address, connected))
      if (Result.isFailure(asked)) refused(asked.failure)
      return Effect.sync(() => udp.close(socket))
    })
    const socket = yield* Effect.acquireRelease(open, (socket) => Effect.sync(() => udp.close(socket)), {
      interruptible: true
    })
    const wire = Transport.datagramWire({
      peer: inetPeer("udp", address, port),
      listener: endpoint,
      maxMessageBytes: udp.maxBytes(family),
      send: (data, sent) =>
        udp.isClosed(socket)
          ? sent(new Error("the socket is closed"))
          : socket.send(data, (error) => sent(error ?? undefined)),
      close: () => udp.close(socket)
    })
    socket.on("message", (data) => wire.received(data))
    socket.on("error", (error) => wire.broken(error))
    return wire
  })
