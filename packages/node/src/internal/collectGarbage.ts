import * as Result from "effect/Result"
import type * as v8 from "node:v8"
import type * as vm from "node:vm"

/**
 * Has V8 collect all garbage, which takes it a few tens of milliseconds. Left to itself it does that once the heap has
 * grown as much again as was in use, or twice: what was thrown away stays until then.
 */
export const collectGarbage = (): void => (collect ??= made())()

let collect: (() => void) | undefined

/** Node has a name for it where it was started with `--expose-gc`; the engine gives one to a new realm where that is set. */
const made = (): (() => void) => {
  const { gc } = globalThis as { readonly gc?: unknown }
  if (typeof gc === "function") return gc as () => void
  const exposed = Result.try(() => {
    const { setFlagsFromString } = process.getBuiltinModule("node:v8") as typeof v8
    setFlagsFromString("--expose-gc")
    const found: unknown = (process.getBuiltinModule("node:vm") as typeof vm).runInNewContext("gc")
    setFlagsFromString("--no-expose-gc")
    return found
  })
  const found = Result.getOrUndefined(exposed)
  return typeof found === "function" ? (found as () => void) : () => {}
}
