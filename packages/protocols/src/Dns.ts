/**
 * For servers that DNS resolvers ask: questions and answers over UDP and TCP (RFC
 * 1035), with EDNS (RFC 6891).
 *
 * {@link protocol} reads queries and writes responses; {@link handler} makes a
 * handler of a function from a question to an {@link Answer}, and does what has to
 * be right whatever is asked: the size that the sender can take, what is not
 * implemented, the header. It is no resolver: it looks nothing up, and keeps nothing.
 *
 * It needs the package `dns-packet`, which reads and writes the data of records.
 * What arrives is walked before that, so that nothing reads past its end or in a
 * circle.
 *
 * **Example** (A name server, asked in memory)
 *
 * ```ts
 * import { MemoryServer, Server } from "@socketserver/core"
 * import * as Dns from "@socketserver/protocols/Dns"
 * import { Effect, Layer } from "effect"
 *
 * class Names extends Server.Service<Names>()("Names", { protocol: Dns.protocol() }) {}
 *
 * const NamesLive = Names.serve(
 *   Dns.handler(({ question: { name, type } }) =>
 *     Effect.succeed(
 *       type === "A"
 *         ? { authoritative: true, answers: [{ name, type, ttl: 60, data: "192.0.2.1" }] }
 *         : { rcode: "REFUSED" }
 *     )
 *   ),
 *   { onUndecodable: Dns.onUndecodable }
 * )
 *
 * const asked = Effect.gen(function* () {
 *   const client = yield* Names.client
 *   const { answers } = yield* client.send(Dns.query("host.example", "A", { id: 7 }))
 *   const { rcode } = yield* client.send(Dns.query("host.example", "MX", { id: 8 }))
 *   return [answers[0]?.data, rcode]
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(NamesLive, MemoryServer.layerDatagrams(Names))))
 *
 * await Effect.runPromise(asked) // => ["192.0.2.1", "REFUSED"]
 * ```
 *
 * @since 0.1.0
 */
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request_ from "@socketserver/core/Request"
import * as Response_ from "@socketserver/core/Response"
import type { Handler } from "@socketserver/core/Handler"
import type { Undecodable } from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as messages from "./internal/dns/message.ts"
import type {
  Answer,
  Edns,
  OpaqueType,
  Option,
  Query,
  Question,
  Record,
  Request,
  Response
} from "./internal/dns/model.ts"
import { labelText, parseName } from "./internal/dns/names.ts"
import { missing } from "./internal/dns/rdata.ts"

export type { Answer, Edns, OpaqueType, Option, Query, Question, Record, Request, Response }

/**
 * DNS: a message is a datagram over UDP, and comes after its length in two bytes
 * over TCP. Responses may leave in another order than the requests came.
 *
 * **Details**
 *
 * `Malformed` is what is shorter than a header or a response; a query without
 * exactly one question (RFC 9619), with a name that points elsewhere, that points
 * forward, or is longer than 255 bytes; what is cut off; bytes after the last
 * record. {@link onUndecodable} says to whom that is told.
 *
 * **Gotchas**
 *
 * A query has 64 records beside its question at most: more are `Malformed`. A
 * message has 65,535 bytes at most. Without the package `dns-packet` a server does
 * not start, and says so (`InvalidOption`); a bundle does not contain it.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = (): Protocol.Protocol<Request, Response> => {
  const made = Protocol.correlated(
    Protocol.transform(Protocol.lengthPrefixed({ lengthBytes: 2, maxFrameBytes: 65_537 }), {
      request: { decode: messages.decodeRequest, encode: messages.encodeRequest },
      response: { decode: messages.decodeResponse, encode: messages.encodeResponse }
    }),
    { id: ({ id }) => id }
  )
  // A server that is declared with it does not start then.
  const problem = missing()
  return problem === undefined ? made : { ...made, problem }
}

/**
 * The options of {@link handler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions {
  /** The largest response that is sent as a datagram, in bytes, and what is said of it to clients. More is truncated, as it is where the client can take less. Default: 1,232, which no network cuts. */
  readonly maxUdpBytes?: number | undefined
}

/**
 * Makes the handler of a function that answers queries.
 *
 * **Details**
 *
 * A datagram goes back in no more than the least of `maxUdpBytes` and what the
 * client says that it can take: 512 bytes where it does not speak EDNS. Records are
 * left out whole, and what EDNS says is not. Other opcodes than queries are answered
 * with NOTIMP, other versions of EDNS with BADVERS: the function does not see them.
 *
 * **Gotchas**
 *
 * A handler that dies says nothing over UDP, and closes a connection. Where clients
 * shall hear it, answer `{ rcode: "SERVFAIL" }` yourself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handler =
  <R = never>(
    answer: (query: Query, request: Request_.Request<Request, Response>) => Effect.Effect<Answer, never, R>,
    options?: HandlerOptions
  ): Handler<Request, Response, R> =>
  (request) => {
    const { body, connection } = request
    const { edns } = body
    const ours = Math.max(leastUdpBytes, options?.maxUdpBytes ?? 1_232)
    const theirs = edns === undefined ? leastUdpBytes : Math.max(leastUdpBytes, edns.udpBytes)
    const maxBytes = connection.kind === "stream" ? undefined : Math.min(ours, theirs)
    const reply = (answer: Answer) => Response_.make(responseOf(body, answer, ours, maxBytes))
    if (body.opcode !== 0) return Effect.succeed(reply({ rcode: "NOTIMP" }))
    if (edns !== undefined && edns.version !== 0) return Effect.succeed(reply({ rcode: "BADVERS" }))
    return Effect.map(answer(body as Query, request), reply)
  }

/** What every client can take. */
const leastUdpBytes = 512

const none: ReadonlyArray<never> = []

const responseOf = (request: Request, answer: Answer, udpBytes: number, maxBytes: number | undefined): Response => ({
  id: request.id,
  opcode: request.opcode,
  rcode: answer.rcode ?? "NOERROR",
  authoritative: answer.authoritative ?? false,
  truncated: false,
  recursionDesired: request.recursionDesired,
  recursionAvailable: answer.recursionAvailable ?? false,
  authenticData: answer.authenticData ?? false,
  checkingDisabled: request.checkingDisabled,
  question: request.question,
  answers: answer.answers ?? none,
  authorities: answer.authorities ?? none,
  additionals: answer.additionals ?? none,
  edns: request.edns && { version: 0, udpBytes, dnssecOk: request.edns.dnssecOk, options: answer.options ?? none },
  maxBytes
})

/**
 * What is said to who sends no query: FORMERR, with the header alone. Nothing is
 * said to what is shorter than a header, or is a response: so two servers never
 * answer each other. For `onUndecodable` of `serve`; over TCP the connection closes
 * after it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const onUndecodable = (_: Protocol.DecodeError, { payload }: Undecodable): Response_.Response<Response> => {
  if (!(payload instanceof Uint8Array) || payload.length < messages.headerBytes) return Response_.empty
  const [first = 0, second = 0, high = 0, low = 0] = payload
  if (high >= 0x80) return Response_.empty
  const request: Request = {
    id: first * 256 + second,
    opcode: (high >> 3) & 15,
    recursionDesired: (high & 1) === 1,
    authenticData: false,
    checkingDisabled: (low & 0x10) !== 0,
    question: undefined,
    edns: undefined
  }
  return Response_.make(responseOf(request, { rcode: "FORMERR" }, leastUdpBytes, undefined))
}

/**
 * The options of {@link query}.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueryOptions {
  /** A number of 16 bits. Over UDP it is what tells an answer from a forged one: let nobody guess it. Default: 0. */
  readonly id?: number | undefined
  /** Default: `"IN"`. */
  readonly class?: string | undefined
  /** Default: `false`. */
  readonly recursionDesired?: boolean | undefined
  /** What EDNS says. Default: EDNS is not spoken. */
  readonly edns?: Partial<Edns> | undefined
}

/**
 * A query, for a client to send. A name, a type or a class that cannot be written
 * fails there, with `EncodeFailed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const query = (name: string, type: string, options?: QueryOptions): Query => {
  const question = { name, type, class: options?.class ?? "IN" }
  const bytes = messages.questionBytes(question)
  return {
    id: options?.id ?? 0,
    opcode: 0,
    recursionDesired: options?.recursionDesired ?? false,
    authenticData: false,
    checkingDisabled: false,
    question: { ...question, bytes: typeof bytes === "string" ? new Uint8Array(0) : bytes },
    edns: options?.edns && { version: 0, udpBytes: 1_232, dnssecOk: false, options: none, ...options.edns }
  }
}

/**
 * A name in the one form that is the same for all names that are the same: in lower
 * case, without a dot at its end, escaped where it must be. A failure says what is
 * wrong with it.
 *
 * **Example** (Comparing names)
 *
 * ```ts
 * import * as Dns from "@socketserver/protocols/Dns"
 * import { Result } from "effect"
 *
 * Dns.nameKey("WWW.Example.") // => Result.succeed("www.example")
 * Dns.nameKey("a..b") // => Result.fail("it has an empty label")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const nameKey = (name: string): Result.Result<string, string> => {
  const bytes = parseName(name)
  if (typeof bytes === "string") return Result.fail(bytes)
  const labels: Array<string> = []
  for (let at = 0; bytes[at]! > 0; at += bytes[at]! + 1) labels.push(labelText(bytes, at + 1, at + 1 + bytes[at]!))
  return Result.succeed(labels.length === 0 ? "." : labels.join(".").toLowerCase())
}

/**
 * Why a record cannot be written, if it cannot: for records that come from a file.
 *
 * **Example** (Looking at a record before it is answered)
 *
 * ```ts
 * import * as Dns from "@socketserver/protocols/Dns"
 *
 * Dns.problemOf({ name: "host.example", type: "A", ttl: 60, data: "192.0.2.1" }) // => undefined
 * Dns.problemOf({ name: "host.example", type: "A", ttl: 60, data: "192.0.2" }) // => "the data of a record is no A"
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const problemOf = (record: Record): string | undefined => messages.recordProblem(record)
