/** Answers each line in capitals, with a span for each request, and how long each took. */
import { Middleware, Protocol, Response, Server } from "@socketserver/core"
import { Effect } from "effect"

export class Shout extends Server.Service<Shout>()("Shout", { protocol: Protocol.lines() }) {}

const shout: Server.HandlerOf<typeof Shout> = ({ body }) => Effect.succeed(Response.make(body.toUpperCase()))

export const ShoutLive = Shout.serve(Middleware.traced(shout))
