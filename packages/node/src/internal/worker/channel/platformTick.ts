/** The time and the turns of Node's event loop: the tick of everything but tests and simulations. */
import { later } from "../../later.ts"
import type { Tick } from "./tick.ts"

export const platformTick: Tick = {
  now: () => performance.now(),
  soon: (f) => queueMicrotask(f),
  afterTurn: (f) => void setImmediate(f),
  after: (millis, f) => later(millis, f).cancel
}
