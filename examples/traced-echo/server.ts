/**
 * The traced echo of https://pymotw.com/3/socketserver/: each step of a request says its name.
 *
 * As there, the connection is the request. What is a method to override there is a function around the handler here.
 */
import { Handler, Middleware, Protocol, Server } from "@socketserver/core"
import { Console, Effect, Layer, pipe, Stream } from "effect"

export class EchoServer extends Server.Service<EchoServer>()("EchoServer", { protocol: Protocol.connection() }) {}

type Request = Server.RequestOf<typeof EchoServer>

const server = (step: string) => Console.log(`EchoServer: ${step}`)
const handler = (step: string) => Console.log(`EchoRequestHandler: ${step}`)

const echo = Handler.lifecycle({
  setup: (_: Request) => handler("setup"),
  handle: Handler.dialogue((connection: Server.ConnectionOf<typeof EchoServer>) =>
    handler("handle").pipe(
      Effect.andThen(
        Stream.runForEach(connection.stream, (data) =>
          Effect.andThen(handler(`recv()->"${repr(data)}"`), connection.write(data))
        )
      ),
      Effect.tapError((error) => handler(error.message))
    )
  ),
  finish: () => handler("finish")
})

const processed = (next: typeof echo) => (request: Request) =>
  server(`process_request(${request.peer})`).pipe(
    Effect.andThen(server(`finish_request(${request.peer})`)),
    Effect.andThen(next(request)),
    Effect.ensuring(server(`close_request(${request.peer})`))
  )

const traced = pipe(
  echo,
  processed,
  Middleware.filter((request) => Effect.as(server(`verify_request(${request.peer})`), true))
)

/** Outermost, so that it is the last to start and the first to stop. */
const loop = Layer.effectDiscard(Effect.acquireRelease(server("waiting for request"), () => server("shutdown()")))

export const EchoServerLive = Layer.provide(loop, EchoServer.serve(traced))

/** Bytes as Python writes them. */
export function repr(data: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(data).toString("latin1")).slice(1, -1)
  return `b'${text.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}
