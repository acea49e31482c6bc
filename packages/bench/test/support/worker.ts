/** What a thread of `peers.ts` is started with: it places the server. */
import * as NodeServer from "@socketserver/node/NodeServer"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as Effect from "effect/Effect"
import * as Response from "@socketserver/core/Response"
import * as Layer from "effect/Layer"
import { Echo } from "./peers.ts"

const EchoLive = Echo.serve((request) => Effect.as(Effect.yieldNow, Response.make(request.body)))

EchoLive.pipe(Layer.provide(TcpServer.layer(Echo, { port: 0 })), NodeServer.launch)
