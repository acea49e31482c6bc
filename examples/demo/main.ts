/**
 * Runs the documented programs of Python's socketserver over real sockets, and prints what they print.
 *
 *   node examples/demo/main.ts
 *
 * Each program shows its server's lines, then its client's. Between two runs only ports and fiber numbers differ.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Policy } from "@socketserver/core"
import { Console, Effect } from "effect"
import { EchoServer, EchoServerLive } from "../traced-echo/server.ts"
import { helloClient, threadClient, tracedClient } from "./clients.ts"
import { HelloLines, HelloLinesLive, Hello, HelloLive, Threaded, ThreadedLive } from "./servers.ts"
import { program } from "./transcript.ts"

const programs = [
  program("Traced echo (pymotw.com/3/socketserver)", EchoServer, EchoServerLive, tracedClient),
  program("Four-line echo (docs.python.org, socketserver.TCPServer)", Hello, HelloLive, helloClient),
  program("The same with StreamRequestHandler (docs.python.org)", HelloLines, HelloLinesLive, helloClient),
  ...[Policy.sequential, Policy.fiber(), Policy.connection()].map((policy) =>
    program(
      `Threaded echo (pymotw.com/3/socketserver) under POLICY=${policy.name}`,
      Threaded,
      ThreadedLive(policy),
      threadClient
    )
  )
]

Effect.forEach(programs, (lines) => Effect.flatMap(lines, Console.log), { discard: true }).pipe(NodeRuntime.runMain)
