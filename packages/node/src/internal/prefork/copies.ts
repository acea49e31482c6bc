import * as Remote from "@socketserver/core/Remote"
import { copy } from "./copy.ts"

/** How many copies of this program there are: their supervisor tells each in its environment. */

export const copiesVariable = "SOCKETSERVER_COPIES"

/** In a copy, takes the number out of the environment for those that the program starts. */
export const takeCopies = (env: NodeJS.ProcessEnv): void => {
  // Beside its copies the supervisor serves alone, and starts others with what is set.
  if (copy === undefined) return
  const count = Number(env[copiesVariable])
  delete env[copiesVariable]
  if (Number.isSafeInteger(count) && count > 1) Remote.setCopies(count)
}
