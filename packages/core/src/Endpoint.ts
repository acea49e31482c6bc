/**
 * Where a server listens, as a URL: for programs that read, make or show one.
 *
 * An `Endpoint` is the value of a `LISTEN` variable, the `address` of a bound
 * server, and what a client connects to. What stands behind `?` are options,
 * which belong to the transport: here they are only kept. Parsing needs no
 * `Schema`, so the smallest server does not load one.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as endpoints from "./internal/endpoints.ts"
import { read } from "./internal/endpointText.ts"
import { InvalidEndpoint, ServerError } from "./ServerError.ts"

/**
 * The address of a listener.
 *
 * **Details**
 *
 * `String(endpoint)` is the URL it was parsed from. The address of a bound server
 * has the bound port in place of port 0, and no options: it is what a client needs.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = Tcp | Tls | Udp | Unix | Unixgram | Fd | Memory

/**
 * What every endpoint has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Base {
  /** The options of the URL: `{ backlog: "100" }` for `?backlog=100`. The transport reads them, and refuses what it does not know. */
  readonly query: Query
  toString(): string
}

/**
 * The options of a URL, decoded and otherwise as they were written.
 *
 * @category models
 * @since 0.1.0
 */
export type Query = Readonly<Record<string, string>>

/**
 * A TCP address. `host` is a name or an IP address without brackets; port 0
 * asks the system for a free port.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tcp extends Base {
  readonly _tag: "Tcp"
  readonly host: string
  readonly port: number
}

/**
 * TLS over TCP.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tls extends Base {
  readonly _tag: "Tls"
  readonly host: string
  readonly port: number
}

/**
 * A UDP address.
 *
 * @category models
 * @since 0.1.0
 */
export interface Udp extends Base {
  readonly _tag: "Udp"
  readonly host: string
  readonly port: number
}

/**
 * A Unix stream socket. `path` is a path in the file system, or `@name` for
 * Linux's abstract namespace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unix extends Base {
  readonly _tag: "Unix"
  readonly path: string
}

/**
 * A Unix datagram socket, with a path as {@link Unix} has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unixgram extends Base {
  readonly _tag: "Unixgram"
  readonly path: string
}

/**
 * A socket that the process was started with: a descriptor's number, or its
 * name in `LISTEN_FDNAMES`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fd extends Base {
  readonly _tag: "Fd"
  readonly fd: number | string
}

/**
 * A server inside this process, found by its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Memory extends Base {
  readonly _tag: "Memory"
  readonly name: string
}

/**
 * The forms that {@link parse} accepts, as error messages show them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forms: ReadonlyArray<string> = [
  "tcp://HOST:PORT",
  "tls://HOST:PORT?cert=FILE&key=FILE",
  "udp://HOST:PORT",
  "unix:///PATH",
  "unix:@NAME",
  "unixgram:///PATH",
  "unixgram:@NAME",
  "fd://NUMBER",
  "fd://NAME",
  "memory:NAME"
]

/**
 * A TCP endpoint.
 *
 * **Example** (Formatting an IPv6 endpoint)
 *
 * ```ts
 * import { Endpoint } from "@socketserver/core"
 *
 * String(Endpoint.tcp("::1", 9000)) // => "tcp://[::1]:9000"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const tcp: (host: string, port: number, query?: Query) => Tcp = endpoints.tcp

/**
 * An endpoint of TLS over TCP.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tls: (host: string, port: number, query?: Query) => Tls = endpoints.tls

/**
 * A UDP endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const udp: (host: string, port: number, query?: Query) => Udp = endpoints.udp

/**
 * An endpoint of a Unix stream socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unix: (path: string, query?: Query) => Unix = endpoints.unix

/**
 * An endpoint of a Unix datagram socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unixgram: (path: string, query?: Query) => Unixgram = endpoints.unixgram

/**
 * An endpoint of an inherited socket, by its descriptor's number or name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fd: (fd: number | string, query?: Query) => Fd = endpoints.fd

/**
 * An in-memory endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const memory: (name: string) => Memory = endpoints.memory

/**
 * Parses an endpoint URL, or says what is wrong with it and which forms there are.
 *
 * **Details**
 *
 * Options follow a `?`, as in `tcp://[::]:9000?backlog=100&reusePort=true`. In a
 * path and in the options `%XX` stands for a byte: `%3F` is a question mark.
 *
 * **Example** (Parsing a `LISTEN` value)
 *
 * ```ts
 * import { Endpoint } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * Result.map(Endpoint.parse("tcp://127.0.0.1:9000"), String) // => Result.succeed("tcp://127.0.0.1:9000")
 *
 * const wrong = Endpoint.parse("tcp://127.0.0.1:65536")
 * Result.isFailure(wrong) && wrong.failure.reason._tag // => "InvalidEndpoint"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (value: string): Result.Result<Endpoint, ServerError> =>
  Result.mapError(
    read(value.trim()),
    (problem) => new ServerError({ reason: new InvalidEndpoint({ value, problem, accepted: forms }) })
  )

/**
 * Parses endpoints that are separated by commas.
 *
 * **Example** (Listening on two addresses)
 *
 * ```ts
 * import { Endpoint } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * Result.map(Endpoint.parseAll("tcp://127.0.0.1:9000, unix:///run/echo.sock"), (all) => all.map(String))
 * // => Result.succeed(["tcp://127.0.0.1:9000", "unix:///run/echo.sock"])
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseAll = (value: string): Result.Result<readonly [Endpoint, ...Array<Endpoint>], ServerError> => {
  const all: Array<Endpoint> = []
  // A comma inside an option is one of the option: an endpoint starts with its scheme.
  const texts = value.split(/,(?=\s*(?:[a-z][a-z0-9+.-]*:(?:\/\/|@)|memory:)|\s*$|\s*,)/i)
  for (const [index, text] of texts.entries()) {
    if (text.trim() === "" && texts.length > 1) {
      const problem = `the list has an empty entry at position ${index + 1} of ${texts.length}; leave out its comma`
      return Result.fail(new ServerError({ reason: new InvalidEndpoint({ value, problem, accepted: [] }) }))
    }
    const parsed = parse(text)
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    all.push(parsed.success)
  }
  return Result.succeed(all as [Endpoint, ...Array<Endpoint>])
}
