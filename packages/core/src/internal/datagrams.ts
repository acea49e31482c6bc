import type * as Outcome from "../Outcome.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { Passing } from "./passing.ts"

/** The datagrams of a sender: those that are at work, how many there were, and when it was last heard of. */
export class Datagrams<In, Out> {
  /** How many it has sent. */
  count = 0
  /** When the last of them came, or ended. */
  heardAt: number
  bytesRead = 0
  private answeredBytes = 0
  private readonly open = new Passing<DatagramConnection<In, Out>, true>()

  constructor(now: number) {
    this.heardAt = now
  }

  add(connection: DatagramConnection<In, Out>, now: number): void {
    this.open.set(connection, true)
    this.count++
    this.heardAt = now
    this.bytesRead += connection.bytesRead
  }

  /** One has ended; whether it was still waited for. */
  remove(connection: DatagramConnection<In, Out>, now: number): boolean {
    if (!this.open.delete(connection)) return false
    this.answeredBytes += connection.bytesWritten
    this.heardAt = now
    return true
  }

  get isBusy(): boolean {
    return this.open.size > 0
  }

  /** Whether the only one is at work. */
  get isFirst(): boolean {
    return this.count === 1 && this.isBusy
  }

  get inFlight(): number {
    let sum = 0
    for (const { line } of this.open.keys()) sum += line.inFlight
    return sum
  }

  /** What has gone back as answers. */
  get bytesWritten(): number {
    let sum = this.answeredBytes
    for (const { bytesWritten } of this.open.keys()) sum += bytesWritten
    return sum
  }

  /** None that waits for an answer gets one. */
  refuse(refused: Outcome.Refused): void {
    for (const { line } of this.open.keys()) line.cancelAll(refused)
  }

  /** Those at work are not waited for. */
  abandon(): void {
    this.open.clear()
  }
}
