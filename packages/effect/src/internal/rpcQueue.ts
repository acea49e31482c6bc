/** Calls of one connection that wait for others of it to end. */
import type { RpcConnection } from "./rpcConnections.ts"
import type { Call } from "./rpcMessages.ts"
import * as Effect from "effect/Effect"

/** A call, and what it takes in memory. */
export interface Waiting {
  readonly call: Call
  readonly bytes: number
  /** Whether nobody is told how it ends. */
  readonly isNotification: boolean
}

export class RpcQueue {
  private readonly connection: Pick<RpcConnection, "bytesRead">
  /** What may wait, in bytes. */
  private readonly max: number
  private all: Array<Waiting> = []
  /** The bytes that they came in. */
  private bytes = 0
  private seenBytes = 0
  private onRoom: () => void = noop

  constructor(connection: Pick<RpcConnection, "bytesRead">, max: number) {
    this.connection = connection
    this.max = max
  }

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  add(waiting: Waiting): void {
    const { bytesRead } = this.connection
    this.all.push(waiting)
    this.bytes += waitingCost + bytesRead - this.seenBytes
    this.seenBytes = bytesRead
  }

  /** The calls with an id wait no more. */
  remove(id: Call["id"]): ReadonlyArray<Waiting> {
    const found = this.all.filter(({ call }) => call.id === id)
    if (found.length > 0) this.all = this.all.filter(({ call }) => call.id !== id)
    return found
  }

  /** Those that have waited longest, for as long as there is a place. */
  take(hasPlace: () => boolean, each: (waiting: Waiting) => void): void {
    while (this.all.length > 0 && hasPlace()) each(this.all.shift() as Waiting)
    if (this.all.length === 0) this.bytes = 0
    this.onRoom()
    this.onRoom = noop
  }

  /** Whether so much waits that nothing more is read. */
  get isFull(): boolean {
    if (this.all.length > 0) return this.bytes >= this.max
    this.bytes = 0
    this.seenBytes = this.connection.bytesRead
    return false
  }

  /** Waits until some have been taken. */
  readonly less: Effect.Effect<void> = Effect.callback((resume) => {
    this.onRoom = () => resume(Effect.void)
  })
}

// What a call takes that waits, beside what it came in.
const waitingCost = 256

const noop = () => {}
