import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Reply } from "../../Smtp.ts"
import { Body, type BodyFault } from "./body.ts"
import { MailError } from "./mailError.ts"
import { reply, tooLarge } from "./replies.ts"
import type { Settings } from "./settings.ts"
import { patience, type Patience } from "./patience.ts"
import { Ended, type Source } from "./source.ts"

/** A message while it arrives: its data as a stream, and what becomes of what nobody reads. */
export class Message {
  private readonly source: Source
  private readonly settings: Settings
  private readonly body: Body
  private readonly wait: Patience
  /** Why no more of it will come. */
  private ended: Ended | undefined = undefined

  constructor(source: Source, settings: Settings) {
    this.source = source
    this.settings = settings
    this.body = new Body(settings.maxMessage, settings.maxTextLineBytes)
    this.wait = patience(settings.dataMillis)
  }

  /** What its client hears, if nothing of it may be kept. */
  get refusal(): Reply | undefined {
    const { fault } = this.body
    return fault === undefined ? undefined : refusals[fault](this.settings)
  }

  get data(): Stream.Stream<Uint8Array, MailError> {
    return Stream.fromPull(Effect.succeed(this.pull))
  }

  private readonly pull: Pull.Pull<readonly [Uint8Array], MailError> = Effect.suspend(
    (): Pull.Pull<readonly [Uint8Array], MailError> => {
      const { body, ended } = this
      if (ended !== undefined) return Effect.fail(new MailError({ reason: ended.why === "Said" ? "Left" : ended.why }))
      if (body.fault !== undefined) return Effect.fail(new MailError({ reason: body.fault }))
      if (body.done) return Effect.fail(Cause.Done())
      const some = Effect.suspend(() =>
        this.ended === undefined && body.output.length > 0 ? Effect.succeed([body.output] as const) : this.pull
      )
      return Effect.andThen(Effect.exit(this.read), some)
    }
  )

  /** Reads on to the end, whatever is read. */
  readonly rest: Effect.Effect<void, Ended> = Effect.suspend(() => {
    if (this.ended !== undefined) return Effect.fail(this.ended)
    if (this.body.isEndless) return Effect.fail(new Ended({ why: "Said", reply: this.refusal }))
    if (this.body.done) return Effect.void
    return Effect.andThen(this.read, this.rest)
  })

  private readonly read: Effect.Effect<void, Ended> = Effect.suspend(() => this.source.chunk(this.wait)).pipe(
    Effect.map((chunk) => this.source.unread(chunk.subarray(this.body.push(chunk)))),
    Effect.tapError((ended) => Effect.sync(() => void (this.ended = ended)))
  )
}

const refusals: Record<BodyFault, (settings: Settings) => Reply> = {
  TooLarge: ({ maxMessage }) => tooLarge(maxMessage),
  LineTooLong: ({ maxTextLineBytes }) => reply(500, "5.6.0", `A line has more than ${maxTextLineBytes} bytes`),
  BareCr: () => reply(550, "5.6.0", "A CR stands without an LF after it: lines end with CR LF"),
  BareLf: () => reply(550, "5.6.0", "An LF stands without a CR before it: lines end with CR LF"),
  Nul: () => reply(550, "5.6.0", "A byte is 0")
}
