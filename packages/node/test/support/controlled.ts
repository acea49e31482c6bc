/** A server whose handlers answer with what they are told while they run: `ask ID`, `tell ID …`, `ping`. */
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const word = (line: string, index: number): string | undefined => line.split(" ")[index]

export class Told extends Server.Service<Told>()("Told", {
  protocol: Protocol.control(
    Protocol.correlated(Protocol.lines(), { request: (line) => word(line, 1), response: (line) => word(line, 0) }),
    {
      is: (line) => !line.startsWith("ask"),
      to: (line) => word(line, 1),
      answer: (line) => (line === "ping" ? "pong" : `nobody ${line}`)
    }
  )
}) {}

/** Each line that it is told, until that is `enough`, or no more can come. `once` waits for one, and answers with it; `wait` waits for its peer. */
export const told: Server.HandlerOf<typeof Told> = ({ body }) => {
  const id = word(body, 1)
  const lines = Stream.takeUntil(Request.controls<string>(), (line) => line.endsWith("enough"))
  if (body.endsWith("wait")) {
    return Effect.as(Request.awaitPeer(Stream.runHead(Request.controls())), Response.make(`${id} has waited`))
  }
  const said = Stream.map(lines, (line) => `${id} was told: ${line}`)
  if (!body.endsWith("once")) return Effect.succeed(Response.stream(Stream.concat(said, Stream.make(`${id} ends`))))
  return Effect.map(Stream.runHead(said), (first) =>
    Response.make(first._tag === "Some" ? first.value : `${id} was told nothing`)
  )
}

// Only where this is the program that was started.
if (import.meta.main) NodeServer.launch(Layer.provide(Told.serve(told), MemoryServer.layer(Told)))
