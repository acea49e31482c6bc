/** Mistakes of a beginner that do not compile: what the compiler says has to have the mend in words. */
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { expect, it } from "vitest"

const echo = `
import { Protocol, Response, Server, Session } from "@socketserver/core"
import { NodeServer, WorkerPolicy } from "@socketserver/node"
import { Context, Data, Effect, Layer } from "effect"
class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
class Store extends Context.Service<Store, { readonly get: Effect.Effect<string> }>()("Store") {}
const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
export const used = { Data, Echo, Store, EchoLive, Layer, NodeServer, Session, WorkerPolicy }
`

const mistakes = {
  call: {
    code: `class Wrong extends Server.Service<Wrong>("Wrong", { protocol: Protocol.lines() }) {}\nexport { Wrong }`,
    says: "write Server.Service<Self>()(id, options): the type comes in a call of its own"
  },
  transport: {
    code: `EchoLive.pipe(NodeServer.launch)`,
    says: "provide what is missing: a transport for a server, as NodeServer.layerConfig(Tag), or a service"
  },
  transportCalled: {
    code: `NodeServer.launch(EchoLive)`,
    says: "provide what is missing: a transport for a server, as NodeServer.layerConfig(Tag), or a service"
  },
  service: {
    code: `Echo.serve(() => Effect.flatMap(Store, ({ get }) => Effect.map(get, Response.make))).pipe(Layer.provide(NodeServer.layerConfig(Echo)), NodeServer.launch)`,
    says: "provide what is missing: a transport for a server, as NodeServer.layerConfig(Tag), or a service"
  },
  session: {
    code: `Echo.serve(Session.make(() => Effect.succeed(({ body }: { readonly body: string }) => Effect.succeed(Response.make(body)))), { policy: WorkerPolicy.process() })`,
    says: "a Session keeps state for each connection, which a process for each request has no place for: take WorkerPolicy.pool(), or a Handler"
  },
  sessionRun: {
    code: `Echo.run(Session.make(() => Effect.succeed(({ body }: { readonly body: string }) => Effect.succeed(Response.make(body)))), { policy: WorkerPolicy.process() })`,
    says: "a Session keeps state for each connection, which a process for each request has no place for: take WorkerPolicy.pool(), or a Handler"
  },
  fails: {
    code: `class Oops extends Data.TaggedError("Oops")<{}> {}\nEcho.serve(() => Effect.fail(new Oops()))`,
    says: "Type 'Oops' is not assignable to type 'never'"
  },
  answers: {
    code: `Echo.serve(({ body }) => Effect.succeed(Response.make(body.length)))`,
    says: "Type 'number' is not assignable to type 'string'"
  },
  sessionPool: {
    code: `Echo.serve(Session.make(() => Effect.succeed(({ body }: { readonly body: string }) => Effect.succeed(Response.make(body)))), { policy: WorkerPolicy.pool() })`,
    says: undefined
  },
  none: {
    code: `EchoLive.pipe(Layer.provide(NodeServer.layerConfig(Echo)), NodeServer.launch)\nNodeServer.launch(Layer.provide(EchoLive, NodeServer.layerConfig(Echo)))`,
    says: undefined
  }
}

const folder = ".programs/typeErrors"
mkdirSync(folder, { recursive: true })
for (const [name, { code }] of Object.entries(mistakes)) writeFileSync(`${folder}/${name}.ts`, `${echo}${code}\n`)
const tsc = spawnSync(
  process.execPath,
  ["node_modules/typescript/bin/tsc", "-b", "scripts/tsconfig.errors.json", "--pretty", "false"],
  { encoding: "utf8" }
)

it.each(Object.entries(mistakes))("the compiler has words for the mistake: %s", (name, { says }) => {
  const said = (tsc.stdout + tsc.stderr).split(/\n(?! )/).filter((line) => line.startsWith(`${folder}/${name}.ts`))
  const text = said.join("\n")
  expect(says === undefined ? text : text.includes(says) || text).toBe(says === undefined ? "" : true)
})
