/** Mistakes of a beginner that do not compile: what the compiler says has to have the mend in words. */
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { expect, it } from "vitest"

const echo = `
import { Handler, Protocol, Response, Server, Session } from "@socketserver/core"
import { NodeServer, WorkerPolicy } from "@socketserver/node"
import { Context, Data, Effect, Layer } from "effect"
class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
class Store extends Context.Service<Store, { readonly get: Effect.Effect<string> }>()("Store") {}
const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
export const used = { Data, Handler, Echo, Store, EchoLive, Layer, NodeServer, Session, WorkerPolicy }
`

const mistakes = {
  call: {
    code: `class Wrong extends Server.Service<Wrong>("Wrong", { protocol: Protocol.lines() }) {}\nexport { Wrong }`,
    says: "write Server.Service<Self>()(id, options): the type comes in a call of its own"
  },
  self: {
    code: `class Wrong extends Server.Service()("Wrong", { protocol: Protocol.lines() }) {}\nexport { Wrong }`,
    says: "write Server.Service<Self>()(id, options): Self is the class that is declared"
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
  failsRun: {
    code: `class Oops extends Data.TaggedError("Oops")<{}> {}\nEcho.run(() => Effect.fail(new Oops()))`,
    says: "Type 'Oops' is not assignable to type 'never'"
  },
  failsSetUp: {
    code: `class Oops extends Data.TaggedError("Oops")<{}> {}\nEcho.serve(Session.make(() => Effect.fail(new Oops())))`,
    says: "Type 'Oops' is missing the following properties from type 'Refused': kind, reason"
  },
  failsInSession: {
    code: `class Oops extends Data.TaggedError("Oops")<{}> {}\nEcho.serve(Session.make(() => Effect.succeed(() => Effect.fail(new Oops()))))`,
    says: "Type 'Oops' is not assignable to type 'never'"
  },
  failsDialogue: {
    code: `class Oops extends Data.TaggedError("Oops")<{}> {}\nclass Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}\nTalk.serve(Handler.dialogue(() => Effect.fail(new Oops())))`,
    says: "Type 'Oops' is not assignable to type 'ConnectionError | Done<void> | UpgradeFailed'"
  },
  message: {
    code: `Echo.serve(({ body }) => Effect.succeed(body))`,
    says: "Type 'string' is not assignable to type 'Response<string>'"
  },
  noEffect: {
    code: `Echo.serve(({ body }) => body)`,
    says: "Type 'string' is not assignable to type 'Effect<Response<string>, never, never>'"
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

const page = readFileSync("docs/how-to/what-the-compiler-says.md", "utf8").replaceAll("\\|", "|")

it.each([...new Set(Object.values(mistakes).flatMap(({ says }) => says ?? []))])(
  "the page of mends has it: %s",
  (says) => {
    expect(page).toContain(`| \`${says}\` | `)
  }
)
