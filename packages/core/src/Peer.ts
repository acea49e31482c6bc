/**
 * Who is at the other end of a connection: for handlers that decide by it or show it.
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
  /** A name for logs, unique while the connection lives: `"127.0.0.1:50312"`, `"[2001:db8::1]:50312"`, `"memory:echo#2"`. By a name with an IP address limits for each peer know who it is. */
  readonly name: string
  /** The socket address, where the transport has one. */
  readonly address: NetAddress.SocketAddress | undefined
  /** What the handshake has agreed on, over TLS. */
  readonly tls: Tls | undefined
  /** Which process it is, where it is on this machine and its listener asks for that: `?peers=` of a Unix socket. */
  readonly credentials: Credentials | undefined
  toString(): string
}

/**
 * A process on this machine, as the system vouches for it: what it was when it
 * connected. By its user limits for each peer know who it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  /** 0 where it is in another namespace of processes, and another process's once it has ended. */
  readonly pid: number
  /** Its effective user. One that this namespace has no number for is 65534, as are others like it. */
  readonly uid: number
  /** Its effective group. */
  readonly gid: number
}

/**
 * What a TLS handshake has agreed on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tls {
  /** `"TLSv1.3"` or `"TLSv1.2"`. */
  readonly protocol: string
  /** The cipher suite, by its IANA name: `"TLS_AES_256_GCM_SHA384"`. */
  readonly cipher: string
  /** The name that the client asked for (SNI). Unknown where a session of TLS 1.2 is resumed, for which Node does not tell it: a server that goes by it should have `minVersion: "TLSv1.3"`. */
  readonly serverName: string | undefined
  /** The application protocol that both ends speak (ALPN). */
  readonly alpn: string | undefined
  /** The other end's certificate. A server has it only where it asks for one, and then it is verified. */
  readonly certificate: Certificate | undefined
}

/**
 * A verified certificate.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  /** The fields of its subject: `{ CN: "device-17", O: "Example" }`. */
  readonly subject: Readonly<Record<string, string | ReadonlyArray<string>>>
  /** The fields of its issuer. */
  readonly issuer: Readonly<Record<string, string | ReadonlyArray<string>>>
  /** Its other names, as in `"DNS:example.org, IP Address:192.0.2.1"`. */
  readonly subjectAltName: string | undefined
  readonly serialNumber: string
  /** The SHA-256 of its DER form, in hexadecimal bytes with colons. */
  readonly fingerprint256: string
  /** From when and until when it holds, in milliseconds since 1970. */
  readonly validFrom: number
  readonly validTo: number
  /** Its DER form. */
  readonly raw: Uint8Array
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
  readonly tls?: Tls | undefined
  readonly credentials?: Credentials | undefined
}): Peer => (options.credentials === undefined ? new Impl(options) : new Process(options, options.credentials))

// A class: every datagram makes one, and a literal with a getter costs ten times as much (`pnpm bench --transport udp`).
class Impl implements Peer {
  readonly transport: string
  readonly name: string
  readonly tls: Tls | undefined
  private readonly resolve: (() => NetAddress.SocketAddress | undefined) | undefined

  constructor(options: Parameters<typeof make>[0]) {
    this.transport = options.transport
    this.name = options.name
    this.tls = options.tls
    this.resolve = options.address
  }

  get address(): NetAddress.SocketAddress | undefined {
    return this.resolve?.()
  }

  // No field: those who are not asked for theirs do not pay for it.
  get credentials(): Credentials | undefined {
    return undefined
  }

  toString(): string {
    return this.name
  }
}

class Process extends Impl {
  private readonly own: Credentials

  constructor(options: Parameters<typeof make>[0], own: Credentials) {
    super(options)
    this.own = own
  }

  override get credentials(): Credentials | undefined {
    return this.own
  }
}
