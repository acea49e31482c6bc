/** Whatever becomes of the requests of a client, each gives its place back once, and gets no answer but its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Transport from "@socketserver/core/Transport"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Schema from "effect/Schema"
import * as Scheduler from "effect/Scheduler"
import { Scripted, turns } from "./support/scripted.ts"

const plain = Protocol.lines()
const byId = Protocol.correlated(plain, { id: (line) => (line.startsWith("!") ? undefined : line) })

const numbers = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
/** What happens, one after the other, and how soon a fiber lets others go on: with 1 after every step. */
const story = Arbitrary.array(numbers(9_999), { minLength: 10, maxLength: 60 })

/** A wire whose peer is the test: it sees the lines, and answers some. */
interface Line {
  readonly client: Client.Client<string, string>
  /** What was received and not answered, in order. */
  readonly received: Array<string>
  readonly answer: (line: string) => void
  readonly block: () => void
  readonly unblock: () => void
  readonly isReset: () => boolean
}

const overBytes = (protocol: Protocol.Protocol<string, string>) =>
  Effect.gen(function* () {
    const received: Array<string> = []
    let reset = false
    class Listening extends Scripted {
      override write(data: string | Uint8Array): boolean {
        const text = typeof data === "string" ? data : new TextDecoder().decode(data)
        received.push(...text.split("\n").slice(0, -1))
        return super.write(data)
      }
      override reset(): void {
        reset = true
        super.reset()
      }
    }
    const wire = new Listening()
    const client = yield* Client.make(wire, protocol)
    yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
    const line: Line = {
      client,
      received,
      answer: (line) => wire.data(`${line}\n`),
      block: () => void (wire.accepts = false),
      unblock: () => {
        wire.accepts = true
        wire.drain()
      },
      isReset: () => reset
    }
    return line
  })

const overDatagrams = (protocol: Protocol.Protocol<string, string>) =>
  Effect.gen(function* () {
    const received: Array<string> = []
    const wire = Transport.datagramWire({
      peer: Peer.make({ transport: "test", name: "server" }),
      listener: Endpoint.memory("server"),
      maxMessageBytes: 100,
      send: (data, sent) => {
        received.push(new TextDecoder().decode(data))
        sent()
      },
      close: () => {}
    })
    const client = yield* Client.make(wire, protocol)
    const line: Line = {
      client,
      received,
      answer: (line) => wire.received(new TextEncoder().encode(line)),
      block: () => {},
      unblock: () => {},
      isReset: () => false
    }
    return line
  })

const max = 3

const tell = (
  open: Effect.Effect<Line, never, Scope.Scope>,
  options: { readonly ordered: boolean; readonly lossy: boolean }
) =>
  Effect.fnUntraced(function* ({ every, story }: { readonly every: number; readonly story: ReadonlyArray<number> }) {
    const line = yield* Effect.provideService(open, Client.MaxInFlight, max)
    const { answer, client, received } = line
    const asked = new Map<string, Fiber.Fiber<string, Connection.ConnectionError>>()
    const interrupted = new Set<string>()
    let count = 0
    const send = (text: string) =>
      Effect.gen(function* () {
        const sending = Effect.provideService(client.send(text), Scheduler.MaxOpsBeforeYield, every)
        asked.set(text, yield* Effect.forkScoped(sending, { startImmediately: true }))
      })
    const pick = <A>(all: ReadonlyArray<A>, n: number): A | undefined => all[n % Math.max(1, all.length)]
    for (const n of story) {
      const which = Math.floor(n / 10)
      switch (n % 10) {
        case 0:
        case 1:
        case 2:
          yield* send(`${++count}`)
          break
        case 3:
          yield* send(`${++count}\n`)
          break
        case 4:
        case 5: {
          const [text, fiber] =
            pick(
              [...asked].filter(([, fiber]) => fiber.pollUnsafe() === undefined),
              which
            ) ?? []
          if (text === undefined) break
          interrupted.add(text)
          if (which % 2 === 0) yield* Fiber.interrupt(fiber!)
          else fiber!.interruptUnsafe()
          break
        }
        case 6:
        case 7: {
          // Several at once, some of which may be lost.
          for (let i = 0; i <= which % 3; i++) {
            const at = options.ordered ? 0 : which % Math.max(1, received.length)
            const [text] = received.splice(at, 1)
            if (text !== undefined && !(options.lossy && which % 5 === 0)) answer(text)
          }
          break
        }
        case 8:
          if (which % 2 === 0) line.block()
          else line.unblock()
          break
        default:
          for (let i = 0; i < which % 4; i++) yield* Effect.yieldNow
      }
      if (line.isReset()) break
    }
    line.unblock()
    // Everybody who waits gets an answer, or hears that there is none.
    for (let i = 0; i < 200 && [...asked.values()].some((fiber) => fiber.pollUnsafe() === undefined); i++) {
      yield* turns
      for (const text of received.splice(0)) answer(text)
      if (options.lossy && i > 50) for (const fiber of asked.values()) fiber.interruptUnsafe()
    }
    for (const [text, fiber] of asked) {
      const exit = fiber.pollUnsafe()
      assert.isDefined(exit, `${JSON.stringify(text)} waits for ever`)
      if (Exit.isSuccess(exit!)) assert.strictEqual(exit.value, text)
      else if (!interrupted.has(text) && !line.isReset() && !options.lossy) assert.include(text, "\n")
    }
    if (line.isReset()) return
    yield* turns
    for (const text of received.splice(0)) answer(text)
    yield* turns
    // Exactly as many places are free as there were.
    const last = Array.from({ length: max + 1 }, (_, i) => `last ${i}`)
    yield* Effect.forEach(last, send)
    yield* turns
    assert.deepStrictEqual(received, last.slice(0, max))
    for (let i = 0; i < 3; i++) {
      for (const text of received.splice(0)) answer(text)
      yield* turns
    }
    for (const text of last) assert.strictEqual(yield* Fiber.join(asked.get(text)!), text)
  }, Effect.scoped)

const runs = { arbitrary: { runs: 150 } }

describe("the places of a client", () => {
  for (const [how, open, options] of [
    ["answered in order", overBytes(plain), { ordered: true, lossy: false }],
    ["answered by id", overBytes(byId), { ordered: false, lossy: false }],
    ["answered by id over datagrams", overDatagrams(byId), { ordered: false, lossy: true }]
  ] as const) {
    it.effect.prop(
      `are all there in the end, and answers go where they belong: ${how}`,
      { every: Arbitrary.map(numbers(40), (n) => n + 3), story },
      (given) => tell(open, options)(given),
      runs
    )
  }
})
