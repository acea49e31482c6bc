import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import { kindOf } from "./errors.ts"
import * as Outcome from "../Outcome.ts"
import * as Response from "../Response.ts"

/** The request whose response cannot be encoded has failed. */
export const unencodable = (problem: string): Outcome.Outcome =>
  Outcome.failed(Cause.die(new Error(`The response cannot be encoded: ${problem}`)))

/** The response that ends a request as `Failed`. */
export const failed = (cause: Cause.Cause<unknown>): Response.Response<never> =>
  Response.andClose(Response.withOutcome(Response.empty, Outcome.failed(cause)))

/** What is answered for how a handler ended; one that returned no response has failed. */
export const responseOf = <Out>(exit: Exit.Exit<Response.Response<Out>>): Response.Response<Out> => {
  if (exit._tag === "Failure") return failed(exit.cause)
  const response: Response.Response<Out> | undefined = exit.value
  return response?._tag === undefined ? failed(Cause.die(noResponse(response))) : response
}

const noResponse = (given: unknown): TypeError =>
  new TypeError(`The handler returned no Response, but ${kindOf(given)}; wrap it in Response.make`)
