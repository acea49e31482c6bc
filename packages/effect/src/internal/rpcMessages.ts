/** What RPC clients and servers say to each other, and how it crosses. */
import * as Protocol from "@socketserver/core/Protocol"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as RpcMessage from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"

export type FromClient = RpcMessage.FromClientEncoded
export type FromServer = RpcMessage.FromServerEncoded
export type Call = RpcMessage.RequestEncoded
export type Control = Exclude<FromClient, Call>

export type Serialization = "ndjson" | "json-rpc"

export interface MessageOptions {
  readonly serialization?: Serialization | undefined
  readonly maxFrameBytes?: number | undefined
}

/** A mebibyte: payloads of calls are larger than lines that people type. */
const defaultFrame = 1_048_576

/** The messages of RPC, one in a line. */
export const messages = ({
  maxFrameBytes = defaultFrame,
  serialization = "ndjson"
}: MessageOptions = {}): Protocol.Protocol<FromClient, FromServer> =>
  serialization === "ndjson" ? ndjson(maxFrameBytes) : jsonRpc(maxFrameBytes)

const ndjson = (maxFrameBytes: number) =>
  Protocol.transform(Protocol.ndjson({ maxFrameBytes }), {
    request: { decode: checked, encode: Result.succeed },
    response: {
      decode: (message) => Result.succeed(message as FromServer),
      encode: (message) => Result.succeed(said(message))
    }
  })

/** A value that a line cannot carry costs its call, whose peer is told; a reply that cannot be sent would cost the connection. */
const said = (message: FromServer): FromServer => {
  if (message._tag !== "Exit" && message._tag !== "Chunk") return message
  const value = message._tag === "Chunk" ? message.values : message.exit
  if (isPlain(value, mostPlain)) return message
  const encoded: unknown = values.encode(message as never)
  return encoded instanceof Protocol.Unencodable ? died(message.requestId, encoded.problem) : message
}

/** Whether there is nothing in a value that JSON would not carry as it is: what is not deep, and made of what JSON has. */
const isPlain = (value: unknown, deep: number): boolean => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true
    case "number":
      return Number.isFinite(value)
    case "object": {
      if (value === null) return true
      if (deep === 0) return false
      if (Array.isArray(value)) return value.every((element) => isPlain(element, deep - 1))
      const prototype: unknown = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) return false
      for (const name in value) if (!isPlain((value as Record<string, unknown>)[name], deep - 1)) return false
      return true
    }
    default:
      return false
  }
}

const mostPlain = 100

/** A batch is several messages, whose replies would be one: it is refused. */
const jsonRpc = (maxFrameBytes: number) => {
  const parser = RpcSerialization.ndJsonRpc({ maxBufferSize: "unbounded" }).makeUnsafe()
  const parsed = (line: string): unknown => parser.decode(`${line}\n`)[0]
  const decode = (line: string): Result.Result<unknown, string> => {
    if (line.trimStart().startsWith("[")) return Result.fail("batches are not read here")
    const read = line.includes("\\") ? () => readByCore(line, parsed) : () => parsed(line)
    return Result.mapError(Result.try(read), () => "it is not JSON-RPC")
  }
  const encode = (message: unknown) =>
    Result.succeed(
      Result.getOrElse(
        Result.try(() => String(parser.encode(message)).trimEnd()),
        (error) => String(parser.encode(unsaid(message as FromServer, error))).trimEnd()
      )
    )
  return Protocol.transform(Protocol.lines({ maxFrameBytes }), {
    request: { decode: (line) => Result.flatMap(decode(line), checked), encode },
    response: { decode: (line) => decode(line) as Result.Result<FromServer, string>, encode }
  })
}

/** Core's JSON: what `JSON.parse`, by which Effect reads, makes of names with escapes depends on those that others have sent. */
const values = Protocol.json(Protocol.lengthPrefixed({ maxFrameBytes: Number.MAX_SAFE_INTEGER })).server.datagram

interface JsonRpc {
  readonly method?: unknown
  readonly params?: { readonly requestId?: unknown } | null
  readonly result?: unknown
  readonly error?: { readonly _tag?: unknown; readonly data?: unknown } | null
}

/** What Effect looks at of a message itself; all else is the program's, and is put into what it makes of these. */
const envelope = ["jsonrpc", "id", "method", "headers", "traceId", "spanId", "sampled", "discard", "chunk"] as const

const readByCore = (line: string, parsed: (line: string) => unknown): unknown => {
  const value = Result.getOrThrow(values.decode(new TextEncoder().encode(line))) as JsonRpc
  const known: Record<string, unknown> = {}
  for (const name of envelope) if (Object.hasOwn(value, name)) known[name] = value[name as never]
  const { error, params, result } = value
  if (Object.hasOwn(value, "method")) {
    const message = parsed(JSON.stringify({ ...known, params: { requestId: params?.requestId } })) as FromClient
    return message._tag === "Request" ? { ...message, payload: params ?? null } : message
  }
  const hasError = Object.hasOwn(value, "error")
  const tag = error?._tag
  const said = hasError ? { error: error === null ? null : { _tag: tag } } : {}
  const message = parsed(JSON.stringify({ ...known, ...said })) as FromServer
  if (message._tag === "Defect") return { ...message, defect: error?.data }
  if (message._tag === "Chunk") return { ...message, values: result }
  if (message._tag !== "Exit") return message
  if (message.exit._tag === "Success") return { ...message, exit: { _tag: "Success", value: result } }
  const cause = tag === "Cause" ? error?.data : [{ _tag: "Fail", error }]
  return { ...message, exit: { _tag: "Failure", cause } }
}

/** What strangers send may be anything, and Effect's server takes it for what it should be. */
const checked = (value: unknown): Result.Result<FromClient, string> => {
  if (typeof value !== "object" || value === null) return Result.fail("a message is an object")
  const message = value as { readonly [K in keyof Call]?: unknown } & { readonly requestId?: unknown }
  switch (message._tag as unknown) {
    case "Request":
      if (typeof message.tag !== "string") return Result.fail("a request has a tag")
      if (!isId(message.id) && message.isNotification !== true)
        return Result.fail("the id of a request is text or a number")
      if (!Array.isArray(message.headers) || !message.headers.every(isPair)) {
        return Result.fail("headers are pairs of texts")
      }
      if (!isSpan(message)) return Result.fail("a span has its ids")
      return Result.succeed(value as Call)
    case "Ack":
    case "Interrupt":
      return isId(message.requestId)
        ? Result.succeed(value as Control)
        : Result.fail("it does not say which request it is about")
    case "Ping":
    case "Eof":
      return Result.succeed(value as Control)
    default:
      return Result.fail("it is no message of an RPC client")
  }
}

const isId = (id: unknown): boolean => typeof id === "string" || (typeof id === "number" && Number.isFinite(id))

const isPair = (pair: unknown): boolean =>
  Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && typeof pair[1] === "string"

const isSpan = ({ sampled, spanId, traceId }: { readonly [K in keyof Call]?: unknown }): boolean =>
  (spanId === undefined && traceId === undefined) ||
  (typeof spanId === "string" && typeof traceId === "string" && typeof sampled === "boolean")

/** Instead of an answer that cannot be said. */
const unsaid = (message: FromServer, error: unknown): FromServer =>
  "requestId" in message
    ? died(message.requestId, error instanceof Error ? error.message : String(error))
    : { _tag: "Defect", defect: "it cannot be said" }

/** A notification, as a call whose answer is for nobody: of that Effect's server says when it has ended. */
export const discarded = ({ isNotification: _, ...call }: Call, id: Call["id"]): Call => ({
  ...call,
  id,
  discard: true
})

/** What a ping is answered with. */
export const pong: FromServer = { _tag: "Pong" }

/**
 * Says something, now and then, to a peer that sends no more: one that has ended its
 * side, or is gone. Nothing else tells which, as long as its calls have nothing to say.
 */
export const knocking = (say: Effect.Effect<void>): Effect.Effect<never> =>
  Effect.forever(Effect.andThen(Effect.sleep(knockMillis), say))

const knockMillis = 5_000

/** The answer to a call that was interrupted. */
export const interrupted = (requestId: Call["id"]): FromServer => ({
  _tag: "Exit",
  requestId,
  exit: { _tag: "Failure", cause: [{ _tag: "Interrupt", fiberId: undefined }] }
})

/** The answer to a call that died of something. */
export const died = (requestId: Call["id"], defect: unknown): FromServer => ({
  _tag: "Exit",
  requestId,
  exit: { _tag: "Failure", cause: [{ _tag: "Die", defect }] }
})
