/**
 * Whether this program is a worker of another one that has started it. It is
 * looked at as soon as this module is loaded, and what it says is taken out of
 * the environment, so that programs which a handler starts do not inherit it.
 */
import * as Remote from "@socketserver/core/Remote"
import { type Role, roleVariable } from "../channel/given.ts"
// What is started again is started where this program was; it may go elsewhere once this is loaded.
import "../../startedAs.ts"

export const role: Role | undefined = take(roleVariable)

/** Takes a variable out of the environment. */
function take(name: string): Role | undefined {
  const text = process.env[name]
  if (text === undefined) return undefined
  delete process.env[name]
  return JSON.parse(text) as Role
}

if (role !== undefined) {
  // What a worker needs is loaded only in one, while the program loads the rest.
  const host = import("./become.ts").then(({ become }) => become(role))
  Remote.setHost(() => host)
}

let inert = role !== undefined

/** Whether this program's own servers listen nowhere: in a worker, and in a supervisor of copies that builds its layers. */
export const isInert = (): boolean => inert

/** Makes this program one whose servers are somebody else's. */
export const becomeInert = (host: Remote.Host): void => {
  inert = true
  Remote.setHost(() => Promise.resolve(host))
}
