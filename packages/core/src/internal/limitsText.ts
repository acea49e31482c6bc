import * as Duration from "effect/Duration"
import * as durations from "./duration.ts"
import type { Limits } from "./limits.ts"
import * as sizes from "./size.ts"

/** The limits that are in force and are not off, each as its option is called and written. */
export const limitsText = (limits: Limits): string =>
  Object.entries(limits)
    .filter(([name, value]) => typeof value === "number" && !(name in inside) && value !== Infinity && value !== 0)
    .map(([name, value]) => `${optionOf(name)} ${textOf(name, value)}`)
    .join(", ")

const optionOf = (name: string): string =>
  (options as { readonly [name: string]: string })[name] ?? name.replace(/Millis$/, "Timeout")

const textOf = (name: string, value: unknown): string => {
  if (typeof value !== "number") return String(value)
  if (name.endsWith("Millis")) return durations.format(Duration.millis(value))
  return name in bytes ? sizes.format(value) : `${value}`
}

/** Those whose option is called otherwise. */
const options = { lifetimeMillis: "maxLifetime", delayMillis: "drainDelay", peerWaitMillis: "maxPeerWait" }

const bytes = { maxBuffered: true, maxMemory: true, maxReply: true }

/** Those that are not set. */
const inside = {
  openingMillis: true,
  turnRequests: true,
  turnMillis: true,
  turnShare: true,
  closeMillis: true,
  lingerMillis: true
}
