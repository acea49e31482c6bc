/**
 * What is pushed to one connection. Nobody waits for it: what its peer has not read is kept, up to a bound, and a peer that is
 * further behind is cut off, as Redis does (`client-output-buffer-limit`).
 */
import type { Connection } from "@socketserver/core"
import type { Resp } from "@socketserver/protocols"
import type { Effect, Fiber } from "effect"

type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** How far a connection may be behind, and all together, in bytes. */
export const mostEach = 4 * 1_048_576
export const mostInAll = 64 * 1_048_576

/** Those that are behind. */
export class Backlogs {
  bytes = 0
  readonly all = new Set<Outgoing>()
  readonly run: Run

  constructor(run: Run) {
    this.run = run
  }

  /** Cuts off whoever is furthest behind, until all fit. */
  settle(): void {
    while (this.bytes > mostInAll) {
      let worst: Outgoing | undefined
      for (const one of this.all) if (worst === undefined || one.bytes > worst.bytes) worst = one
      if (worst === undefined) return
      worst.cut()
    }
  }
}

export class Outgoing {
  bytes = 0
  private readonly connection: Connection.Ref<Resp.Reply>
  private readonly backlogs: Backlogs
  private readonly onCut: () => void
  /** What follows the push that waits for the peer; none where none waits. */
  private waiting: Array<{ readonly reply: Resp.Reply; readonly size: number }> | undefined = undefined
  private isOver = false

  constructor(connection: Connection.Ref<Resp.Reply>, backlogs: Backlogs, onCut: () => void) {
    this.connection = connection
    this.backlogs = backlogs
    this.onCut = onCut
  }

  send(reply: Resp.Reply, size: number): void {
    if (this.isOver) return
    if (this.waiting === undefined) return this.push(reply)
    this.waiting.push({ reply, size })
    this.bytes += size
    this.backlogs.bytes += size
    if (this.bytes > mostEach) this.cut()
    else this.backlogs.settle()
  }

  /** The peer is gone, or is to go: what waits for it is let go of. */
  end(): void {
    this.isOver = true
    this.waiting = undefined
    this.backlogs.all.delete(this)
    this.backlogs.bytes -= this.bytes
    this.bytes = 0
  }

  /** It is too far behind. */
  cut(): void {
    this.end()
    this.onCut()
    this.backlogs.run(this.connection.close)
  }

  private push(reply: Resp.Reply): void {
    // It is written at once; what takes time is a peer that does not read.
    const fiber = this.backlogs.run(this.connection.push(reply))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit._tag === "Failure" ? this.end() : undefined
    this.waiting = []
    this.backlogs.all.add(this)
    fiber.addObserver((exit) => {
      if (this.isOver) return
      if (exit._tag === "Failure") this.end()
      else this.goOn()
    })
  }

  /** The peer keeps up again. */
  private goOn(): void {
    const waiting = this.waiting ?? []
    this.waiting = undefined
    this.backlogs.all.delete(this)
    for (let i = 0; i < waiting.length; i++) {
      const { reply, size } = waiting[i]!
      this.bytes -= size
      this.backlogs.bytes -= size
      this.push(reply)
      if (this.waiting === undefined) continue
      this.waiting = waiting.slice(i + 1)
      return
    }
  }
}
