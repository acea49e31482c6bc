import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type * as Simulation from "@socketserver/core/Simulation"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Subject } from "../Scenario.ts"
import { handler, mixed } from "./mixed.ts"

/**
 * Servers whose peers send control messages, too, between requests of all kinds. By what a peer receives it is seen that
 * each has been read, however many requests are in flight, and has gone where it belongs.
 */

/** What is read of one connection in a second: so few that reading pauses. */
const perSecond = 400

/** Pings, answered in their place. */
export class Pinged extends Server.Service<Pinged>()("Pinged", {
  protocol: Protocol.control(Protocol.lines(), {
    is: (line) => line.startsWith("ping "),
    answer: (line) => `pong ${line.slice(5)}`,
    perSecond
  })
}) {}

const isPing = (ask: string): boolean => ask.startsWith("ping ")

export const pinged: Subject<Pinged, string, string> = {
  tag: Pinged,
  work: handler,
  asks: (chance, id) => (chance.chance(0.4) ? `ping ${id}\n` : mixed.asks(chance, id)),
  expects: (asked) => asked.map((ask) => (isPing(ask) ? `pong ${ask.slice(5)}` : mixed.expects([ask]))).join(""),
  simpler: (ask) => (isPing(ask) ? [] : (mixed.simpler?.(ask) ?? [])),
  policies: mixed.policies,
  handlerMillis: mixed.handlerMillis
}

/**
 * Requests that end only once their peer frees them, by a control message behind others: one that waited for the pipeline
 * would keep them for ever. Those of a connection are done in their order, so that their answers have one.
 */
export class Freed extends Server.Service<Freed>()("Freed", {
  protocol: Protocol.control(Protocol.correlated(Protocol.lines(), { id: (line) => line.split(" ").at(-1) }), {
    is: (line) => line.startsWith("free "),
    to: (line) => line.slice(5),
    perSecond
  })
}) {}

/** `hold ID` waits for `free ID`, or for a peer that sends no more. */
const holding = (request: Request.Request<string>) =>
  request.body.startsWith("hold ")
    ? Effect.as(
        Request.awaitPeer(Stream.runDrain(Stream.take(Request.controls(), 1))),
        Response.make(`held ${request.body.slice(5)}`)
      )
    : handler(request)

const asksToHold = (chance: Simulation.Chance, id: string): string => {
  const kind = chance.float()
  if (kind < 0.2) return `hold ${id}\nfree ${id}\n`
  // Behind another request, which a full pipeline has no place for.
  if (kind < 0.4) return `hold ${id}\necho ${id}-then\nfree ${id}\n`
  // Of nothing, once or again.
  if (kind < 0.5) return `free ${id}\n`
  if (kind < 0.6) return `hold ${id}\nfree ${id}\nfree ${id}\nfree ${id}\n`
  return mixed.asks(chance, id)
}

const answerTo = (line: string): string => {
  if (line.startsWith("free ")) return ""
  return line.startsWith("hold ") ? `held ${line.slice(5)}\n` : mixed.expects([line])
}

export const freed: Subject<Freed, string, string> = {
  tag: Freed,
  work: holding,
  asks: asksToHold,
  expects: (asked) => asked.flatMap((ask) => ask.trimEnd().split("\n").map(answerTo)).join(""),
  simpler: (ask) => {
    const lines = ask.trimEnd().split("\n")
    if (lines.length > 2) return [`${lines[0]}\n${lines.at(-1)}\n`]
    return lines.length > 1 || ask.startsWith("free ") ? [] : (mixed.simpler?.(ask) ?? [])
  },
  policies: { "connection:2": Policy.connection({ max: 2 }), connection: Policy.connection() },
  handlerMillis: mixed.handlerMillis
}
