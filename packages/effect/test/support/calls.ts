/** A group of RPCs that shows what RPC can do, served in both ways. It is its own program of workers. */
import * as Server from "@socketserver/core/Server"
import * as Worker from "@socketserver/core/Worker"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import { CurrentConnection } from "../../src/CurrentConnection.ts"
import * as RpcBridge from "../../src/RpcBridge.ts"

export class User extends Context.Service<User, string>()("test/User") {}

/** Who asks is in a header; a call without one is refused. */
export class Authenticated extends RpcMiddleware.Service<Authenticated, { provides: User }>()("test/Authenticated", {
  error: Schema.String
}) {}

export class Calls extends RpcGroup.make(
  Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number }),
  Rpc.make("Fail", { payload: { why: Schema.String }, error: Schema.String }),
  Rpc.make("Die", { payload: { of: Schema.String } }),
  Rpc.make("Never"),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("Forever", { success: Schema.Number, stream: true }),
  Rpc.make("Gated", { payload: { gate: Schema.String }, success: Schema.String }),
  Rpc.make("GatedStream", {
    payload: { gate: Schema.String, each: Schema.Number },
    success: Schema.Number,
    stream: true
  }),
  Rpc.make("WhoAmI", {
    success: Schema.Struct({ peer: Schema.String, listener: Schema.String, worker: Schema.String })
  }),
  Rpc.make("Note", { payload: { text: Schema.String } }),
  Rpc.make("Notes", { success: Schema.Array(Schema.String) }),
  Rpc.make("Crash"),
  Rpc.make("UserName", { success: Schema.String }).middleware(Authenticated)
) {}

/** What handlers wait for, and what has happened to them: each program has its own. */
export class World extends Context.Service<
  World,
  {
    readonly wait: (gate: string) => Effect.Effect<void>
    readonly happened: (what: string) => void
  }
>()("test/World") {}

export const worldOf = (notes: Array<string> = [], wait: (gate: string) => Effect.Effect<void> = () => Effect.void) =>
  Layer.succeed(World, { wait, happened: (what) => void notes.push(what) })

export const CallsLive = Calls.toLayer(
  Effect.gen(function* () {
    const { happened, wait } = yield* World
    const notes: Array<string> = []
    return Calls.of({
      Add: ({ a, b }) => Effect.succeed(a + b),
      Fail: ({ why }) => Effect.fail(why),
      Die: ({ of }) => Effect.die(new Error(of)),
      Never: () =>
        Effect.andThen(
          Effect.sync(() => happened("never begun")),
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => happened("never interrupted")))
        ),
      Count: ({ to }) => Stream.range(1, to),
      Forever: () =>
        Stream.concat(Stream.make(1), Stream.fromEffect(Effect.never)).pipe(
          Stream.ensuring(Effect.sync(() => happened("forever ended")))
        ),
      Gated: ({ gate }) => Effect.as(wait(gate), gate),
      GatedStream: ({ each, gate }) =>
        Stream.range(1, each).pipe(Stream.mapEffect((n) => Effect.as(wait(`${gate}${n}`), n))),
      WhoAmI: () =>
        Effect.gen(function* () {
          const connection = yield* CurrentConnection
          const worker = yield* Effect.serviceOption(Worker.Worker)
          return {
            peer: connection?.peer.name ?? "nobody",
            listener: String(connection?.listener),
            worker: worker._tag === "Some" ? worker.value.kind : "none"
          }
        }),
      Note: ({ text }) =>
        Effect.andThen(
          wait(text),
          Effect.sync(() => void notes.push(text))
        ).pipe(Effect.onInterrupt(() => Effect.sync(() => happened(`note ${text} interrupted`)))),
      Notes: () => Effect.succeed(notes),
      Crash: () => Effect.sync(() => process.exit(7)),
      UserName: () => User
    })
  })
)

export const AuthenticatedLive = Layer.succeed(Authenticated, (effect, { headers }) =>
  headers["user"] === undefined ? Effect.fail("who are you?") : Effect.provideService(effect, User, headers["user"])
)

/** One request is a connection. */
export class Whole extends Server.Service<Whole>()("Whole", { protocol: RpcBridge.connection() }) {}

/** One request is a call. */
export class Each extends Server.Service<Each>()("Each", { protocol: RpcBridge.protocol(Calls) }) {}

const behind = Layer.mergeAll(CallsLive, AuthenticatedLive)

export const WholeLive = (options?: RpcBridge.ServeOptions) =>
  Layer.provide(RpcBridge.serve(Calls, Whole, options), behind)

export const EachLive = (options?: RpcBridge.ServeOptions) =>
  Layer.provide(RpcBridge.serve(Calls, Each, options), behind)

// Only where this is the program that was started.
if (import.meta.main) {
  NodeServer.launch(EachLive().pipe(Layer.provide(worldOf()), Layer.provide(MemoryServer.layer(Each))))
}
