/**
 * Runs the documented programs of Python's socketserver over real sockets, and prints what they print.
 *
 *   node examples/demo/main.ts
 *
 * Each program shows its server's lines, then its client's. Between two runs only ports, fiber numbers and process ids differ.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Policy } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import { Console, Effect, Layer } from "effect"
import { EchoServer, EchoServerLive } from "../traced-echo/server.ts"
import { helloClient, threadClient, tracedClient } from "./clients.ts"
import { HelloLines, HelloLinesLive, Hello, HelloLive, Threaded, ThreadedLive } from "./servers.ts"
import { program } from "./transcript.ts"

// A worker of this program would be the whole demo: it has one server of it instead.
const entry = new URL("./worker.ts", import.meta.url)

const loopProcess = Layer.effectDiscard(Console.log(`Server loop running in process: ${process.pid}`))

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
  ),
  program(
    "Threaded echo (pymotw.com/3/socketserver) under POLICY=thread:1",
    Threaded,
    ThreadedLive(WorkerPolicy.thread({ size: 1, entry })),
    threadClient
  ),
  program(
    "Forking echo (pymotw.com/3/socketserver) under POLICY=process",
    Threaded,
    Layer.provide(ThreadedLive(WorkerPolicy.process({ spares: 1, entry })), loopProcess),
    threadClient
  )
]

Effect.forEach(programs, (lines) => Effect.flatMap(lines, Console.log), { discard: true }).pipe(NodeRuntime.runMain)
