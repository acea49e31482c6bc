import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Subject } from "../Scenario.ts"

/** The server that `pnpm simulate` is about: replies at once, after yielding, after a while, large ones and streams. */
export class Mixed extends Server.Service<Mixed>()("Mixed", { protocol: Protocol.lines() }) {}

export const handler = ({ body }: Request.Request<string>) => {
  const [command, ...words] = body.split(" ")
  switch (command) {
    case "yield":
      return Effect.as(Effect.yieldNow, Response.make(body))
    case "wait":
      return Effect.as(Effect.sleep(Number(words[0])), Response.make(body))
    case "stream":
      return Effect.succeed(Response.stream(Stream.fromIterable(linesOf(body))))
    default:
      return Effect.succeed(Response.make(linesOf(body)[0] as string))
  }
}

const pad = "x".repeat(20_000)

/** `echo ID`, `yield ID`, `wait MILLIS ID`, `big SIZE ID`, `stream COUNT SIZE ID`. */
const linesOf = (body: string): ReadonlyArray<string> => {
  const [command, first, second] = body.split(" ")
  if (command === "big") return [`${body} ${pad.slice(0, Number(first))}`]
  if (command !== "stream") return [body]
  return Array.from({ length: Number(first) }, (_, i) => `${body} ${i} ${pad.slice(0, Number(second))}`)
}

export const mixed: Subject<Mixed, string, string> = {
  tag: Mixed,
  work: handler,
  asks: (chance, id) => {
    const kind = chance.float()
    if (kind < 0.2) return `stream ${chance.int(0, 12)} ${chance.pick([10, 100, 1_000])} ${id}\n`
    if (kind < 0.35) return `wait ${chance.int(1, 100)} ${id}\n`
    if (kind < 0.4) return `big 16000 ${id}\n`
    return `${kind < 0.7 ? "echo" : "yield"} ${id}\n`
  },
  largest: (ask) => Math.max(0, ...linesOf(ask.trimEnd()).map((line) => line.length + 1)),
  expects: (asked) =>
    asked
      .flatMap((ask) => linesOf(ask.trimEnd()))
      .map((line) => `${line}\n`)
      .join(""),
  simpler: (ask) => {
    const [command, ...words] = ask.trimEnd().split(" ")
    const id = words.at(-1) as string
    if (command === "echo") return []
    const less = (text: string | undefined, unit: string) =>
      Number(text) > 1 ? [`${unit.replace("#", String(Number(text) >> 1))}\n`] : []
    const echo = `echo ${id}\n`
    if (command === "wait") return [echo, ...less(words[0], `wait # ${id}`)]
    if (command === "big") return [echo, ...less(words[0], `big # ${id}`)]
    if (command === "stream") {
      return [echo, ...less(words[0], `stream # ${words[1]} ${id}`), ...less(words[1], `stream ${words[0]} # ${id}`)]
    }
    return [echo]
  },
  policies: {
    sequential: Policy.sequential,
    "fiber:2": Policy.fiber({ max: 2 }),
    "fiber:8": Policy.fiber({ max: 8 }),
    fiber: Policy.fiber(),
    "connection:2": Policy.connection({ max: 2 }),
    connection: Policy.connection()
  },
  handlerMillis: 100
}

/** The same, short of memory. */
export const short: Subject<Mixed, string, string> = {
  ...mixed,
  // More than is collected for a peer that does not read.
  rarely: (chance, id) => `stream ${chance.int(150, 250)} 1000 ${id}\n`,
  shortOfMemory: true
}
