/** Finds the processes that a test has started, and those that they have, by a variable in their environment. */
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { patience } from "./patience.ts"

export const mark = (): { readonly env: Record<string, string>; readonly pids: () => ReadonlyArray<number> } => {
  const value = randomBytes(8).toString("hex")
  return { env: { MARK: value }, pids: () => processes().filter((pid) => environment(pid).includes(`MARK=${value}\0`)) }
}

const processes = (): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

const environment = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8")
  } catch {
    return ""
  }
}

/** What a process was started as; nothing once it has ended. */
export const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
}

/** What a process does: one that is asleep waits for something, one that is dead for its parent to hear of it. */
export const stateOf = (pid: number): "alive" | "asleep" | "dead" | "gone" => {
  try {
    const [, state = ""] = /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? []
    return state === "S" ? "asleep" : /[ZX]/.test(state) ? "dead" : "alive"
  } catch {
    return "gone"
  }
}

/** Whether a process has ended, though nobody may have waited for it yet. */
export const hasEnded = (pid: number): boolean => ["dead", "gone"].includes(stateOf(pid))

/** How many processes this one has started that are still there. */
export const children = (): number => processes().filter((pid) => parentOf(pid) === process.pid).length

const parentOf = (pid: number): number => {
  try {
    return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1])
  } catch {
    return -1
  }
}

/** How many descriptors a process has open. */
export const descriptors = (pid: number | "self" = "self"): number => readdirSync(`/proc/${pid}/fd`).length

/** How many connections that came to a port of this machine are open at that end. */
export const accepted = (port: number): number => {
  const [, ...rows] = readFileSync("/proc/net/tcp", "utf8").trim().split("\n")
  return rows.filter((row) => {
    const [, local, , state, , , , , , inode] = row.trim().split(/\s+/)
    return Number.parseInt(local?.split(":")[1] ?? "", 16) === port && state !== listening && inode !== "0"
  }).length
}

const listening = "0A"

/**
 * Waits for what has no event, looking at it again and again. How long that takes
 * says nothing on a machine that is busy; it dies where it does not come at all.
 */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.gen(function* () {
    const start = performance.now()
    const most = patience()
    while (!condition()) {
      if (performance.now() - start > most) return yield* Effect.die(new Error(`it does not come: ${condition}`))
      yield* Effect.sleep("10 millis")
    }
  })
