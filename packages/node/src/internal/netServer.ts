import { BindFailed, ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { bindKind, zoneMissing } from "./errors.ts"
import { copy } from "./prefork/copy.ts"

/** A `BindFailed` of `endpoint`. */
export const bindFailed = (
  endpoint: string,
  cause: unknown,
  kind: BindFailed["kind"] = bindKind(cause)
): ServerError => {
  const problem = zoneMissing(endpoint, cause)
  return new ServerError({
    reason: new BindFailed(
      problem === undefined ? { endpoint, kind, cause } : { endpoint, kind: "InvalidOption", cause, problem }
    )
  })
}

/** Sorts the errors of a listener: one of `accept` costs a connection, any other the listener. */
export const sort =
  (sink: Transport.Sink) =>
  (error: NodeJS.ErrnoException): void =>
    error.syscall === "accept" ? sink.lose(error) : sink.fail(error)

/** A bound `node:net` server. Whoever asks closes it. `around` runs while the address is bound, which is at once. */
export const listen = (
  endpoint: string,
  options: net.ServerOpts,
  listenOptions: (net.ListenOptions & { readonly mode?: number }) | { readonly fd: number },
  around: (bind: () => void) => void = (bind) => bind()
): Effect.Effect<net.Server, ServerError> =>
  Effect.interruptible(
    Effect.callback<net.Server, ServerError>((resume) => {
      // A peer that half-closes still gets its replies.
      const server = net.createServer({ ...options, allowHalfOpen: true })
      const failed = (cause: unknown) => resume(Effect.fail(bindFailed(endpoint, cause)))
      server.once("error", failed)
      server.once("listening", () => {
        server.removeListener("error", failed)
        resume(Effect.succeed(server))
      })
      // One of several copies of a program listens on what their supervisor holds.
      if (copy !== undefined && !("fd" in listenOptions)) copy.listen(server, listenOptions)
      else around(() => server.listen(listenOptions))
      if (copy !== undefined)
        server.once(
          "close",
          copy.onRetire(() => server.close())
        )
      // Where its host is still being looked up, Node does not bind it after that.
      return Effect.sync(() => server.close())
      // `listen` throws for options it cannot accept, such as a port out of range.
    }).pipe(Effect.catchDefect((cause) => Effect.fail(bindFailed(endpoint, cause))))
  )
