import * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"

/**
 * Bounds how long a connection that is one request waits for its handler to
 * begin: a peer that was accepted is greeted, or refused and told. Calls `refuse`
 * unless the returned function is called before.
 */
export const awaitPlace = (
  context: Pick<ServerContext<never, never>, "after" | "limits">,
  refuse: (refused: Outcome.Refused) => void
): (() => void) => {
  const { placeMillis } = context.limits
  return context.after(placeMillis, () => refuse(Outcome.refused(`no handler was free within ${placeMillis} ms`)))
}
