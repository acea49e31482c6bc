import * as Remote from "@socketserver/core/Remote"

/**
 * What this program is to another one that has started it. Read once, and taken
 * out of the environment, so that programs which a handler starts do not inherit it.
 */
export interface Role {
  /** The key of the service whose handler it runs. */
  readonly service: string
  readonly kind: "thread" | "process"
  readonly address: string
  /** How long its own layers may take to end. */
  readonly graceMillis: number
  /** How many calls it begins at a time, of those that it claims. */
  readonly each: number
}

export const roleVariable = "SOCKETSERVER_WORKER"

/** Where a process finds what it shares with its parent, beside stdin, stdout and stderr. */
export const descriptors = {
  /** What its parent asks for. */
  asks: 3,
  /** What it tells its parent. */
  tells: 4,
  /** The file of its claims, if its calls have any. */
  claims: 5
} as const

export const role: Role | undefined = take(roleVariable)

/** Takes a variable out of the environment. */
function take(name: string): Role | undefined {
  const text = process.env[name]
  if (text === undefined) return undefined
  delete process.env[name]
  return JSON.parse(text) as Role
}

if (role !== undefined) {
  // What a worker needs is loaded only in one, while the program loads the rest.
  const host = import("./become.ts").then(({ become }) => become(role))
  Remote.setHost(() => host)
}
