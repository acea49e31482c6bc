import * as Data from "effect/Data"
import type { BodyFault } from "./body.ts"

/**
 * Why a message was not received whole, so that none of it may be kept. What its
 * client hears of it is said by the server.
 *
 * **Details**
 *
 * - `TooLarge`: it has more than `maxMessage` bytes
 * - `LineTooLong`: a line of it has more than `maxTextLineBytes` bytes
 * - `BareCr`, `BareLf`: a CR or LF stands alone in it, which other servers could take for the end of a line
 * - `Nul`: a byte of it is 0
 * - `Late`: it was not there within `dataTimeout`
 * - `Left`: the client has left, or sends no more
 * - `Stopping`: the server stops
 *
 * @category errors
 * @since 0.1.0
 */
export class MailError extends Data.TaggedError("MailError")<{
  readonly reason: BodyFault | "Late" | "Left" | "Stopping"
}> {
  override get message(): string {
    return `The message was not received whole: ${descriptions[this.reason]}`
  }
}

const descriptions: Record<MailError["reason"], string> = {
  TooLarge: "it is too large",
  LineTooLong: "a line of it is too long",
  BareCr: "it has a CR without an LF after it",
  BareLf: "it has an LF without a CR before it",
  Nul: "it has a byte that is 0",
  Late: "it took too long",
  Left: "the client has left",
  Stopping: "the server stops"
}
