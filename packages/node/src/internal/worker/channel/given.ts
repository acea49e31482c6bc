/** What a program is given that is started to be a worker: who it is, and where it finds its parent. */
import type { MessagePort } from "node:worker_threads"

/** What a program is to the one that has started it. */
export interface Role {
  /** The key of the service whose handler it runs. */
  readonly service: string
  readonly kind: "thread" | "process"
  readonly address: string
  /** How long its own layers may take to end. */
  readonly graceMillis: number
  /** How many calls it begins at a time, of those that it claims. */
  readonly each: number
  /** What may be on its way to its parent for one call, in bytes. Default: 64 KiB. */
  readonly windowBytes?: number | undefined
}

/** The variable of the environment that has the role, and the key of what a thread is given. */
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

/** What a thread is given. */
export interface Given {
  readonly port: MessagePort
  readonly shared: SharedArrayBuffer
}
