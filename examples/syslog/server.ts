/** The collector. Importing this starts nothing: the tests and `main.ts` place it. */
import { Response, Server } from "@socketserver/core"
import { Syslog } from "@socketserver/protocols"
import { Effect, Layer } from "effect"
import { Output, OutputLive } from "./output.ts"

export class Collector extends Server.Service<Collector>()("Syslog", {
  protocol: Syslog.protocol(),
  // What one sender says is in its order under `keyed`, datagrams too.
  key: ({ peer }) => peer.name
}) {}

/** Collects into some output. A request is done when its line is written. */
export const collecting = Collector.serve(({ body }) =>
  Effect.flatMap(Output, (output) => Effect.as(output.write(lineOf(body)), Response.empty))
)

/** Collects into `FILE`, or onto stdout. */
export const CollectorLive = Layer.provide(collecting, OutputLive)

/** A line for each message, whatever is in it. */
const lineOf = ({ app = "-", facility, host = "-", severity, text }: Syslog.Message): string =>
  printable(`${facility}.${severity} ${host} ${app}: ${text}`)

// What strangers send must not steer a terminal, nor begin a line of its own: a control character is shown by its number, as other collectors do.
const printable = (line: string): string =>
  line.length <= piece ? shown(line) : (line.match(pieces) ?? []).map(shown).join("")

const shown = (text: string): string => text.replaceAll(/\p{Cc}/gu, (control) => numbers[control.charCodeAt(0)] ?? "")

/** A message may be full of them: what is replaced is noted first, and takes more memory than the message. */
const piece = 4_096
const pieces = new RegExp(`[^]{1,${piece}}`, "g")

/** The numbers of all control characters: a message may be full of them. */
const numbers = Array.from({ length: 160 }, (_, code) => `#${code.toString(8).padStart(3, "0")}`)
