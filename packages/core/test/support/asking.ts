/** A server of lines some of which are control messages: `ask ID …`, `ping N`, `tell ID …`. */
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { listener, Scripted, turns } from "./scripted.ts"
import type { LineHandler } from "./serving.ts"

const word = (line: string, index: number): string | undefined => line.split(" ")[index]

export const asking = (by: { readonly perSecond?: number; readonly maxBytes?: number } = {}) =>
  Protocol.control(
    Protocol.correlated(Protocol.lines(), { request: (line) => word(line, 1), response: (line) => word(line, 0) }),
    {
      is: (line) => !line.startsWith("ask"),
      to: (line) => (line.startsWith("tell") ? word(line, 1) : undefined),
      answer: (line) => (line.startsWith("ping") ? `pong ${word(line, 1)}` : `nobody ${word(line, 1)}`),
      ...by
    }
  )

export class Asking extends Server.Service<Asking>()("Asking", { protocol: asking() }) {}

/** The same, whose replies leave in the order of the requests. */
export class InOrder extends Server.Service<InOrder>()("InOrder", {
  protocol: Protocol.control(Protocol.lines(), {
    is: (line) => line.startsWith("ping"),
    answer: (line) => `pong ${word(line, 1)}`
  })
}) {}

/** Handlers that answer when they are let, and what has been begun and told. */
export const gated = () => {
  const gates = new Map<string, Latch.Latch>()
  const gate = (id: string) => {
    const known = gates.get(id) ?? Latch.makeUnsafe()
    gates.set(id, known)
    return known
  }
  const begun: Array<string> = []
  const told: Array<string> = []
  const ended: Array<string> = []
  let atOnce = 0
  let most = 0
  const handler: LineHandler = ({ body }) =>
    Effect.gen(function* () {
      const id = word(body, 1) as string
      begun.push(id)
      most = Math.max(most, ++atOnce)
      if (body.includes("listen")) {
        yield* Effect.forkChild(
          Effect.andThen(
            Stream.runForEach(Request.controls<string>(), (line) => Effect.sync(() => told.push(line))),
            Effect.sync(() => ended.push(id))
          ),
          { startImmediately: true }
        )
      }
      yield* gate(id).await
      return Response.make(`${id} done`)
    }).pipe(Effect.ensuring(Effect.sync(() => atOnce--)))
  return { begun, told, ended, most: () => most, handler, open: (id: string) => gate(id).open }
}

/** Serves it to peers that the test plays. */
export const playing = (
  tag: typeof Asking | typeof InOrder,
  handler: LineHandler,
  options: Transport.ServerOptions = {},
  policy: Policy.Policy = Policy.fiber()
) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const server = Context.get(
      yield* Layer.build(
        Layer.provideMerge(
          (tag as typeof Asking).serve(handler, { policy }),
          Transport.layer(tag as typeof Asking, options, listen)
        )
      ),
      tag as typeof Asking
    )
    yield* turns
    const wires: Array<Playing> = []
    // A stop would wait for peers that say nothing more.
    yield* Effect.addFinalizer(() => Effect.sync(() => wires.forEach((wire) => wire.gone())))
    const peer = () => {
      const wire = new Playing()
      wires.push(wire)
      accept(wire)
      return wire
    }
    return { server, peer }
  })

/** A peer that keeps what it was sent. */
export class Playing extends Scripted {
  private text = ""

  override write(data: string | Uint8Array): boolean {
    this.text += typeof data === "string" ? data : new TextDecoder().decode(data)
    return super.write(data)
  }

  /** What it was sent since the last look, line by line, and how it was closed. */
  get written(): ReadonlyArray<string> {
    const lines = this.text.split("\n").slice(0, -1)
    this.text = ""
    return [...lines, ...this.asked().filter((call) => !call.startsWith("write "))]
  }
}

export const written = (wire: Playing): ReadonlyArray<string> => wire.written
