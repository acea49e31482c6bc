/**
 * Who is at the other end of a connection.
 *
 * @since 0.1.0
 */
import type * as NetAddress from "effect/net/NetAddress"

/**
 * The other end of a connection, as the transport knows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** The scheme of the transport it came over: `"tcp"`, `"memory"`. */
  readonly transport: string
  /** A name for logs, unique while the connection lives: `"127.0.0.1:50312"`, `"memory:echo#2"`. */
  readonly name: string
  /** The socket address, where the transport has one. */
  readonly address: NetAddress.SocketAddress | undefined
  toString(): string
}

/**
 * Makes a peer. `address` is only computed when it is asked for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly transport: string
  readonly name: string
  readonly address?: (() => NetAddress.SocketAddress | undefined) | undefined
}): Peer => ({
  transport: options.transport,
  name: options.name,
  get address() {
    return options.address?.()
  },
  toString: () => options.name
})
