/** What compiles and what must not. The compiler is the test; nothing of it runs but the last lines. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Client,
  type Connection,
  Handler,
  MemoryServer,
  Middleware,
  type Outcome,
  Policy,
  Protocol,
  type Request,
  Response,
  Server,
  type ServerError,
  Session
} from "@socketserver/core"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Accepts only a value whose type is exactly `Expected`. */
const is =
  <Expected>() =>
  <Actual>(_actual: Actual, ..._same: Equal<Expected, Actual> extends true ? [] : [never]): void => {}

class Db extends Context.Service<Db, { readonly get: (key: string) => Effect.Effect<string> }>()("Db") {}
class Log extends Context.Service<Log, { readonly write: (line: string) => Effect.Effect<void> }>()("Log") {}

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const calculator = Protocol.schema(Protocol.ndjson(), {
  request: Schema.Struct({ add: Schema.Array(Schema.Finite) }),
  response: Schema.Struct({ sum: Schema.Finite })
})
type Add = { readonly add: ReadonlyArray<number> }
type Sum = { readonly sum: number }
class Calculator extends Server.Service<Calculator>()("Calculator", { protocol: calculator }) {}

class Chat extends Server.Service<Chat>()("Chat", { protocol: Protocol.connection(Protocol.lines()) }) {}
class Raw extends Server.Service<Raw>()("Raw", { protocol: Protocol.connection() }) {}

const oneWay = Protocol.make<string, number>({
  name: "one way",
  request: { decode: () => Protocol.more() },
  response: { encode: String }
})
class OneWay extends Server.Service<OneWay>()("OneWay", { protocol: oneWay }) {}

const text = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))

// A declaration without its class.
// @ts-expect-error
class NoSelf extends Server.Service()("NoSelf", { protocol: Protocol.lines() }) {}
export { NoSelf }

export const handlers = (): void => {
  Lines.serve(text)
  Calculator.serve(({ body }) => Effect.succeed(Response.make({ sum: body.add.length })))

  // A handler that can fail.
  const failing = (_: Request.Request<string>) => Effect.fail("no")
  // @ts-expect-error
  Lines.serve(failing)
  // @ts-expect-error
  Lines.run(failing)
  // @ts-expect-error
  Lines.handleRequest(failing)
  // @ts-expect-error
  Effect.flatMap(Lines, (server) => Stream.runForEach(server.requests, (incoming) => incoming.handle(failing)))
  Lines.serve(Handler.recover(failing, (error) => Response.make(error)))

  // A response of another type.
  // @ts-expect-error
  Lines.serve((_) => Effect.succeed(Response.make(1)))
  // @ts-expect-error
  Lines.serve((_) => Effect.succeed("not a response"))
  // @ts-expect-error
  Lines.serve((_) => Effect.succeed(Response.stream(Stream.make(1))))
  // @ts-expect-error
  Lines.serve((_) => Effect.succeed(Response.andClose(Response.make(1))))
  // @ts-expect-error
  Lines.serve((_) => Effect.succeed(Response.stream(Stream.fail("no"))))
  // @ts-expect-error
  Lines.serve(() => Response.make("no effect"))
  Lines.serve((_) => Effect.succeed(Response.empty))
  Lines.serve((_) => Effect.succeed(Response.andClose(Response.empty)))
  Lines.serve((_) => Effect.succeed(Response.stream(Stream.make("a"))))
  Lines.serve(({ body }) => Effect.succeed(body === "" ? Response.empty : Response.make(body)))

  // A handler that is written apart from its server.
  is<Handler.Handler<string, string>>()({} as never as Server.HandlerOf<typeof Lines>)
  is<Handler.Handler<Add, Sum, Db>>()({} as never as Server.HandlerOf<typeof Calculator, Db>)
  is<Request.Request<Add, Sum>>()({} as never as Server.RequestOf<typeof Calculator>)
  is<Connection.Ref<Sum>>()({} as never as Server.ConnectionOf<typeof Calculator>)
  is<Connection.Connection<string, string>>()({} as never as Server.ConnectionOf<typeof Chat>)
  Calculator.serve({} as never as Server.HandlerOf<typeof Calculator>)
  // @ts-expect-error
  Calculator.serve({} as never as Server.HandlerOf<typeof Lines>)

  // A request of another type.
  // @ts-expect-error
  Lines.serve((_: Request.Request<number, string>) => Effect.succeed(Response.empty))
  // @ts-expect-error
  Calculator.serve(text)
  Lines.serve((_: Request.Request<string | number, string>) => Effect.succeed(Response.empty))

  // What is pushed has the type of the responses.
  Lines.serve(({ connection }) => Effect.as(Effect.orDie(connection.push("a")), Response.empty))
  // @ts-expect-error
  Lines.serve(({ connection }) => Effect.as(Effect.orDie(connection.push(1)), Response.empty))
  // @ts-expect-error: a push can fail, and that has to be handled too
  Lines.serve(({ connection }) => Effect.as(connection.push("a"), Response.empty))

  // A request has no way back but its handler's response.
  // @ts-expect-error
  Lines.serve((request) => Effect.as(request.respond(Response.empty), Response.empty))
}

export const services = (): void => {
  const reading = (request: Request.Request<string>) =>
    Effect.gen(function* () {
      const db = yield* Db
      return Response.make(yield* db.get(request.body))
    })
  is<Layer.Layer<never, ServerError.ServerError | Policy.PolicyError, Lines | Db>>()(Lines.serve(reading))
  is<Effect.Effect<never, ServerError.ServerError | Policy.PolicyError, Lines | Db>>()(Lines.run(reading))
  is<Effect.Effect<Option.Option<Outcome.Outcome>, ServerError.ServerError, Lines | Db>>()(Lines.handleRequest(reading))
  is<Layer.Layer<never, ServerError.ServerError | Policy.PolicyError, Lines>>()(Lines.serve(text))
  is<Layer.Layer<Lines, ServerError.ServerError>>()(MemoryServer.layer(Lines))

  // Combinators and middlewares add their own.
  const logging = (_: unknown, __: Request.Request<string>) => Effect.flatMap(Log, (log) => log.write(""))
  const reported = Handler.onFailure(reading, logging)
  is<Handler.Handler<string, string, Db | Log>>()(reported)
  const check = (_: Request.Request<string>) => Effect.as(Effect.asVoid(Log), true)
  const verified = Middleware.filter(reading, check)
  is<Handler.Handler<string, string, Db | Log>>()(verified)
  const timed = Middleware.timeout(reading, "1 second")
  is<Handler.Handler<string, string, Db>>()(timed)
  // @ts-expect-error: a check does not fail, it decides
  Middleware.filter(text, () => Effect.fail("no"))

  // Setup may use services; its scope is given.
  const session = Session.make((connection: Connection.Ref<string>) =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.log(connection.id))
      yield* Db
      return (request: Request.Request<string>) => Effect.as(Log, Response.make(request.body))
    })
  )
  is<Layer.Layer<never, ServerError.ServerError | Policy.PolicyError, Lines | Db | Log>>()(Lines.serve(session))
  // @ts-expect-error: a setup that can fail
  Session.make((_: Connection.Ref<string>) => Effect.fail("no"))

  // With the types of messages given, as the documentation writes it; a finalizer needs no more.
  Session.make<string, string>(() =>
    Effect.as(
      Effect.addFinalizer(() => Effect.void),
      text
    )
  )
  // Or from the server it is for.
  Lines.serve(
    Session.make((connection) =>
      Effect.as(Effect.orDie(connection.push("hello")), (request) => Effect.succeed(Response.make(request.body)))
    )
  )

  const steps = Handler.lifecycle({
    setup: (_: Request.Request<string, string>) => Db,
    handle: (request, db) => Effect.map(db.get(request.body), Response.make),
    finish: () => Effect.asVoid(Log)
  })
  is<Handler.Handler<string, string, Db | Log>>()(steps)
}

export const messages = (): void => {
  const numbered = Handler.mapRequest(text, (n: number) => `${n}`)
  is<Handler.Handler<number, string>>()(numbered)
  const number = (_: Request.Request<string, number>) => Effect.succeed(Response.make(1))
  const formatted = Handler.mapResponse(number, (n) => `${n}`)
  is<Handler.Handler<string, string>>()(formatted)
  // @ts-expect-error
  Lines.serve(number)
  Lines.serve(Handler.mapResponse(number, (n) => `${n}`))
  // @ts-expect-error: mapped to the wrong type
  Lines.serve(Handler.mapResponse(number, (n) => n + 1))

  is<Response.Response<string>>()(Response.make("a" as string))
  is<Response.Response<never>>()(Response.empty)
  is<Response.Response<number>>()(Response.stream(Stream.make(1 as number)))
}

export const clients = (): void => {
  type Connecting<Send, Receive, Self> = Effect.Effect<
    Client.Client<Send, Receive>,
    Connection.ConnectFailed,
    Self | Scope.Scope
  >
  is<Connecting<string, string, Lines>>()(Lines.client)
  is<Connecting<Add, Sum, Calculator>>()(Calculator.client)
  is<Connecting<string, string, Chat>>()(Chat.client)
  is<Connecting<Uint8Array, Uint8Array, Raw>>()(Raw.client)

  const use = (client: Client.Client<Add, Sum>) => {
    is<Effect.Effect<Sum, Connection.ConnectionError>>()(client.send({ add: [1] }))
    is<Stream.Stream<Sum, Connection.ConnectionError>>()(client.stream)
    is<Effect.Effect<Sum, Connection.ConnectionError | Cause.Done>>()(client.take)
    is<Stream.Stream<Sum, Connection.ConnectionError | "bad", Db>>()(
      client.exchange(Stream.empty as Stream.Stream<Add, "bad", Db>)
    )
    // @ts-expect-error
    client.send({ add: "1" })
    // @ts-expect-error
    client.write({ sum: 1 })
  }
  use({} as never as Client.Client<Add, Sum>)

  // Whoever can only be served has a client that can send nothing, but raw bytes.
  is<Connecting<never, never, OneWay>>()(OneWay.client)
  // @ts-expect-error
  Effect.flatMap(OneWay.client, (client) => client.send("a"))
  is<Effect.Effect<Connection.Connection<Uint8Array, Uint8Array>, Connection.ConnectFailed, OneWay | Scope.Scope>>()(
    OneWay.rawClient
  )
  OneWay.serve((request) => Effect.succeed(Response.make(request.body.length)))
}

export const connections = (): void => {
  Chat.serve((request) => {
    is<Connection.Connection<string, string>>()(request.body)
    return Effect.as(Effect.orDie(request.body.write("hello")), Response.empty)
  })
  Raw.serve((request) => {
    is<Connection.Connection<Uint8Array, Uint8Array>>()(request.body)
    return Effect.succeed(Response.empty)
  })
  // A connection is not answered, it is written to.
  // @ts-expect-error
  Chat.serve((_) => Effect.succeed(Response.make("hello")))
  // @ts-expect-error
  Chat.serve((request) => Effect.as(Effect.orDie(request.connection.push("hello")), Response.empty))
  // @ts-expect-error
  Chat.serve((request) => Effect.as(Effect.orDie(request.body.write(1)), Response.empty))
  // @ts-expect-error: writing can fail
  Chat.serve((request) => Effect.as(request.body.write("hello"), Response.empty))
}

export const policies = (): void => {
  const sums: Handler.Handler<Add, Sum> = () => Effect.succeed(Response.empty)
  for (const policy of [Policy.sequential, Policy.fiber(), Policy.connection({ max: 3 }), Policy.keyed()]) {
    Calculator.serve(sums, { policy })
    Lines.serve(text, { policy })
    Policy.layer(policy)
  }
  // A key is of what the declaration decodes.
  class _Keyed extends Server.Service<_Keyed>()("Keyed", {
    protocol: calculator,
    key: (request) => {
      is<Add>()(request.body)
      return request.body.add.length
    }
  }) {}
  class _Other extends Server.Service<_Other>()("Other", {
    protocol: calculator,
    // @ts-expect-error: requests of another body
    key: (request: Request.Request<string>) => request.body
  }) {}
}

export const protocols = (): void => {
  is<Protocol.Framed<string>>()(Protocol.lines())
  is<Protocol.Framed<Uint8Array>>()(Protocol.bytes())
  is<Protocol.Protocol<unknown, unknown>>()(Protocol.ndjson())
  is<Protocol.Protocol<Add, Sum>>()(calculator)
  const correlated = Protocol.correlated(calculator, { request: ({ add }) => add.length, response: ({ sum }) => sum })
  is<Protocol.Protocol<Add, Sum>>()(correlated)
  // Its types are found in place, beside a key that needs them.
  Server.Service<Lines>()("Calculator", {
    protocol: Protocol.correlated(calculator, { request: ({ add }) => add.length, response: ({ sum }) => sum }),
    key: ({ body }) => body.add
  })
  is<Protocol.Protocol<Connection.Connection<string, string>, never, string, string>>()(
    Protocol.connection(Protocol.lines())
  )
  // What a schema encodes to must be what the framing carries.
  // @ts-expect-error
  Protocol.schema(Protocol.lines(), { request: Schema.Finite, response: Schema.String })
  Protocol.schema(Protocol.lines(), { request: Schema.FiniteFromString, response: Schema.String })
  // A schema that needs services cannot be a protocol: a decoder has none.
  const needy = Schema.String.pipe(Schema.middlewareDecoding((effect) => Effect.andThen(Db, effect)))
  // @ts-expect-error
  Protocol.schema(Protocol.lines(), { request: needy, response: Schema.String })
  // A protocol stays what it is.
  // @ts-expect-error
  const _: Protocol.Protocol<string, number> = Protocol.lines()
}

describe("The types of this package", () => {
  it("give every protocol one kind of server", () => {
    for (const declared of [Lines, Chat, OneWay]) assert.isTrue("client" in declared)
  })
})
