/**
 * XML-RPC, for servers whose clients speak it: methods with typed parameters on a
 * router of Effect, over `HttpBridge` or any other `HttpServer`.
 *
 * Documents are read by `saxes`, which has to be installed. What does not parse, and
 * what a method refuses, is a fault. There is no document type, so no entity of its
 * own, and a call is bounded in bytes, depth and values.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { withBody } from "./internal/xmlrpc/body.ts"
import { respond, withSystem } from "./internal/xmlrpc/calling.ts"
import { charsetOf, textOf } from "./internal/xmlrpc/document.ts"
import * as types from "./internal/xmlrpc/types.ts"
import * as values from "./internal/xmlrpc/values.ts"

/**
 * A value as it stands in a document. `DateTime` is text such as `19980717T14:08:55`:
 * XML-RPC does not say of which time zone.
 *
 * @category models
 * @since 0.1.0
 */
export type Value = values.Value

/**
 * A type of parameters and answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Type<in out A> extends types.Type<A> {}

/**
 * What a method refuses to do, or cannot: its client gets the code and the text.
 *
 * @category errors
 * @since 0.1.0
 */
export class Fault extends Data.TaggedError("XmlrpcFault")<{ readonly code: number; readonly message: string }> {}

/**
 * An integer of 32 bits: `<int>`, `<i4>`.
 *
 * @category types
 * @since 0.1.0
 */
export const int: Type<number> = types.plain("int", "Int")

/**
 * An integer of 64 bits: `<i8>`, which many know, and the specification does not.
 *
 * @category types
 * @since 0.1.0
 */
export const i8: Type<bigint> = types.plain("i8", "I8")

/**
 * `<boolean>`.
 *
 * @category types
 * @since 0.1.0
 */
export const boolean: Type<boolean> = types.plain("boolean", "Boolean")

/**
 * `<double>`: neither infinite nor `NaN`.
 *
 * @category types
 * @since 0.1.0
 */
export const double: Type<number> = types.plain("double", "Double")

/**
 * `<int>` or `<double>`, whichever comes; written as an `<int>` where it is one.
 *
 * @category types
 * @since 0.1.0
 */
export const number: Type<number> = {
  name: "double",
  decode: (value) => (value._tag === "Int" || value._tag === "Double" ? value.value : undefined),
  encode: (value) => ({ _tag: (value | 0) === value ? "Int" : "Double", value })
}

/**
 * `<string>`. One that has characters that XML cannot express fails as an answer.
 *
 * @category types
 * @since 0.1.0
 */
export const string: Type<string> = types.plain("string", "String")

/**
 * `<base64>`: bytes.
 *
 * @category types
 * @since 0.1.0
 */
export const base64: Type<Uint8Array> = types.plain("base64", "Base64")

/**
 * `<dateTime.iso8601>`, as its text.
 *
 * @category types
 * @since 0.1.0
 */
export const dateTime: Type<string> = types.plain("dateTime.iso8601", "DateTime")

/**
 * `<nil/>`, which many know, and the specification does not.
 *
 * @category types
 * @since 0.1.0
 */
export const nil: Type<null> = {
  name: "nil",
  decode: (value) => (value._tag === "Nil" ? null : undefined),
  encode: () => ({ _tag: "Nil" })
}

/**
 * Any value, as it stands.
 *
 * @category types
 * @since 0.1.0
 */
export const value: Type<Value> = { name: "any", decode: (value) => value, encode: (value) => value }

/**
 * `<array>` of one type; of several with {@link value}.
 *
 * @category types
 * @since 0.1.0
 */
export const array: <A>(of: Type<A>) => Type<ReadonlyArray<A>> = types.array

/**
 * `<struct>` with these members. Others are passed over.
 *
 * @category types
 * @since 0.1.0
 */
export const struct: <A extends object>(fields: { readonly [K in keyof A]: Type<A[K]> }) => Type<A> = types.struct

/**
 * A method that can be called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Method<out R = never> {
  readonly help: string
  /** What it answers and takes, by the names of types, the answer's first. */
  readonly signatures: ReadonlyArray<ReadonlyArray<string>>
  readonly call: (params: ReadonlyArray<Value>) => Effect.Effect<Value, values.Fault, R>
}

/**
 * Makes a method of a function. Parameters that are others than it takes are a fault
 * (-32602) before it is called; what it dies of is one, too (-32603), and is logged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const method = <const Params extends ReadonlyArray<unknown>, A, R = never>(options: {
  readonly params: readonly [...{ readonly [K in keyof Params]: Type<Params[K]> }]
  readonly returns: Type<A>
  /** What `system.methodHelp` says of it. Default: nothing. */
  readonly help?: string | undefined
  /** What `system.methodSignature` says of it. Default: the names of its types. */
  readonly signatures?: ReadonlyArray<ReadonlyArray<string>> | undefined
  readonly handle: (...params: Params) => Effect.Effect<A, Fault, R>
}): Method<R> => {
  const { handle, help = "", returns } = options
  const params: ReadonlyArray<Type<unknown>> = options.params as never
  const names = params.map(({ name }) => name)
  const takes = `it takes (${names.join(", ")})`
  return {
    help,
    signatures: options.signatures ?? [[returns.name, ...names]],
    call: (given) => {
      const decoded = params.map((type, i) => (given[i] === undefined ? undefined : type.decode(given[i])))
      if (given.length !== params.length || decoded.includes(undefined)) {
        return Effect.fail(new values.Fault(values.codes.invalidParams, takes))
      }
      return Effect.mapBoth(handle(...(decoded as ReadonlyArray<unknown> as Params)), {
        onFailure: ({ code, message }) => new values.Fault(code, message),
        onSuccess: returns.encode
      })
    }
  }
}

/**
 * What a call may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where calls are posted to. Default: `/` and `/RPC2`. */
  readonly paths?: ReadonlyArray<HttpRouter.PathInput> | undefined
  /** The largest document, in bytes. Default: 1 MiB. A larger one is a fault, and no more of it is read. */
  readonly maxBytes?: number | undefined
  /** How deep values may stand in others. Default: 64. A deeper one is a fault. */
  readonly maxDepth?: number | undefined
  /** How many values a call may have. Default: 65,536. More are a fault. */
  readonly maxValues?: number | undefined
  /** How many calls a `system.multicall` may make. Default: 1,000. More are a fault. */
  readonly maxCalls?: number | undefined
}

type Requires<M> = M extends Method<infer R> ? R : never

/**
 * Methods on the program's router, with `system.listMethods`, `methodHelp`,
 * `methodSignature` and `multicall`.
 *
 * **Example** (Adding, for clients in any language)
 *
 * ```ts
 * import { MemoryServer, Server } from "@socketserver/core"
 * import { HttpBridge, Xmlrpc } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
 *
 * class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}
 *
 * const add = Xmlrpc.method({
 *   params: [Xmlrpc.int, Xmlrpc.int],
 *   returns: Xmlrpc.int,
 *   help: "The sum of two integers.",
 *   handle: (a, b) => Effect.succeed(a + b)
 * })
 *
 * const WebLive = HttpRouter.serve(Xmlrpc.layer({ add }), { disableLogger: true }).pipe(
 *   Layer.provide(HttpBridge.layer(Web))
 * )
 *
 * const call = HttpClientRequest.post("/RPC2").pipe(
 *   HttpClientRequest.bodyText(
 *     "<methodCall><methodName>add</methodName><params>" +
 *       "<param><value><int>2</int></value></param><param><value><int>3</int></value></param></params></methodCall>",
 *     "text/xml"
 *   )
 * )
 * const program = Effect.flatMap(HttpClient.execute(call), (response) => response.text).pipe(
 *   Effect.provide(Layer.merge(WebLive, HttpBridge.layerClient(Web)).pipe(Layer.provide(MemoryServer.layer(Web))))
 * )
 *
 * const answer = await Effect.runPromise(program)
 * answer.includes("<int>5</int>") // => true
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const M extends Readonly<Record<string, Method<unknown>>>>(
  methods: M,
  options: Options = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | Requires<M[keyof M]>> => {
  const { maxBytes = 1_048_576, maxCalls = 1_000, maxDepth = 64, maxValues = 65_536, paths = ["/", "/RPC2"] } = options
  const all = withSystem(new Map(Object.entries(methods)), maxCalls)
  const tooLarge = Result.fail(new values.Fault(values.codes.notXmlRpc, `a call has at most ${maxBytes} bytes`))
  return Layer.unwrap(
    Effect.gen(function* () {
      const { SaxesParser } = yield* Effect.promise(() => import("saxes"))
      const services = yield* Effect.context<Requires<M[keyof M]>>()
      const answer = Effect.gen(function* () {
        const request = yield* HttpServerRequest
        const document = yield* withBody(request, maxBytes, (body) =>
          Effect.flatMap(Effect.result(body), (read) => {
            const text = Result.isFailure(read)
              ? tooLarge
              : textOf(read.success, charsetOf(request.headers["content-type"]))
            return respond(SaxesParser, all, { maxDepth, maxValues }, text)
          })
        )
        return HttpServerResponse.text(document, { contentType: "text/xml; charset=utf-8" })
      })
      const provided = Effect.provideContext(answer, services as never) as typeof answer
      return HttpRouter.addAll(paths.map((path) => HttpRouter.route("POST", path, provided as never)))
    })
  ) as Layer.Layer<never, never, HttpRouter.HttpRouter | Requires<M[keyof M]>>
}
