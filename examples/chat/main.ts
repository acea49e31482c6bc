/**
 * A chat room: what one writes, all others read.
 *
 *   LISTEN=tcp://127.0.0.1:9000 node examples/chat/main.ts
 *
 * In two other terminals, `socat - tcp:127.0.0.1:9000`, and write. Ctrl-C one of them: the other reads who left.
 * A connection is one long request here. Unless a policy is chosen, all of them run side by side.
 */
import { Handler, Protocol, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer, PubSub, Stream } from "effect"

class Chat extends Server.Service<Chat>()("Chat", { protocol: Protocol.connection(Protocol.lines()) }) {}

interface Said {
  readonly by: number
  readonly line: string
}

const ChatLive = Layer.unwrap(
  Effect.gen(function* () {
    // A guest who falls 256 lines behind loses the oldest, and delays nobody.
    const room = yield* PubSub.sliding<Said>(256)

    return Chat.serve(
      Handler.dialogue((guest) =>
        Effect.gen(function* () {
          const name = `guest-${guest.id}`
          const say = (line: string) => PubSub.publish(room, { by: guest.id, line })

          const said = yield* PubSub.subscribe(room)
          yield* guest.write(`Welcome, ${name}.`)
          yield* Effect.acquireRelease(say(`* ${name} has joined`), () => say(`* ${name} has left`))
          const others = Stream.fromSubscription(said).pipe(Stream.filter(({ by }) => by !== guest.id))
          const listening = Stream.runForEach(others, ({ line }) => guest.write(line))
          const speaking = Stream.runForEach(guest.stream, (line) => say(`${name}: ${line}`))
          yield* Effect.raceFirst(speaking, listening)
        }).pipe(Effect.scoped)
      )
    )
  })
)

Layer.merge(ChatLive, Chat.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Chat, { listen: "tcp://127.0.0.1:9000" })),
  NodeServer.launch
)
