/**
 * The load generator for Unix datagrams, a process of its own:
 * `loadUnixgram.ts <endpoint> <sockets> <depth> <seconds to live>`.
 *
 * Closed loop, as the one for UDP; nothing is lost here, so replies come in the order of their requests.
 */
import * as NodeClient from "@socketserver/node/NodeClient"
import * as Effect from "effect/Effect"
import { type LoadMessage, Window } from "./window.ts"

const [endpoint = "", ...numbers] = process.argv.slice(2)
const [sockets = 1, depth = 1, lifetime = 60] = numbers.map(Number)

const window = new Window()

const say = (message: LoadMessage, then?: () => void) => process.send?.(message, undefined, undefined, then)

const giveUp = (reason: string) => void say({ tag: "broken", reason }, () => process.exit(1))

const text = (index: number, number: number): string => `${index}`.padStart(4, "0") + `${number}`.padStart(27, ".")

const connect = (index: number) =>
  Effect.map(NodeClient.wire(endpoint), (wire) => {
    let sent = 0
    const sentAt: Array<number> = []
    const send = () => {
      sentAt.push(performance.now())
      wire.write(text(index, sent++))
    }
    const client = {
      completed: 0,
      open: () => {
        for (let i = 0; i < depth; i++) send()
      }
    }
    wire.start({
      onData: (data) => {
        const message = Buffer.from(data).toString("latin1")
        if (message !== text(index, client.completed)) {
          return giveUp(`socket ${index}: nobody asked for ${JSON.stringify(message)}`)
        }
        client.completed++
        window.sample(performance.now() - sentAt.shift()!)
        send()
      },
      onEnd: () => {},
      onDrain: () => {},
      onFinish: () => {},
      onClose: (error) => giveUp(`socket ${index}: ${error}`)
    })
    return client
  })

const load = Effect.gen(function* () {
  const clients = yield* Effect.forEach([...Array(sockets).keys()], connect)
  const begin = () => {
    window.begin(clients)
    say({ tag: "began" })
  }
  const end = () => {
    const report = window.end(clients)
    if (typeof report === "string") return giveUp(report)
    say({ tag: "report", report }, () => process.exit())
  }
  process.on("message", (message) => (message === "begin" ? begin() : end()))
  for (const { open } of clients) open()
  say({ tag: "connected" })
  return yield* Effect.never
})

process.on("disconnect", () => process.exit())
setTimeout(() => giveUp(`not finished after ${lifetime} s`), lifetime * 1000).unref()
Effect.runFork(Effect.scoped(load)).addObserver((exit) => giveUp(String(exit)))
