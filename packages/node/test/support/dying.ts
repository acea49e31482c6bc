/** Two servers; the listener of the first dies on SIGUSR2. Each says when it is bound and when it handles a request. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"
import { tracingChannel } from "node:diagnostics_channel"
import type * as net from "node:net"

class First extends Server.Service<First>()("First", { protocol: Protocol.lines() }) {}
class Second extends Server.Service<Second>()("Second", { protocol: Protocol.lines() }) {}

tracingChannel<object, { readonly server: net.Server }>("net.server.listen").asyncEnd.subscribe((message) => {
  const { server } = message as { readonly server: net.Server }
  process.once("SIGUSR2", () => {
    if (server.listening && dead++ === 0) server.emit("error", new Error("nobody listens"))
  })
})
let dead = 0

/** The second is slower, so that it is still at work when the first has drained. */
const slowly = (millis: number) => (request: { readonly body: string }) =>
  Effect.as(Effect.andThen(Console.log(`handling ${request.body}`), Effect.sleep(millis)), Response.make(request.body))

const FirstLive = First.serve(slowly(100)).pipe(Layer.provideMerge(First.announce))
const SecondLive = Second.serve(slowly(500)).pipe(Layer.provideMerge(Second.announce))

const layers = {
  /** Each is built by the fiber that launches. */
  nested: SecondLive.pipe(Layer.provide(FirstLive)),
  /** Each is built by a fiber of its own, which has ended when the listener dies. */
  merged: Layer.merge(FirstLive, SecondLive)
}

layers[process.env["LAYERS"] as "nested" | "merged"].pipe(
  Layer.provide(NodeServer.layer(Second, "tcp://127.0.0.1:0").pipe(Layer.provideMerge(NodeServer.layerConfig(First)))),
  NodeServer.launch
)
