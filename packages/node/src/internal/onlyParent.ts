/** Layers that exist once in a program, however many workers and copies it has. */
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { copy } from "./prefork/copy.ts"
import { role } from "./worker/child/role.ts"

let asked = false

/** Whether the program has any. */
export const isAsked = (): boolean => asked

export const onlyParent = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<never, E, R> => {
  asked = true
  if (copy?.isBeside === false) return Layer.effectDiscard(tooLate) as Layer.Layer<never, never>
  const isParent = role === undefined && copy === undefined
  return isParent ? Layer.effectDiscard(Layer.build(layer)) : (Layer.empty as Layer.Layer<never, E, R>)
}

/** The supervisor of copies has built nothing, since it had not heard of it. */
const tooLate = Effect.suspend(() => {
  const problem =
    "it is called while layers are built, where the program itself does not see it; call it where the module is loaded"
  return Effect.fail(new ServerError({ reason: new InvalidOption({ option: "NodeServer.onlyParent", problem }) }))
})
