/**
 * Calls: what a server has its workers do, one handler each. What both sides
 * know of them stands here: their kinds, and how their ends cross.
 */
import type * as Outcome from "@socketserver/core/Outcome"
import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import { Ask } from "./frames.ts"

/** What is peculiar to a kind of calls. */
export interface Kind {
  readonly name: "request" | "connection" | "setUp"
  /** The frame that begins it. */
  readonly ask: number
  /** Whether it takes one of the places that a worker has. */
  readonly occupies: boolean
  /** Whether the worker claims it before it begins. */
  readonly isClaimed: boolean
}

/** A request that is a message. */
export const requestKind: Kind = { name: "request", ask: Ask.request, occupies: true, isClaimed: true }

/** A whole connection. */
export const connectionKind: Kind = { name: "connection", ask: Ask.open, occupies: true, isClaimed: false }

/** The set-up of a connection, for a handler with state for each. */
export const setUpKind: Kind = { name: "setUp", ask: Ask.connect, occupies: false, isClaimed: false }

/** What may be on its way in one direction, for one call, before the receiver has taken it. Only a simulation has another. */
export const defaultWindow = 65_536

/** What stands in the end of the input of a connection whose server stops. */
export const stoppedInput = "1"

/** The same, of a connection that is only told of it, and whose input goes on. */
export const toldOfStop = "2"

/** Whether the connection closes after a response, as a byte. */
export const writeClose = (close: boolean): string => (close ? "1" : "0")

export const readClose = (body: Uint8Array): boolean => body[0] === one

/** How a call has ended, unless its handler died. */
export const writeDone = (close: boolean, outcome: Outcome.Outcome): string =>
  outcome._tag === "Completed" ? writeClose(close) : writeClose(close) + JSON.stringify(outcome)

export const readDone = (body: Buffer): { readonly close: boolean; readonly outcome: Outcome.Outcome | undefined } => ({
  close: readClose(body),
  outcome: body.length > 1 ? (JSON.parse(body.subarray(1).toString()) as Outcome.Outcome) : undefined
})

/** A defect as it crosses: its text, and where it happened. */
export const writeDefect = (cause: Cause.Cause<unknown>): string => {
  const defect = cause.reasons.find(Cause.isDieReason)?.defect
  const message = defect instanceof Error ? defect.message : defect === undefined ? "interrupted" : textOf(defect)
  const name = defect instanceof Error ? defect.name : "Error"
  return JSON.stringify({ name, message, stack: Cause.pretty(cause) })
}

/** Anything may be thrown, also what has no text. */
const textOf = (defect: unknown): string =>
  Result.getOrElse(
    Result.try(() => String(defect)),
    () => Object.prototype.toString.call(defect)
  )

/** What a handler died of, with the stack that it has in its worker. */
export const readDefect = (body: Buffer): Error => {
  const { message, name, stack } = JSON.parse(body.toString()) as Record<"message" | "name" | "stack", string>
  const error = new Error(message)
  error.name = name
  error.stack = stack
  return error
}

const one = "1".charCodeAt(0)
