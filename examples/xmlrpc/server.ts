/** The methods, and where they are. Importing this starts nothing: the test and `main.ts` place it. */
import { Server } from "@socketserver/core"
import { HttpBridge, Xmlrpc } from "@socketserver/effect"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"

export class Calls extends Server.Service<Calls>()("Calls", { protocol: HttpBridge.protocol }) {}

const methods = {
  add: Xmlrpc.method({
    params: [Xmlrpc.number, Xmlrpc.number],
    returns: Xmlrpc.number,
    help: "The sum of two numbers.",
    signatures: [
      ["int", "int", "int"],
      ["double", "double", "double"]
    ],
    handle: (a, b) => Effect.succeed(a + b)
  }),
  echo: Xmlrpc.method({
    params: [Xmlrpc.value],
    returns: Xmlrpc.value,
    help: "The value that it is given, whatever its type.",
    handle: Effect.succeed
  }),
  divide: Xmlrpc.method({
    params: [Xmlrpc.number, Xmlrpc.number],
    returns: Xmlrpc.double,
    help: "The quotient of two numbers; a fault where the second is zero.",
    handle: (a, b) =>
      b === 0 ? Effect.fail(new Xmlrpc.Fault({ code: 1, message: "division by zero" })) : Effect.succeed(a / b)
  })
}

export const CallsLive = HttpRouter.serve(Xmlrpc.layer(methods), { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(HttpBridge.layer(Calls))
)
