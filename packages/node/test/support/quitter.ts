/** A server whose handlers stop it. */
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export class Quitter extends Server.Service<Quitter>()("Quitter", { protocol: Protocol.lines() }) {}

export const quitter: Handler.Handler<string, string, Quitter> = (request) =>
  Effect.gen(function* () {
    const server = yield* Quitter
    if (request.body === "stop") yield* server.shutdown
    if (request.body === "stop later") yield* Effect.forkDetach(server.shutdown)
    for (const end = performance.now() + 20; performance.now() < end;);
    return Response.make(request.body)
  })

if (import.meta.main) {
  NodeServer.launch(Layer.provideMerge(Quitter.serve(quitter), MemoryServer.layer(Quitter)))
}
