import * as Context from "effect/Context"
import type * as NetAddress from "effect/net/NetAddress"
import type * as Wire from "../Wire.ts"
import type { Link } from "./links.ts"

/** How a client comes. */
export interface Client {
  /** What lies between. Default: the server's. */
  readonly link?: Link | undefined
  /** What the server calls it. With an address, that and its port, as over TCP: `10.0.0.7:4000`. Default: the server's, and a number. */
  readonly name?: string | undefined
  /** Where it seems to come from. Those without one are one peer where shares are counted by peer. Default: none. */
  readonly address?: NetAddress.SocketAddress | undefined
}

/** Makes a connection to a listener, and returns the client's end. */
export type Accept = (client: Client) => Wire.Wire

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
