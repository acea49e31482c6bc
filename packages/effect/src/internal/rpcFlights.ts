/** The calls of one connection that have been begun and have not ended, and what they take in memory. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import { streamBytes } from "./rpcCall.ts"
import type { Call } from "./rpcMessages.ts"

type Id = Call["id"]

interface Flight {
  readonly bytes: number
  /** Whether nobody is told how it ends. */
  readonly isNotification: boolean
  /** Whether it is answered at its start, and goes on. */
  readonly isDiscarded: boolean
  /** Whether it waits for acknowledgements. */
  isStream: boolean
  isRunning: boolean
  isAnswered: boolean
}

export class Flights {
  private readonly connection: Connection.Info
  private readonly all = new Map<Id, Flight>()

  constructor(connection: Connection.Info) {
    this.connection = connection
  }

  get size(): number {
    return this.all.size
  }

  get ids(): ReadonlyArray<Id> {
    return [...this.all.keys()]
  }

  has(id: Id): boolean {
    return this.all.has(id)
  }

  isNotification(id: Id): boolean {
    return this.all.get(id)?.isNotification === true
  }

  begin({ discard, id }: Call, bytes: number, isNotification: boolean): void {
    const isDiscarded = discard === true
    this.all.set(id, { bytes, isNotification, isDiscarded, isStream: false, isRunning: false, isAnswered: false })
  }

  /** A call is a stream: it waits for what its peer says of it. */
  streaming(id: Id): void {
    const flight = this.all.get(id)
    if (flight === undefined || flight.isStream) return
    flight.isStream = true
    Remote.hold(this.connection, streamBytes, true)
  }

  /** The handler of a call runs. Says whether the call goes on after its answer. */
  running(id: Id): boolean {
    const flight = this.all.get(id)
    if (flight?.isDiscarded !== true) return false
    return (flight.isRunning = true)
  }

  /** That handler has ended. Says whether the call has, too. */
  ran(id: Id): boolean {
    const flight = this.all.get(id)
    if (flight === undefined) return false
    flight.isRunning = false
    return flight.isAnswered && this.end(id, flight)
  }

  /** A call is answered. Says whether it has ended. */
  answered(id: Id): boolean {
    const flight = this.all.get(id)
    if (flight === undefined) return false
    flight.isAnswered = true
    return !flight.isRunning && this.end(id, flight)
  }

  private end(id: Id, { bytes, isStream }: Flight): true {
    this.all.delete(id)
    Remote.hold(this.connection, -bytes)
    if (isStream) Remote.hold(this.connection, -streamBytes, true)
    return true
  }
}
