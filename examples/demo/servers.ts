/** The servers of the ancestor's documentation. The traced one is `examples/traced-echo`. */
import { type Policy, Protocol, type Request, Response, Server, Worker } from "@socketserver/core"
import { Console, Effect } from "effect"
import { repr } from "../traced-echo/server.ts"

/** `self.request.recv(1024).strip()`, then `sendall(data.upper())`; after that the socket is closed. */
export class Hello extends Server.Service<Hello>()("Hello", { protocol: Protocol.bytes() }) {}

export const HelloLive = Hello.serve((request) =>
  Effect.gen(function* () {
    const data = Buffer.from(request.body).toString().trim()
    yield* wrote(request, data)
    return Response.andClose(Response.make(Buffer.from(data.toUpperCase())))
  })
)

/** `self.rfile.readline().strip()`: a line is a request, and no buffer is needed. */
export class HelloLines extends Server.Service<HelloLines>()("HelloLines", { protocol: Protocol.lines() }) {}

export const HelloLinesLive = HelloLines.serve((request) =>
  Effect.as(wrote(request, request.body), Response.andClose(Response.make(request.body.toUpperCase())))
)

/** Answers with who did the work: there a thread, here what the policy names. */
export class Threaded extends Server.Service<Threaded>()("Threaded", { protocol: Protocol.bytes() }) {}

export const ThreadedLive = (policy: Policy.Policy) =>
  Threaded.serve(
    (request) =>
      Effect.map(Worker.name, (worker) => Response.make(Buffer.concat([Buffer.from(`${worker}: `), request.body]))),
    { policy }
  )

const wrote = <In>(request: Request.Request<In>, data: string) =>
  Effect.andThen(Console.log(`${request.peer.name.replace(/:\d+$/, "")} wrote:`), Console.log(repr(Buffer.from(data))))
