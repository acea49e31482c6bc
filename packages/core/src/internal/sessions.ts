import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Connection from "../Connection.ts"
import type * as Handler from "../Handler.ts"
import type * as Outcome from "../Outcome.ts"
import type { Served } from "../Policy.ts"
import * as Response from "../Response.ts"
import type { Session } from "../Session.ts"
import { onRelease } from "./releasing.ts"

/** A session as a policy places it: set-ups by connection, and one handler that finds each request's. */
export const ofSession = <In, Out, R>(session: Session<In, Out, R>): Served<In, Out, R> => {
  const setups = new WeakMap<object, Fiber.Fiber<Handler.Handler<In, Out, R>, Outcome.Refused>>()
  // A set-up runs in a fiber of its own: it must not end with the request that happened to be first.
  const onConnect = (connection: Connection.Ref<Out>): Effect.Effect<Handler.Handler<In, Out, R>, Outcome.Refused, R> =>
    Effect.contextWith((services: Context.Context<R>) => {
      const known = setups.get(connection)
      if (known !== undefined) return Fiber.join(known)
      const scope = Scope.makeUnsafe()
      const started = Effect.runForkWith(Context.add(services, Scope.Scope, scope))(
        Effect.suspend(() => session.setup(connection))
      )
      onRelease(connection, (exit) => Effect.andThen(Fiber.interrupt(started), Scope.close(scope, exit)))
      setups.set(connection, started)
      return Fiber.join(started)
    })
  return {
    onConnect,
    handler: (request) => {
      const exit = setups.get(request.connection)?.pollUnsafe()
      if (exit !== undefined && Exit.isSuccess(exit)) return exit.value(request)
      return Effect.matchEffect(onConnect(request.connection), {
        onFailure: (refused) => Effect.succeed(Response.andClose(Response.withOutcome(Response.empty, refused))),
        onSuccess: (handler) => handler(request)
      })
    }
  }
}
