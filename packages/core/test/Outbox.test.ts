/** What replies take before a peer reads them, and what one that cannot be sent costs. */
import { assert, describe, it } from "@effect/vitest"
import { Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { type LineHandler, logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A wire that keeps what it was given, and takes one write after the other. */
class Slow extends Scripted {
  readonly pieces: Array<string | Uint8Array> = []
  override write(data: string | Uint8Array): boolean {
    this.pieces.push(data)
    super.write(data)
    return this.accepts
  }
  get largest(): number {
    return Math.max(...this.pieces.map((piece) => piece.length))
  }
  get text(): string {
    const decoder = new TextDecoder()
    return this.pieces
      .map((piece) => (typeof piece === "string" ? piece : decoder.decode(piece, { stream: true })))
      .join("")
  }
  /** Reads all that there is to read. */
  drainAll(): void {
    for (let before = -1; before !== this.pieces.length;) {
      before = this.pieces.length
      this.drain()
    }
  }
}

const mark = 65_536

const serve = (handler: LineHandler, listen: Transport.Listen, options?: Transport.ServerOptions) =>
  Effect.map(
    Layer.build(
      Layer.provideMerge(Lines.serve(handler), Transport.layer(Lines, { drainTimeout: 0, ...options }, listen))
    ),
    (context) => Context.get(context, Lines)
  )

const connected = (handler: LineHandler, options?: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const server = yield* serve(handler, listen, options)
    const connect = (wire = new Slow()) => {
      accept(wire)
      return wire
    }
    return { server, connect }
  })

describe("a reply", () => {
  it.effect.each([
    { what: "of one byte a character", text: "r".repeat(10 * mark) },
    { what: "of pairs that no cut may part", text: `r${"\u{1F600}".repeat(5 * mark)}` }
  ])("larger than the mark, $what, leaves in pieces as it is read", ({ text }) =>
    Effect.gen(function* () {
      const { connect, server } = yield* connected(() => Effect.succeed(Response.make(text)))
      const wire = connect()
      wire.accepts = false
      wire.data("one\n")
      yield* turns
      assert.strictEqual(wire.pieces.length, 1)
      wire.drainAll()
      assert.isAtMost(wire.largest, 2 * mark)
      assert.isTrue(wire.text === `${text}\n`)
      assert.strictEqual((yield* server.counts).Completed, 1)
    })
  )

  it.effect("is joined with others of its turn, up to the mark", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { connect } = yield* connected(({ body }) => Effect.as(latch.await, Response.make(body.repeat(40_000))))
      const wire = connect()
      wire.accepts = false
      wire.data("abcdefghijklmnopqrstuvwx".split("").join("\n") + "\n")
      yield* turns
      yield* latch.open
      yield* turns
      // The rest waits until the first is read.
      assert.strictEqual(wire.pieces.length, 1)
      wire.drainAll()
      assert.isAtMost(wire.largest, 2 * mark)
      assert.deepStrictEqual(
        wire.text.trimEnd().split("\n"),
        "abcdefghijklmnopqrstuvwx".split("").map((letter) => letter.repeat(40_000))
      )
    })
  )

  it.effect("of bytes is joined up to the mark as well", () =>
    Effect.gen(function* () {
      class Prefixed extends Server.Service<Prefixed>()("Prefixed", { protocol: Protocol.lengthPrefixed() }) {}
      const latch = Latch.makeUnsafe()
      const { accept, listen } = listener()
      const served = Prefixed.serve(() => Effect.as(latch.await, Response.make(new Uint8Array(20_000))))
      yield* Layer.build(Layer.provideMerge(served, Transport.layer(Prefixed, { drainTimeout: 0 }, listen)))
      const wire = new Slow()
      accept(wire)
      wire.accepts = false
      wire.data("\0\0\0\u0001x".repeat(24))
      yield* turns
      yield* latch.open
      yield* turns
      wire.drainAll()
      assert.isAtMost(wire.largest, mark)
      // Fewer writes than replies.
      assert.isBelow(wire.pieces.length, 12)
      assert.strictEqual(wire.text.length, 24 * 20_004)
    })
  )

  it.effect("that closes its connection leaves whole before that", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected(() => Effect.succeed(Response.andClose(Response.make("r".repeat(5 * mark)))))
      const wire = connect()
      wire.accepts = false
      wire.data("one\n")
      yield* turns
      assert.notInclude(wire.asked(), "end")
      wire.drainAll()
      assert.strictEqual(wire.asked().at(-1), "end")
      assert.strictEqual(wire.text.length, 5 * mark + 1)
    })
  )

  it.effect("that does not keep up holds back what is pushed beside it", () =>
    Effect.gen(function* () {
      const { connect } = yield* connected(({ body, connection }) =>
        body === "push"
          ? Effect.as(Effect.ignore(connection.push("p".repeat(mark + 1))), Response.make("pushed"))
          : Effect.succeed(Response.make("r".repeat(3 * mark)))
      )
      const wire = connect()
      wire.accepts = false
      wire.data("one\n")
      yield* turns
      wire.accepts = true
      wire.drain()
      wire.accepts = false
      wire.data("push\n")
      yield* turns
      assert.notInclude(wire.text, "pushed")
      wire.drainAll()
      yield* turns
      assert.include(wire.text, "pushed")
    })
  )
})

describe("what the library throws itself", () => {
  it.effect.each([
    { when: "at once", later: Effect.void },
    { when: "in a fiber", later: Effect.yieldNow }
  ])("while a request gets its outcome ends that connection and nothing else ($when)", ({ later }) => {
    const [entries, logging] = logs()
    return Effect.gen(function* () {
      const { connect, server } = yield* connected(({ body }) => Effect.as(later, Response.make(body)))
      const engine = (server as never as Record<symbol, { context: { ledger: { observers: Set<() => void> } } }>)[
        Symbol.for("@socketserver/core/Server/engine")
      ]!
      const { observers } = engine.context.ledger
      observers.add(() => {
        observers.clear()
        throw new Error("broken")
      })
      const [wire, other] = [connect(), connect()]
      wire.data("one\ntwo\n")
      other.data("other\n")
      yield* turns
      assert.strictEqual(wire.asked().at(-1), "reset")
      assert.strictEqual(other.text, "other\n")
      assert.include(entries.map(({ message }) => message).join(), "failed")
    }).pipe(Effect.provide(logging))
  })
})
