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

/** Requests that say what shall happen: a worker cannot be given a closure of the test. */
export class Script extends Server.Service<Script>()("Placement/Script", {
  protocol: Protocol.lines({ maxFrameBytes: 8 * 1_048_576 })
}) {}

/** A whole connection. */
export class Talk extends Server.Service<Talk>()("Placement/Talk", {
  protocol: Protocol.connection(Protocol.lines({ maxFrameBytes: 1_024 }))
}) {}

/** State for each connection. */
export class State extends Server.Service<State>()("Placement/State", { protocol: Protocol.lines() }) {}

type Line = Request.Request<string, string>

export const script: Handler.Handler<string, string, Script> = (request) => {
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
      return Effect.succeed(Response.make("two\nlines"))
    case "push":
      return Effect.as(Effect.ignore(request.connection.push("pushed")), Response.make("answered"))
    case "badpush":
      return Effect.match(request.connection.push("two\nlines"), {
        onFailure: ({ reason }) => Response.make<string>(reason._tag),
        onSuccess: () => Response.make("pushed")
      })
    case "leave":
      return Effect.as(request.connection.close, Response.empty)
    case "facts":
      return facts(request)
    case "worker":
      return Effect.map(Effect.all([Worker.Worker, Worker.name]), ([worker, name]) =>
        Response.make(JSON.stringify({ kind: worker.kind, name, requests: worker.requests }))
      )
    case "never":
      return Effect.never
    case "pushes":
      // Without writing, a transport cannot tell a peer that left from one that half-closed.
      return Effect.andThen(
        Effect.ignore(Effect.forever(Effect.andThen(Effect.yieldNow, request.connection.push("are you there?")))),
        Effect.never
      )
    case "stop":
      return Effect.flatMap(Script, (server) => Effect.as(server.shutdown, Response.make("stopping")))
    default:
      return Effect.succeed(Response.make(`unknown ${command}`))
  }
}

const facts = (request: Line): Effect.Effect<Response.Response<string>, never, Script> =>
  Effect.map(Script, (server) =>
    Response.make(
      JSON.stringify({
        request: request.id,
        connection: request.connection.id,
        peer: request.peer.name,
        transport: request.peer.transport,
        address: request.peer.address === undefined ? null : String(request.peer.address),
        opened: request.connection.openedAt,
        received: request.receivedAt,
        server: String(server.address)
      })
    )
  )

export const talk = Handler.dialogue<string, string>((connection, request) =>
  Effect.gen(function* () {
    yield* connection.write(`hello ${connection.id} ${request.id}`)
    yield* Stream.runForEach(connection.stream, (line) => {
      if (line === "reset") return connection.reset
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

/** All of them, for a program that is started as a worker: it has the requests of one. */
export const workers: Layer.Layer<never, unknown> = Layer.mergeAll(
  Layer.provide(Script.serve(script), MemoryServer.layer(Script)),
  Layer.provide(Talk.serve(talk), MemoryServer.layer(Talk)),
  Layer.provide(State.serve(state), MemoryServer.layer(State))
)
