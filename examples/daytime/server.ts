/**
 * The daytime protocol (RFC 867): whoever connects is told the time, whatever they say.
 *
 * The connection is the request: there is nothing to wait for.
 */
import { type Connection, Handler, Protocol, Server } from "@socketserver/core"
import { Clock, Effect } from "effect"

export class Daytime extends Server.Service<Daytime>()("Daytime", {
  protocol: Protocol.connection(Protocol.lines({ terminator: "\r\n" }))
}) {}

export const DaytimeLive = Daytime.serve(
  Handler.dialogue((connection: Connection.Connection<string, string>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.ignore(connection.write(daytime(new Date(now)))))
  )
)

const day = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeZone: "UTC" })

/** As the RFC has it: `Tuesday, February 22, 1982 17:37:43-UTC`. */
const daytime = (now: Date): string => `${day.format(now)} ${now.toISOString().slice(11, 19)}-UTC`
