/** A server that prints each datagram, and answers whom it can. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"

class Printing extends Server.Service<Printing>()("Printing", { protocol: Protocol.lines() }) {}

const PrintingLive = Printing.serve(({ body }) => Effect.as(Console.log(body), Response.make(body)))

Layer.merge(PrintingLive, Printing.announce).pipe(Layer.provide(NodeServer.layerConfig(Printing)), NodeServer.launch)
