import { assert } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Policy from "@socketserver/core/Policy"
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Subject } from "./harness.ts"
import type { Spoken } from "./scripted.ts"

/** Where handlers run, what is spoken with them, and over what. */
export interface Placing {
  readonly subject: Subject
  readonly spoken: Spoken
  readonly policy: Policy.Policy
  /** Whether a handler may keep state for each connection. */
  readonly keepsState: boolean
  /** Whether a worker may have this name. */
  readonly names: (worker: string) => boolean
}

/** Where handlers run, over what. */
export interface PlacingProtocols {
  /** Its servers listen for connections first, and for datagrams second. */
  readonly layer: Subject["layer"]
  readonly connect: (
    address: Endpoint.Endpoint
  ) => Effect.Effect<Connection.Connection<Uint8Array, Uint8Array>, unknown, Scope.Scope>
  readonly policy: Policy.Policy
  /** Whether a handler may keep state for each connection. */
  readonly keepsState: boolean
  /** Whether one request of each kind has to do, where each starts a process. */
  readonly brief: boolean
}

/** How the tests of one server share it. */
export const shared = { excludeTestServices: true, timeout: "60 seconds" } as const

/** What a request has died of. */
export const defectOf = (outcome: Outcome.Outcome): string => {
  assert(outcome._tag === "Failed", `it is ${outcome._tag}`)
  const defect = outcome.cause.reasons.find(Cause.isDieReason)?.defect
  return defect instanceof Error ? `${defect.name}: ${defect.message}` : String(defect)
}
