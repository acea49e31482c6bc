import type * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Response from "@socketserver/core/Response"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import type { Bytes } from "./bridgedSocket.ts"
import type { HttpListener } from "./httpListener.ts"
import { RelayDuplex } from "./relayDuplex.ts"
import { Visit } from "./visit.ts"
import type { WebSockets } from "./webSockets.ts"

/**
 * The handler of each connection: its socket goes to the HTTP server, and its
 * request lasts for as long as the connection does.
 */
export const serving =
  (listener: HttpListener, webSockets: WebSockets): Handler.Handler<Bytes, never> =>
  ({ body: connection }) => {
    let stopped = false
    let onStop = (): void => void (stopped = true)
    // Before anything is decoded: now, and not in the effect.
    const socket = Transport.takeAway(connection, () => onStop()) as Duplex | undefined
    const stream = socket ?? new RelayDuplex(connection, () => onStop())
    return Effect.contextWith((context) =>
      Effect.callback<Response.Response<never>>((resume) => {
        const end = (outcome?: Outcome.Outcome) =>
          resume(Effect.succeed(outcome === undefined ? Response.empty : Response.withOutcome(Response.empty, outcome)))
        const visit = new Visit(stream, connection, end)
        if (stream instanceof RelayDuplex) stream.open(context)
        // With an answer that is owed, its end is told by the server: the peer is gone.
        stream.once("close", () => {
          if (!visit.isOwed) end()
        })
        if (stream.destroyed) return end()
        listener.bring(visit)
        onStop = () => {
          visit.stop()
          // What has arrived is read in this turn.
          setImmediate(() => {
            visit.stopped()
            webSockets.stop()
          })
        }
        if (stopped) onStop()
        return Effect.sync(() => {
          if (socket === undefined) stream.destroy()
        })
      })
    )
  }
