/**
 * The API and what answers it. Importing this starts nothing: the test and `main.ts` place it.
 *
 * None of it knows where it runs: it is Effect's `HttpApi`, router and WebSocket, as they are for `NodeHttpServer`.
 */
import { Server } from "@socketserver/core"
import { HttpBridge, MetricsRoutes } from "@socketserver/effect"
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import type { Socket } from "effect/socket"
import { createHash } from "node:crypto"

export class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}

const Text = Schema.String.pipe(HttpApiSchema.asText())

export const Api = HttpApi.make("Example").add(
  HttpApiGroup.make("all", { topLevel: true }).add(
    HttpApiEndpoint.get("hello", "/hello", { success: Text }),
    HttpApiEndpoint.get("slow", "/slow", { success: Text }),
    HttpApiEndpoint.post("upload", "/upload", { success: Schema.Struct({ bytes: Schema.Int, sha256: Schema.String }) })
  )
)

/** Reads a body of any type and size as it comes: nothing of it is kept. */
const digest = <E>(body: Stream.Stream<Uint8Array, E>) =>
  Effect.gen(function* () {
    const hash = createHash("sha256")
    let bytes = 0
    yield* Stream.runForEach(body, (chunk) =>
      Effect.sync(() => {
        bytes += chunk.length
        hash.update(chunk)
      })
    )
    return { bytes, sha256: hash.digest("hex") }
  })

const handlers = HttpApiBuilder.group(Api, "all", (handlers) =>
  handlers
    .handle("hello", () => Effect.succeed("hello\n"))
    .handle("slow", () => Effect.delay(Effect.succeed("slow\n"), "1 second"))
    // A body that breaks off has nobody left to be answered.
    .handleRaw("upload", ({ request }) => Effect.orDie(digest(request.stream)))
)

const echo = (socket: Socket.Socket) =>
  Effect.gen(function* () {
    const { pull } = yield* socket.reader
    const { writeAll } = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writeAll))
  }).pipe(Effect.scoped)

/** Both ends may close a WebSocket, and the server does when it stops: that is its end, and no error. */
const webSocket = HttpRouter.add(
  "GET",
  "/ws",
  Effect.gen(function* () {
    const { upgrade } = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* upgrade
    yield* Effect.catchReason(echo(socket), "SocketError", "SocketCloseError", () => Effect.void)
    return HttpServerResponse.empty()
  })
)

// `/metrics`, `/ready` and `/health` are of the whole program, and its copies.
const routes = Layer.mergeAll(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers)), webSocket, MetricsRoutes.layer)

export const WebLive = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(HttpBridge.layer(Web))
)
