/** Runs a server with its client on a free port of loopback, and records what either prints. */
import type { Endpoint, Server } from "@socketserver/core"
import { TcpServer } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"

/** The transcript: server and client apart, as they would be in two terminals, because sockets do not order them. */
export const program = <Self, Id extends string, In, Out, E, E2>(
  title: string,
  tag: Server.ServiceClass<Self, Id, In, Out>,
  server: Layer.Layer<never, E, Self>,
  client: (endpoint: Endpoint.Endpoint) => Effect.Effect<void, E2>
): Effect.Effect<string, E | E2 | Layer.Error<ReturnType<typeof TcpServer.layer>>> =>
  Effect.gen(function* () {
    const terminals = { server: [] as Array<string>, client: [] as Array<string> }
    yield* Effect.flatMap(tag, ({ address }) => client(address)).pipe(
      Effect.provideService(Console.Console, recorder(terminals.client)),
      Effect.provide(
        Layer.provide(server, Layer.succeed(Console.Console, recorder(terminals.server))).pipe(
          Layer.provideMerge(TcpServer.layer(tag))
        )
      )
    )
    return [`== ${title}`, ...indented("Server:", terminals.server), ...indented("Client:", terminals.client), ""].join(
      "\n"
    )
  })

const recorder = (lines: Array<string>): Console.Console => ({
  ...console,
  log: (...words) => void lines.push(words.join(" "))
})

const indented = (heading: string, lines: ReadonlyArray<string>) =>
  lines.length === 0 ? [] : [heading, ...lines.map((line) => `  ${line}`)]
