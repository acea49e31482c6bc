/** The only timer here that takes a time from outside: one that Node's takes for a millisecond is waited for in parts. */
export const later = (millis: number, f: () => void): Later => {
  const until = performance.now() + millis
  let timer: NodeJS.Timeout
  let alone = false
  const wait = (left: number): void => {
    timer = setTimeout(() => (left > longest ? wait(until - performance.now()) : f()), Math.min(left, longest))
    if (alone) timer.unref()
  }
  // What never comes needs no timer.
  if (millis === Infinity) return { cancel: noop, unref: noop }
  wait(millis)
  return {
    cancel: () => clearTimeout(timer),
    unref: () => {
      alone = true
      timer.unref()
    }
  }
}

export interface Later {
  readonly cancel: () => void
  /** Does not keep the program alive. */
  readonly unref: () => void
}

/** What Node's timers take, 24.8 days: a longer one ends after a millisecond. */
const longest = 2_147_483_647

const noop = () => {}
