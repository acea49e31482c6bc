/** For whatever must know in which call's handler it runs. */
import * as Context from "effect/Context"

/** The call whose handler the current fiber is in: what that does to its connection is known by it. */
export const CurrentCall = Context.Reference<number>("@socketserver/node/internal/CurrentCall", {
  defaultValue: () => 0
})
