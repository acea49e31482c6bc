/** A server whose replies are more than a worker may have on its way. */
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

export class Streaming extends Server.Service<Streaming>()("Streaming", { protocol: Protocol.lines() }) {}

/** How many lines a stream has, of so many characters: together more than 64 KiB. */
export const items = 50
export const width = 2_000

export const streaming: Handler.Handler<string, string> = ({ body }) =>
  Effect.sync(() =>
    body === "stream"
      ? Response.stream(Stream.fromIterable(Array.from({ length: items }, () => "y".repeat(width))))
      : Response.make(body)
  )

// Only where this is the program that was started.
if (import.meta.main) NodeServer.launch(Layer.provide(Streaming.serve(streaming), MemoryServer.layer(Streaming)))
