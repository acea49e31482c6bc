/** Effect's own socket server, each line handled by an Effect that yields once: all lines of a pull at once, one write. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Socket } from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { splitter } from "../lines.ts"

const handle = (line: string): Effect.Effect<string> => Effect.as(Effect.yieldNow, line)

const onConnection = Effect.fnUntraced(
  function* (socket: Socket) {
    const split = splitter()
    const { pull } = yield* socket.reader
    const { write } = yield* socket.writer
    while (true) {
      const lines = (yield* pull).flatMap((chunk) => split(chunk as Buffer))
      const answers = yield* Effect.forEach(lines, handle, { concurrency: "unbounded" })
      if (answers.length > 0) yield* write(answers.join("\n") + "\n")
    }
  },
  Effect.scoped,
  (connection) => Effect.ignore(connection)
)

Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if ("port" in server.address) yield* Console.log(`listening on tcp://127.0.0.1:${server.address.port}`)
  return yield* server.run(onConnection)
}).pipe(
  Effect.provide(NodeSocketServer.layer({ host: "127.0.0.1", port: 0, allowHalfOpen: true, noDelay: true })),
  NodeRuntime.runMain
)
