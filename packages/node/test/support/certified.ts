/** A server that answers with what it knows of its peer. */
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Worker from "@socketserver/core/Worker"
import type * as Handler from "@socketserver/core/Handler"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export class Certified extends Server.Service<Certified>()("Certified", { protocol: Protocol.lines() }) {}

export const certified: Handler.Handler<string, string> = ({ peer: { address, name, tls, transport } }) =>
  Effect.map(Worker.name, (worker) => {
    const certificate = tls?.certificate
    const raw = Buffer.from(certificate?.raw ?? []).toString("hex")
    return Response.make(
      JSON.stringify({ worker, transport, name, address, tls: { ...tls, certificate: { ...certificate, raw } } })
    )
  })

// Only where this is the program that was started.
if (import.meta.main) {
  NodeServer.launch(Layer.provide(Certified.serve(certified), MemoryServer.layer(Certified)))
}
