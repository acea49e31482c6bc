/**
 * A handler is a function, `Request => Effect<Response>`; here is what makes one of
 * something else: of what can fail, of three steps, of a dialogue.
 *
 * It never fails: an error becomes a response first ({@link recover}), so
 * nothing that a peer should hear is lost. A defect is not a response; it ends
 * the request as `Failed`, and the server goes on.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type * as Connection from "./Connection.ts"
import type * as Request from "./Request.ts"
import * as Response from "./Response.ts"

/**
 * Answers requests of type `In` with responses of type `Out`.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<in In, out Out, out R = never> = (
  request: Request.Request<In, Out>
) => Effect.Effect<Response.Response<Out>, never, R>

/**
 * Turns the errors of a handler into responses.
 *
 * **Example** (Answering with the error)
 *
 * ```ts
 * import { Handler, Response, type Request } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const divide = (request: Request.Request<number>) =>
 *   request.body === 0 ? Effect.fail("division by zero") : Effect.succeed(Response.make(`${1 / request.body}`))
 *
 * const handler = Handler.recover(divide, (error) => Response.make(`ERR ${error}`))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const recover: {
  <E, In, Out2>(
    f: (error: E, request: Request.Request<In>) => Response.Response<Out2>
  ): <Out, R>(
    self: (request: Request.Request<In, Out>) => Effect.Effect<Response.Response<Out>, E, R>
  ) => Handler<In, Out | Out2, R>
  <In, Out, E, R, Out2>(
    self: (request: Request.Request<In, Out>) => Effect.Effect<Response.Response<Out>, E, R>,
    f: (error: NoInfer<E>, request: Request.Request<In>) => Response.Response<Out2>
  ): Handler<In, Out | Out2, R>
} = dual(
  2,
  <In, Out, E, R>(
    self: (request: Request.Request<In, Out>) => Effect.Effect<Response.Response<Out>, E, R>,
    f: (error: E, request: Request.Request<In>) => Response.Response<Out>
  ): Handler<In, Out, R> =>
    (request) =>
      Effect.catch(self(request), (error) => Effect.succeed(f(error, request)))
)

/**
 * Converts each request before the handler sees it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapRequest: {
  <In2, In>(f: (body: In2) => In): <Out, R>(self: Handler<In, Out, R>) => Handler<In2, Out, R>
  <In, Out, R, In2>(self: Handler<In, Out, R>, f: (body: In2) => In): Handler<In2, Out, R>
} = dual(
  2,
  <In, Out, R, In2>(self: Handler<In, Out, R>, f: (body: In2) => In): Handler<In2, Out, R> =>
    (request) =>
      self({ ...fields(request), body: f(request.body), connection: request.connection })
)

/**
 * Converts each message that the handler answers, streams, or pushes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapResponse: {
  <Out, Out2>(f: (message: Out) => Out2): <In, R>(self: Handler<In, Out, R>) => Handler<In, Out2, R>
  <In, Out, R, Out2>(self: Handler<In, Out, R>, f: (message: Out) => Out2): Handler<In, Out2, R>
} = dual(2, <In, Out, R, Out2>(self: Handler<In, Out, R>, f: (message: Out) => Out2): Handler<In, Out2, R> => {
  // One converted connection for each connection, so that what hangs on its identity keeps working.
  const converted = new WeakMap<object, Connection.Ref<Out>>()
  const convert = (connection: Connection.Ref<Out2>): Connection.Ref<Out> => {
    let ref = converted.get(connection)
    if (ref === undefined) {
      ref = Object.create(connection, {
        push: { value: (message: Out) => connection.push(f(message)) },
        close: { get: () => connection.close }
      }) as Connection.Ref<Out>
      converted.set(connection, ref)
    }
    return ref
  }
  return (request) =>
    Effect.map(self({ ...fields(request), body: request.body, connection: convert(request.connection) }), (response) =>
      Response.map(response, f)
    )
})

/**
 * A handler in three steps, as `setup`, `handle` and `finish` of the ancestor.
 *
 * **Details**
 *
 * `finish` runs whenever `setup` succeeded, however `handle` ended; it sees how.
 * If `setup` dies, neither of the others runs, and the request is `Failed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lifecycle =
  <In, Out, State, R = never, R2 = never, R3 = never>(options: {
    readonly setup: (request: Request.Request<In, Out>) => Effect.Effect<State, never, R>
    readonly handle: (
      request: Request.Request<In, Out>,
      state: State
    ) => Effect.Effect<Response.Response<Out>, never, R2>
    readonly finish: (
      request: Request.Request<In, Out>,
      state: State,
      exit: Exit.Exit<Response.Response<Out>>
    ) => Effect.Effect<void, never, R3>
  }): Handler<In, Out, R | R2 | R3> =>
  (request) =>
    Effect.acquireUseRelease(
      options.setup(request),
      (state) => options.handle(request, state),
      (state, exit) => options.finish(request, state, exit)
    )

/**
 * The handler of a `Protocol.connection`: a dialogue that reads and writes until
 * it ends, and the connection with it.
 *
 * **Details**
 *
 * A peer that leaves ends the dialogue where it next reads or writes. Input that
 * cannot be decoded ends the request as `Malformed` or `FrameTooLarge`, and a
 * message that cannot be encoded as `Failed`: neither passes for `Completed`. Nor
 * does an upgrade that fails, as in `TlsServer.upgrade`: it ends as `Refused`.
 *
 * **Example** (Greeting, then echoing)
 *
 * ```ts
 * import { Handler, MemoryServer, Protocol, Server } from "@socketserver/core"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.connection(Protocol.lines()) }) {}
 *
 * const EchoLive = Echo.serve(
 *   Handler.dialogue((connection) =>
 *     Effect.gen(function* () {
 *       yield* connection.write("welcome")
 *       yield* Stream.runForEach(connection.stream, connection.write)
 *     })
 *   )
 * )
 *
 * const dialogue = Effect.gen(function* () {
 *   const client = yield* Echo.client
 *   return [yield* client.take, yield* client.send("hello")]
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * await Effect.runPromise(dialogue) // => ["welcome", "hello"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const dialogue =
  <In, Out, R = never>(
    dialogue: (
      connection: Connection.Connection<In, Out>,
      request: Request.Request<Connection.Connection<In, Out>>
    ) => Effect.Effect<void, Connection.ConnectionError | Connection.UpgradeFailed | Cause.Done, R>
  ): Handler<Connection.Connection<In, Out>, never, R> =>
  (request) =>
    Effect.matchEffect(dialogue(request.body, request), {
      onSuccess: () => Effect.succeed(Response.empty),
      onFailure: (error) =>
        error._tag === "ConnectionError" && error.reason._tag === "EncodeFailed"
          ? Effect.die(error)
          : Effect.succeed(Response.empty)
    })

/**
 * Runs an effect when a handler dies, with the cause and the request; the
 * counterpart of `handle_error`. The request still ends as `Failed`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onFailure: {
  <In, R2>(
    f: (cause: Cause.Cause<never>, request: Request.Request<In>) => Effect.Effect<void, never, R2>
  ): <Out, R>(self: Handler<In, Out, R>) => Handler<In, Out, R | R2>
  <In, Out, R, R2>(
    self: Handler<In, Out, R>,
    f: (cause: Cause.Cause<never>, request: Request.Request<In>) => Effect.Effect<void, never, R2>
  ): Handler<In, Out, R | R2>
} = dual(
  2,
  <In, Out, R, R2>(
    self: Handler<In, Out, R>,
    f: (cause: Cause.Cause<never>, request: Request.Request<In>) => Effect.Effect<void, never, R2>
  ): Handler<In, Out, R | R2> =>
    (request) =>
      // A handler may throw before it returns its effect, and a peer that leaves is not a failure.
      Effect.onError(
        Effect.suspend(() => self(request)),
        (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : f(cause, request))
      )
)

const fields = (request: Request.Request<unknown>) => ({
  id: request.id,
  peer: request.peer,
  receivedAt: request.receivedAt
})
