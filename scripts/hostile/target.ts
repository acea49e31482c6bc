/**
 * The server that is attacked. What it does is said by variables, so that one program is all of them:
 *
 *   PROTOCOL  lines, delimited, prefixed, fixed, json, schema, …
 *   HOW       sync, gen (a fiber that does not wait), yield, sleep; never, but to "hello" and what ends with it
 *             What handlers should not do, they do when asked to: "loop", "allocate", "exec", "exit", "abort"
 *   REPLY     bytes of each answer; what was asked, if it is not set
 *   ITEMS     elements of 2,000 bytes of what answers "stream"; without an end, if it is not set
 *   WORK      microseconds of CPU for each request
 */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { execSync } from "node:child_process"
import { burn } from "./work.ts"

const { HOW = "sync", ITEMS, PROTOCOL = "lines", REPLY, WORK = "0" } = process.env
const maxFrameBytes = Number(process.env["FRAME"] ?? 65_536)

const protocols: Readonly<Record<string, () => unknown>> = {
  lines: () => Protocol.lines({ maxFrameBytes }),
  delimited: () => Protocol.delimited("\n", { maxFrameBytes }),
  prefixed: () => Protocol.lengthPrefixed({ maxFrameBytes }),
  prefixed1: () => Protocol.lengthPrefixed({ lengthBytes: 1 }),
  fixed: () => Protocol.fixed(1),
  bytes: () => Protocol.bytes(),
  json: () => Protocol.ndjson({ maxFrameBytes }),
  schema: () =>
    Protocol.schema(Protocol.ndjson({ maxFrameBytes }), {
      request: Schema.Struct({ a: Schema.optionalKey(Schema.Finite) }),
      response: Schema.Struct({})
    })
}

type Lines = ReturnType<typeof Protocol.lines>
class Target extends Server.Service<Target>()("Target", {
  protocol: protocols[PROTOCOL]!() as Lines,
  // Under `keyed` all ask for the same.
  key: () => "all"
}) {}

const work = Number(WORK) / 1_000
const text = REPLY === undefined ? undefined : "r".repeat(Number(REPLY))
const element = "y".repeat(2_000)
const elements =
  ITEMS === undefined
    ? Stream.forever(Stream.succeed(element))
    : Stream.fromIterable(Array.from({ length: Number(ITEMS) }, () => element))

const answer = (body: string): Response.Response<string> => {
  if (work > 0) burn(work)
  return body === "stream" ? Response.stream(elements) : Response.make(text ?? body)
}

/** What a handler should not do. */
const oddities: Readonly<Record<string, () => never>> = {
  loop: () => {
    for (;;) continue
  },
  allocate: () => {
    const all: Array<unknown> = []
    for (;;) all.push(new Array(1_000).fill(all.length))
  },
  exec: () => execSync("sleep 40") as never,
  exit: () => process.exit(3),
  abort: () => process.abort()
}

const endsWithHello = (body: unknown): boolean =>
  Array.isArray(body) ? body.at(-1) === "hello" : typeof body === "string" && body.endsWith("hello")

const handle = ({ body }: { readonly body: string }): Effect.Effect<Response.Response<string>> => {
  // Of JSON it may be anything.
  const odd = typeof body === "string" ? oddities[body] : undefined
  if (odd !== undefined) return Effect.delay(Effect.sync(odd), "20 millis")
  if (body === "slow") return Effect.delay(Effect.succeed(Response.make(body)), "30 millis")
  switch (HOW) {
    case "sync":
      return Effect.sync(() => answer(body))
    case "gen":
      return Effect.gen(function* () {
        yield* Effect.void
        return answer(body)
      })
    case "yield":
      return Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => answer(body))
      )
    case "sleep":
      return Effect.delay(
        Effect.sync(() => answer(body)),
        "50 millis"
      )
    default:
      return endsWithHello(body) ? Effect.succeed(Response.make("hello")) : Effect.never
  }
}

/** What is in flight, connected and open, for whoever asks. */
const figures = Effect.gen(function* () {
  const server = yield* Target
  process.on("SIGUSR2", () => {
    // With `--expose-gc`, what is really held.
    ;(globalThis as { readonly gc?: () => void }).gc?.()
    const { external, heapUsed } = process.memoryUsage()
    void Effect.runPromise(Effect.all([server.connections, server.counts])).then(([connections, counts]) =>
      console.log(
        `figures ${JSON.stringify({ connections: connections.length, inFlight: connections.reduce((sum, { inFlight }) => sum + inFlight, 0), counts, bytes: heapUsed + external })}`
      )
    )
  })
})

Layer.mergeAll(Target.serve(handle), Target.announce, Layer.effectDiscard(figures)).pipe(
  Layer.provide(NodeServer.layerConfig(Target, { listen: "tcp://127.0.0.1:0" })),
  NodeServer.launch
)
