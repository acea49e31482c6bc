import * as Effect from "effect/Effect"
import type * as Handler from "../Handler.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Request from "../Request.ts"
import * as Response from "../Response.ts"
import { carry } from "./hooks.ts"

/** Answers requests whose worker has crashed with what a program says about it. */
export const crashAnswered = <In, Out, R>(
  handler: Handler.Handler<In, Out, R>,
  say: ((crash: Outcome.WorkerCrashed, request: Request.Request<In>) => Response.Response<Out>) | undefined
): Handler.Handler<In, Out, R> =>
  say === undefined
    ? handler
    : carry(handler, (request) =>
        Effect.map(handler(request), (response) => {
          const { outcome } = response
          return outcome?._tag !== "WorkerCrashed" ? response : Response.withOutcome(say(outcome, request), outcome)
        })
      )
