/** A server with another one beside it that is none of ours, at `BESIDE`; with `ONCE` it exists once. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Data, Effect, Layer } from "effect"
import * as net from "node:net"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

class CannotServe extends Data.TaggedError("CannotServe")<{ readonly cause: unknown }> {}

const listening = Effect.acquireRelease(
  Effect.callback<net.Server, CannotServe>((resume) => {
    const server = net.createServer((socket) => socket.end(`${process.pid}\n`))
    server.once("error", (cause) => resume(Effect.fail(new CannotServe({ cause }))))
    server.listen(Number(process.env["BESIDE"]), "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) =>
    Effect.andThen(
      Console.log("the other one ends"),
      Effect.sync(() => server.close())
    )
)

const other = Layer.effectDiscard(listening)

Layer.mergeAll(
  Echo.serve((request) => Effect.succeed(Response.make(request.body))),
  Echo.announce,
  process.env["ONCE"] === undefined ? other : NodeServer.onlyParent(other)
).pipe(Layer.provide(NodeServer.layerConfig(Echo)), NodeServer.launch)
