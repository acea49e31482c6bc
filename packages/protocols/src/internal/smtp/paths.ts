import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import type { Address } from "address-rfc2821"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Path } from "../../Smtp.ts"

/** Where a message comes from and goes to, as `<user@example.org>`. */

/** Reads a path with its brackets. Fails with what is wrong with it. */
export type ReadPath = (text: string) => Result.Result<Path, string>

/** Loads what reads paths; it is not a dependency, since only mail needs it. */
export const load: Effect.Effect<ReadPath, ServerError> = Effect.suspend(() =>
  Effect.map(
    Effect.tryPromise({
      try: () => import("address-rfc2821"),
      catch: (cause) =>
        new ServerError({
          reason: new InvalidOption({
            option: "Smtp",
            problem: `the package address-rfc2821 reads its addresses, and cannot be loaded (${messageOf(cause)}); npm install address-rfc2821@2.2`
          })
        })
    }),
    ({ Address }) => reading(Address)
  )
)

const messageOf = (cause: unknown): string => (cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : "")

const reading =
  (of: typeof Address): ReadPath =>
  (text) =>
    // Its grammar takes the square of the length, so it has a limit of its own: 256 bytes (RFC 5321, 4.5.3.1.3).
    Result.map(
      Result.try({
        try: () => new of(text),
        catch: (cause) => (/exceeds/.test(messageOf(cause)) ? "it is too long" : "it is no address")
      }),
      (address): Path => ({
        address: address.address(),
        local: address.user,
        // Of the null path and of `<postmaster>` there is none.
        domain: address.host
      })
    )

/** Where the path ends that starts at `<`: after its `>`, which may also stand inside quotes. -1 where it does not. */
export const endOf = (text: string, start: number): number => {
  let quoted = false
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]
    if (character === "\\" && quoted) at++
    else if (character === '"') quoted = !quoted
    else if (character === ">" && !quoted) return at + 1
  }
  return -1
}
