import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Worker from "@socketserver/core/Worker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as dialect from "./dialect.ts"
import { dialects } from "./dialects.ts"

/** A protocol of texts that the laws of placement go through: its servers, and what the laws have to know of it. */
export interface Spoken {
  readonly name: string
  /** Requests that say what shall happen: a worker cannot be given a closure of the test. */
  readonly script: Service<Script, string, string>
  /** Whole connections. */
  readonly talk: Service<Talk, Connection.Connection<string, string>, never>
  /** State for each connection. */
  readonly state: Service<State, string, string>
  /** A message as it is on a connection. */
  readonly frame: (message: string) => Uint8Array
  /** A message that cannot be written, and what is said of it. */
  readonly unwritable: { readonly message: string; readonly problem: RegExp }
}

type Service<Self, In, Out> = Server.ServiceClass<Self, string, In, Out, string, string>

// The same for each protocol: a service is told from others by its name alone.
export interface Script {
  readonly Script: unique symbol
}
export interface Talk {
  readonly Talk: unique symbol
}
export interface State {
  readonly State: unique symbol
}

const speaking = (
  name: string,
  protocol: (maxFrameBytes: number) => Protocol.Protocol<string, string>,
  more: Pick<Spoken, "frame" | "unwritable">
): Spoken => {
  const id = (server: string): string => `Placement/${name}/${server}`
  return {
    ...more,
    name,
    script: Server.Service<Script>()(id("Script"), { protocol: protocol(8 * 1_048_576) }),
    talk: Server.Service<Talk>()(id("Talk"), { protocol: Protocol.connection(protocol(1_024)) }),
    state: Server.Service<State>()(id("State"), { protocol: protocol(65_536) })
  }
}

/** What the laws go through. A worker has the servers of all of them, and is told by a name which one it is. */
export const spoken: ReadonlyArray<Spoken> = [
  speaking("lines", (maxFrameBytes) => Protocol.lines({ maxFrameBytes }), {
    frame: (message) => new TextEncoder().encode(`${message}\n`),
    unwritable: { message: "two\nlines", problem: /cannot be encoded: a line cannot contain a newline/ }
  })
]

export const script =
  ({ script: server, unwritable }: Spoken): Handler.Handler<string, string, Script> =>
  (request) => {
    const [command = "", ...words] = request.body.split(" ")
    const rest = words.join(" ")
    switch (command) {
      case "echo":
        return Effect.succeed(Response.make(rest))
      case "slowly":
        return Effect.as(Effect.sleep(Number(words[0])), Response.make(rest))
      case "nothing":
        return Effect.succeed(Response.empty)
      case "bye":
        return Effect.succeed(Response.andClose(Response.make("bye")))
      case "refused":
        return Effect.succeed(Response.withOutcome(Response.make("no"), Outcome.refused("because")))
      case "stream":
        return Effect.succeed(
          Response.stream(
            Stream.map(Stream.range(1, Number(words[0])), (n) => `${n} ${"x".repeat(Number(words[1] ?? 0))}`)
          )
        )
      case "endless":
        return Effect.succeed(Response.stream(Stream.map(Stream.range(1, 1e9), (n) => `${n} ${"x".repeat(1_000)}`)))
      case "huge":
        return Effect.succeed(Response.make("y".repeat(Number(words[0]))))
      case "size":
        return Effect.succeed(Response.make(String(request.body.length)))
      case "die":
        return Effect.die(new RangeError(`died of ${rest}`))
      case "throw":
        throw new RangeError(`threw ${rest}`)
      case "broken":
        return Effect.succeed(Response.stream(Stream.concat(Stream.make("one"), Stream.die(new Error("broken")))))
      case "unencodable":
        return Effect.succeed(Response.make(unwritable.message))
      case "push":
        return Effect.as(Effect.ignore(request.connection.push("pushed")), Response.make("answered"))
      case "badpush":
        return Effect.match(request.connection.push(unwritable.message), {
          onFailure: ({ reason }) => Response.make<string>(reason._tag),
          onSuccess: () => Response.make("pushed")
        })
      case "leave":
        return Effect.as(request.connection.close, Response.empty)
      case "facts":
        return Effect.map(server, ({ address }) => Response.make(JSON.stringify(factsOf(request, address))))
      case "worker":
        return Effect.map(Effect.all([Worker.Worker, Worker.name]), ([worker, name]) =>
          Response.make(JSON.stringify({ kind: worker.kind, name, requests: worker.requests }))
        )
      case "never":
        return Effect.never
      case "pushes":
        return pushes((message) => request.connection.push(message))
      case "stop":
        return Effect.flatMap(server, (server) => Effect.as(server.shutdown, Response.make("stopping")))
      default:
        return Effect.succeed(Response.make(`unknown ${command}`))
    }
  }

/** What the handler of a request knows of it. */
const factsOf = (
  { connection, id, peer, receivedAt }: Request.Request<string, string>,
  address: Endpoint.Endpoint
): Record<string, unknown> => ({
  request: id,
  connection: connection.id,
  peer: peer.name,
  transport: peer.transport,
  address: peer.address === undefined ? null : String(peer.address),
  opened: connection.openedAt,
  received: receivedAt,
  server: String(address)
})

/** Without writing, a transport cannot tell a peer that left from one that half-closed. */
const pushes = (push: (message: string) => Effect.Effect<void, unknown>): Effect.Effect<never> =>
  Effect.andThen(Effect.ignore(Effect.forever(Effect.andThen(Effect.yieldNow, push("are you there?")))), Effect.never)

export const talk = Handler.dialogue<string, string>((connection, request) =>
  Effect.gen(function* () {
    yield* connection.write(`hello ${connection.id} ${request.id}`)
    yield* Stream.runForEach(connection.stream, (line) => {
      // Neither may return before it is interrupted.
      if (line === "reset") return Effect.andThen(connection.reset, Effect.never)
      if (line === "pushes") return pushes((message) => connection.write(message))
      if (line === "die") return Effect.die(new Error("the dialogue died"))
      if (line.startsWith("fill ")) {
        const filler = "z".repeat(1_000)
        return Effect.forEach(Array.from({ length: Number(line.slice(5)) }), () => connection.write(filler), {
          discard: true
        })
      }
      return connection.write(`you said ${line}`)
    })
    yield* connection.write("goodbye")
  })
)

export const state = Session.make<string, string>((connection) =>
  Effect.gen(function* () {
    let count = 0
    yield* Effect.orDie(connection.push(`welcome ${connection.id}`))
    const worker = yield* Worker.name
    return (request) =>
      request.body === "die"
        ? Effect.die(new Error("dead"))
        : Effect.sync(() => Response.make(`${++count} ${request.body} ${worker.replace(/^fiber-.*/, "fiber")}`))
  })
)

/** The servers of one protocol, for a program that is started as a worker: it has the requests of one. */
const workersOf = (it: Spoken): Layer.Layer<never, unknown> =>
  Layer.mergeAll(
    Layer.provide(it.script.serve(script(it)), MemoryServer.layer(it.script)),
    Layer.provide(it.talk.serve(talk), MemoryServer.layer(it.talk)),
    Layer.provide(it.state.serve(state), MemoryServer.layer(it.state))
  )

/** All of them. */
export const workers: Layer.Layer<never, unknown> = [
  ...spoken.map(workersOf),
  ...dialects.map(dialect.workersOf)
].reduce((all, more) => Layer.merge(all, more))
