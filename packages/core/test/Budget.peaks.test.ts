/** What arrives in one turn does not pass maxMemory, and who does not read keeps nobody out. */
import { assert, describe, it } from "@effect/vitest"
import { Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

class Json extends Server.Service<Json>()("Json", { protocol: Protocol.ndjson() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.ndjson()) }) {}
class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const kib = 1_024
const mib = 1_048_576
const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}\n`

/** Reads nothing: what was sent stays unsent. */
class Unread extends Scripted {
  override accepts = false
  override write(data: string | Uint8Array): boolean {
    super.write(data)
    this.bytesUnsent += data.length
    return false
  }
}

const serving = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  live: Layer.Layer<never, unknown, Self>,
  options: Transport.ServerOptions
) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const context = yield* Layer.build(
      Layer.provideMerge(
        live,
        Transport.layer(tag as never, { drainTimeout: 0, ...options }, listen)
      ) as Layer.Layer<unknown>
    )
    const server = Context.get(context as never, tag as never) as Server.Server<never, never>
    const connect = <Wire extends Scripted>(wire: Wire): Wire => {
      accept(wire)
      return wire
    }
    const { budget } = (
      server as never as Record<symbol, { readonly context: { readonly budget: { readonly total: number } } }>
    )[Symbol.for("@socketserver/core/Server/engine")]!.context
    return { server, connect, total: () => budget.total }
  })

describe("what arrives in one turn", () => {
  const [, quiet] = logs()

  it.effect.each([
    { what: "requests", tag: Json, live: Json.serve(() => Effect.never) },
    { what: "messages of whole connections", tag: Talk, live: Talk.serve(() => Effect.never) },
    {
      what: "messages that a handler takes",
      tag: Talk,
      live: Talk.serve(({ body }) => Effect.andThen(Effect.orDie(body.take), Effect.never))
    }
  ])("is decoded as far as maxMemory goes: $what", ({ live, tag }) =>
    Effect.gen(function* () {
      const { connect, total } = yield* serving(tag as never, live as never, { maxMemory: "4MiB" })
      const wires = Array.from({ length: 60 }, () => connect(new Scripted()))
      yield* turns
      let most = 0
      for (const wire of wires) {
        wire.data(deep)
        most = Math.max(most, total())
      }
      for (let i = 0; i < 20; i++) {
        yield* turns
        most = Math.max(most, total())
      }
      // As bytes it is little; of what was decoded there is no more than one over the limit.
      assert.isAtMost(most, 4 * mib + 60 * 2 * 60 * kib + 4 * mib)
      assert.isAtMost(total(), 4 * mib)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("waits no longer than until those that hold most are reset", () =>
    Effect.gen(function* () {
      const { connect, server } = yield* serving(
        Json as never,
        Json.serve(({ body }) => (body === 1 ? Effect.succeed(Response.make(1)) : Effect.never)) as never,
        { maxMemory: "4MiB" }
      )
      const large = Array.from({ length: 40 }, () => connect(new Scripted()))
      const small = connect(new Scripted())
      yield* turns
      for (const wire of large) wire.data(deep)
      small.data("1\n")
      for (let i = 0; i < 20; i++) yield* turns
      assert.strictEqual((yield* server.counts).Completed, 1)
    }).pipe(Effect.provide(quiet))
  )
})

describe("a newcomer where memory is short", () => {
  const [, quiet] = logs()
  const live = Lines.serve(({ body }) =>
    body === "hold" ? Effect.never : Effect.succeed(Response.make("r".repeat(body === "large" ? 40 * kib : 1)))
  )

  it.effect("is let in for one that has read nothing for a second", () =>
    Effect.gen(function* () {
      const { connect } = yield* serving(Lines as never, live as never, { maxMemory: "100KiB" })
      const unread = [connect(new Unread()), connect(new Unread())]
      yield* turns
      for (const wire of unread) wire.data("large\n")
      yield* turns
      const holding = connect(new Scripted())
      yield* turns
      holding.data(`hold\n${"x".repeat(4 * kib)}`)
      yield* turns
      assert.deepStrictEqual(connect(new Scripted()).asked(), ["destroy"])
      yield* TestClock.adjust("1 second")
      const late = connect(new Scripted())
      yield* turns
      late.data("small\n")
      yield* turns
      assert.strictEqual(late.started, true)
      assert.notInclude(late.asked(), "destroy")
      assert.strictEqual(unread.filter((wire) => wire.asked().includes("reset")).length, 1)
      assert.notInclude(holding.asked(), "reset")
    }).pipe(Effect.provide(quiet))
  )
})
