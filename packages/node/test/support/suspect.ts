/** A server whose requests do what they say to the worker that has them. */
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Worker from "@socketserver/core/Worker"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { appendFileSync, existsSync, writeSync } from "node:fs"

export class Suspect extends Server.Service<Suspect>()("Suspect", { protocol: Protocol.lines() }) {}

export const suspect: Handler.Handler<string, string> = (request) => {
  const [command = "", word = "", millis = "0"] = request.body.split(" ")
  switch (command) {
    case "exit":
      process.exit(Number(word))
      break
    case "kill":
      process.kill(process.pid, word)
      return Effect.never
    case "abort":
      return process.abort()
    case "throw":
      return Effect.callback(
        () =>
          void setTimeout(() => {
            throw new Error("nobody catches this")
          })
      )
    case "fill": {
      const held: Array<unknown> = []
      for (;;) held.push(Array.from({ length: 10_000 }, (_, i) => ({ i })))
    }
    case "spin":
      for (;;);
    case "never":
      return Effect.never
    case "garble":
      writeSync(4, Buffer.from(word, "hex"))
      return Effect.never
    case "write":
      // Into a file that is named, once for each time that the request is run; then computes for so long.
      appendFileSync(word, `${request.body}\n`)
      compute(Number(millis))
      break
    case "hold":
      // Says that it has begun, and computes until a file is there.
      appendFileSync(`${word}.begun`, "")
      while (!existsSync(word));
      break
    case "compute":
      compute(Number(word))
      break
    case "large":
      return Effect.succeed(Response.make(`${millis} ${"x".repeat(Number(word))}`))
    case "note":
      appendFileSync(word, "x")
      process.exit(1)
  }
  return Effect.map(Worker.name, (name) => Response.make(`${name} ${request.body}`))
}

const compute = (millis: number) => {
  for (const end = performance.now() + millis; performance.now() < end;);
}

/** Keeps a number for each connection. */
export class Keeper extends Server.Service<Keeper>()("Keeper", { protocol: Protocol.lines() }) {}

export const keeper = Session.make<string, string>(() =>
  Effect.sync(() => {
    let count = 0
    return (request) =>
      request.body === "count" ? Effect.sync(() => Response.make(String(++count))) : suspect(request)
  })
)

// Only where this is the program that was started.
if (import.meta.main) {
  NodeServer.launch(
    Layer.merge(
      Layer.provide(Suspect.serve(suspect), MemoryServer.layer(Suspect)),
      Layer.provide(Keeper.serve(keeper), MemoryServer.layer(Keeper))
    )
  )
}
