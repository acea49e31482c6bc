/** The system hands over one connection in a turn of the event loop, so turns are brief while some come. */
import { assert, describe, it } from "@effect/vitest"
import { Policy, Protocol, Response, Server } from "@socketserver/core"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { address } from "./support/front.ts"
import { Scripted } from "./support/scripted.ts"
import { SpentClock, turn } from "./support/turns.ts"

class Lines extends Server.Service<Lines>()("Lines", {
  protocol: Protocol.lines(),
  key: ({ body }) => body
}) {}

const works = {
  "at once": (work: () => void) => Effect.sync(work),
  "after it has yielded": (work: () => void) => Effect.andThen(Effect.yieldNow, Effect.sync(work))
}

const comes = {
  "is a connection at once": (sink: Transport.Sink, wire: Scripted) => sink.accept(wire),
  "has a step before that": (sink: Transport.Sink, wire: Scripted) =>
    sink.open({
      peer: wire.peer,
      listener: address,
      secure: () => Effect.as(Effect.yieldNow, wire),
      destroy: () => wire.destroy()
    }),
  "is turned away": (sink: Transport.Sink, wire: Scripted) =>
    sink.open({
      peer: wire.peer,
      listener: address,
      allow: () => false,
      secure: () => Effect.succeed(wire),
      destroy: () => wire.destroy()
    })
}

/** Others ask for a tenth of a millisecond, again and again; `use` gets what a turn of the event loop takes. */
const beside = <A>(
  options: { readonly policy: Policy.Policy; readonly work: (work: () => void) => Effect.Effect<void> },
  use: (sink: Transport.Sink, taken: Effect.Effect<number>) => Effect.Effect<A>
) => {
  const clock = new SpentClock()
  let sink: Transport.Sink | undefined
  const listen: Transport.Listen = (given) => {
    sink = given
    return Effect.succeed({ address, close: () => {}, connect: MemoryServer.wire("scripted") })
  }
  const live = Lines.serve(
    ({ body }) =>
      Effect.as(
        options.work(() => clock.spend(0.1)),
        Response.make(body)
      ),
    { policy: options.policy }
  )
  const taken = Effect.gen(function* () {
    const from = clock.spent
    yield* turn
    return clock.spent - from
  })
  return Effect.gen(function* () {
    for (let i = 0; i < 200; i++) {
      const wire = new Scripted({ peer: Peer.make({ transport: "memory", name: `other ${i}` }) })
      sink!.accept(wire)
      wire.data(`${i}\n`.repeat(128))
    }
    for (let i = 0; i < 5; i++) yield* turn
    return yield* use(sink!, taken)
  }).pipe(
    Effect.provide(Layer.provideMerge(live, Transport.layer(Lines, { drainTimeout: 0 }, listen))),
    Effect.provideService(Clock.Clock, clock)
  )
}

describe("a turn of the event loop in which somebody has come", () => {
  for (const policy of [Policy.sequential, Policy.fiber(), Policy.connection(), Policy.keyed()]) {
    for (const [when, work] of Object.entries(works)) {
      // One after the other, each of which yields: there is one in a turn anyhow.
      if (policy.name === "sequential" && work === works["after it has yielded"]) continue
      for (const [what, come] of Object.entries(comes)) {
        it.effect(`is brief where he ${what}: handlers ${when} (${policy.name})`, () =>
          beside({ policy, work }, (sink, taken) =>
            Effect.gen(function* () {
              const newcomers = 40
              let spent = 0
              for (let i = 0; i < newcomers; i++) {
                come(sink, new Scripted({ peer: Peer.make({ transport: "memory", name: `newcomer ${i}` }) }))
                spent += yield* taken
              }
              assert.isAbove(spent, 0, "others go on meanwhile")
              assert.isAtMost(spent / newcomers, 2)
              // One more may be part of the last.
              yield* taken
              let whole = 0
              for (let i = 0; i < 10; i++) whole += yield* taken
              assert.isAtLeast(whole / 10, 2.5, "when nobody comes any more they have all of their time")
            })
          )
        )
      }
    }
  }
})
