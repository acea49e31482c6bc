import * as Context from "effect/Context"
import type * as Wire from "../Wire.ts"
import type { Link } from "./links.ts"

/** Makes a connection to a listener, and returns the client's end. */
export type Accept = (options: { readonly link?: Link | undefined; readonly name?: string | undefined }) => Wire.Wire

/** Who listens in memory, by name. */
export class Registry {
  readonly listeners = new Map<string, Accept>()
  private names = 0
  private clients = 0

  nameOf(key: string): string {
    return `${key}-${++this.names}`
  }

  nextClient(): number {
    return ++this.clients
  }
}

/** One for the process; a simulation has its own, so that it finds the same names each time. */
export const CurrentRegistry = Context.Reference<Registry>("@socketserver/core/internal/CurrentRegistry", {
  defaultValue: () => everywhere
})

const everywhere = new Registry()
