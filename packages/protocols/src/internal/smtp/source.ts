import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Bytes, Reply } from "../../Smtp.ts"
import { type Line, Lines } from "./lines.ts"
import { patience, type Patience, Waits } from "./patience.ts"
import * as replies from "./replies.ts"

/** Why a dialogue goes on no more, and what is said at its end. */
export class Ended extends Data.TaggedError("Ended")<{
  readonly why: "Left" | "Stopping" | "Late" | "Said"
  readonly reply?: Reply | undefined
  readonly outcome?: Outcome.Outcome | undefined
}> {}

/** What a client sends, read as it is needed: what nobody has asked for stays where it counts for its connection. */
export class Source {
  private readonly connection: Bytes
  private readonly ref: Connection.Ref<never>
  private readonly lines: Lines
  private readonly waits = new Waits()
  private readonly taken: Effect.Effect<Uint8Array, Ended>
  private held = 0

  constructor(connection: Bytes, ref: Connection.Ref<never>, maxLineBytes: number) {
    this.connection = connection
    this.ref = ref
    this.lines = new Lines(maxLineBytes)
    this.taken = Effect.catch(connection.take, () => Effect.fail(connection.endedBy === "stop" ? stopping : left))
  }

  /** The next line, within a time. */
  readonly line = (millis: number): Effect.Effect<Line, Ended> =>
    Effect.suspend(() => {
      const line = this.lines.next()
      return line === undefined ? this.waitForLine(patience(millis)) : Effect.succeed(line)
    })

  private waitForLine(wait: Patience): Effect.Effect<Line, Ended> {
    return Effect.flatMap(this.chunk(wait), (chunk) => {
      this.unread(chunk)
      const line = this.lines.next()
      return line === undefined ? this.waitForLine(wait) : Effect.succeed(line)
    })
  }

  /** What comes next, whatever it is. Once it is used, what is left of it is given back to {@link unread}. */
  readonly chunk = (wait: Patience): Effect.Effect<Uint8Array, Ended> =>
    Effect.suspend(() => {
      const rest = this.lines.rest()
      return rest.length > 0 ? Effect.succeed(rest) : this.receive(wait)
    })

  /** What was not used of a chunk. */
  unread(chunk: Uint8Array): void {
    this.lines.push(chunk)
    this.hold(chunk.length)
  }

  /** What a client sends that was to hear something first, if it does within a time. */
  readonly early = (millis: number): Effect.Effect<boolean, Ended> =>
    Effect.as(this.receive(patience(millis)), true).pipe(
      Effect.catch((ended) => (ended.why === "Late" ? Effect.succeed(false) : Effect.fail(ended)))
    )

  /** Forgets everything that has arrived. */
  readonly discard: Effect.Effect<void> = Effect.suspend(() => {
    this.lines.clear()
    this.hold(0)
    const some = Effect.as(Effect.exit(this.connection.pull), true)
    // What there is comes at once. What comes after that is not forgotten, but makes the upgrade fail.
    return Effect.repeat(Effect.raceFirst(some, Effect.succeed(false)), { times: 8, while: (found) => found })
  })

  /** Nothing more is read. */
  get end(): Effect.Effect<void> {
    return this.waits.end
  }

  private receive(wait: Patience): Effect.Effect<Uint8Array, Ended> {
    this.hold(0)
    const late = Effect.suspend(() =>
      Effect.fail(new Ended({ why: "Late", reply: replies.late, outcome: Outcome.timedOut(wait.millis, "idle") }))
    )
    return this.waits.bound(this.taken, wait, late)
  }

  /** So much is held here, which counts for the connection as what waits there does. */
  private hold(bytes: number): void {
    if (bytes !== this.held) Remote.hold(this.ref, bytes - this.held)
    this.held = bytes
  }
}

const left = new Ended({ why: "Left" })
export const stopping = new Ended({ why: "Stopping", reply: replies.stopping })
