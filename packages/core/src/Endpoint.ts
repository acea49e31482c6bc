/**
 * Where a server listens, as a URL.
 *
 * An `Endpoint` is the value of a `LISTEN` variable, the `address` of a bound
 * server, and what a client connects to. What stands behind `?` are options,
 * which belong to the transport: here they are only kept. Parsing needs no
 * `Schema`, so the smallest server does not load one.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
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
export const tcp = (host: string, port: number, query: Query = none): Tcp => inet("Tcp", "tcp", host, port, query)

/**
 * An endpoint of TLS over TCP.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tls = (host: string, port: number, query: Query = none): Tls => inet("Tls", "tls", host, port, query)

/**
 * A UDP endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const udp = (host: string, port: number, query: Query = none): Udp => inet("Udp", "udp", host, port, query)

/**
 * An endpoint of a Unix stream socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unix = (path: string, query: Query = none): Unix => ({
  _tag: "Unix",
  path,
  query,
  toString: () => `unix:${local(path)}${search(query)}`
})

/**
 * An endpoint of a Unix datagram socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unixgram = (path: string, query: Query = none): Unixgram => ({
  _tag: "Unixgram",
  path,
  query,
  toString: () => `unixgram:${local(path)}${search(query)}`
})

/**
 * An endpoint of an inherited socket, by its descriptor's number or name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fd = (fd: number | string, query: Query = none): Fd => ({
  _tag: "Fd",
  fd,
  query,
  toString: () => `fd://${fd}${search(query)}`
})

/**
 * An in-memory endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const memory = (name: string): Memory => ({
  _tag: "Memory",
  name,
  query: none,
  toString: () => `memory:${name}`
})

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
  const endpoints: Array<Endpoint> = []
  // A comma inside an option is one of the option: an endpoint starts with its scheme.
  for (const text of value.split(/,(?=\s*(?:[a-z][a-z0-9+.-]*:(?:\/\/|@)|memory:)|\s*$|\s*,)/i)) {
    const parsed = parse(text)
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    endpoints.push(parsed.success)
  }
  return Result.succeed(endpoints as unknown as readonly [Endpoint, ...Array<Endpoint>])
}

const none: Query = {}

type Read = Result.Result<Endpoint, string>

const read = (text: string): Read => {
  if (/[\s,][a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return Result.fail("it is several endpoints; where there may be several, they are separated by commas")
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return Result.fail(text === "" ? "it is empty" : "it has no scheme")
  const at = text.indexOf("?")
  const rest = text.slice(scheme.length + 1, at === -1 ? undefined : at)
  if (scheme === "memory") {
    if (at !== -1) return Result.fail("memory: has no options")
    return rest === "" ? Result.fail("it has no name after memory:") : Result.succeed(memory(rest))
  }
  const forScheme = Object.hasOwn(readers, scheme) ? readers[scheme] : undefined
  if (forScheme === undefined) return Result.fail(`unknown scheme "${scheme}"`)
  return Result.flatMap(at === -1 ? Result.succeed(none) : readQuery(text.slice(at + 1)), (query) =>
    forScheme(rest, query)
  )
}

const readers: Readonly<Record<string, (rest: string, query: Query) => Read>> = {
  tcp: (rest, query) => Result.map(readInet("tcp", rest), ({ host, port }) => tcp(host, port, query)),
  tls: (rest, query) => Result.map(readInet("tls", rest), ({ host, port }) => tls(host, port, query)),
  udp: (rest, query) => Result.map(readInet("udp", rest), ({ host, port }) => udp(host, port, query)),
  unix: (rest, query) => Result.map(readPath(rest), (path) => unix(path, query)),
  unixgram: (rest, query) => Result.map(readPath(rest), (path) => unixgram(path, query)),
  fd: (rest, query) => {
    const name = /^\/\/([^/:#\s]+)\/?$/.exec(rest)?.[1]
    if (name === undefined) return Result.fail("it must be the number or the name of a descriptor, as in fd://3")
    const number = /^\d+$/.test(name) ? Number(name) : name
    return typeof number === "number" && number > 0x7fff_ffff
      ? Result.fail(`no descriptor has the number ${name}`)
      : Result.succeed(fd(number, query))
  }
}

const readInet = (
  scheme: string,
  rest: string
): Result.Result<{ readonly host: string; readonly port: number }, string> => {
  if (/^\/\/[^[/#]*:[^/#]*:[^/#]*/.test(rest)) {
    return Result.fail(`an IPv6 host is written in brackets, as in ${scheme}://[::1]:9000`)
  }
  const match = /^\/\/(?:\[([^\]]*)\]|([^:/#[\]]*))(?::([^/#]*))?(.*)$/.exec(rest)
  if (match === null) return Result.fail(`it must start with ${scheme}:// and a host`)
  const [, literal, name, port, more] = match
  // A zone's percent sign may be written as in any other URL (RFC 6874).
  const ipv6 = literal?.replace("%25", "%")
  const host = ipv6 ?? name ?? ""
  if (host === "") {
    return Result.fail(`it has no host; to listen everywhere, write ${scheme}://0.0.0.0:PORT or ${scheme}://[::]:PORT`)
  }
  const known =
    ipv6 === undefined ? /^[a-z0-9._-]+$/i.test(host) : /^[0-9a-f:.]*:[0-9a-f:.]*(%[a-z0-9._-]+)?$/i.test(host)
  if (!known) return Result.fail(`"${host}" is no host name or IP address`)
  if (port === undefined || port === "") return Result.fail("it has no port; port 0 takes any free one")
  if (!/^\d+$/.test(port) || Number(port) > 65_535) {
    return Result.fail(`the port must be 0 to 65535, not "${port}"`)
  }
  if (more !== "" && more !== "/") return Result.fail(`nothing but options may follow the port, but "${more}" does`)
  return Result.succeed({ host, port: Number(port) })
}

const readPath = (rest: string): Result.Result<string, string> => {
  const encoded = /^(?:\/\/(?=\/.)|(?=@.))(.+)$/.exec(rest)?.[1]
  if (encoded === undefined) return Result.fail("it must be an absolute path or an abstract name")
  if (encoded.includes("#")) return Result.fail("a # in a path is written as %23")
  return Result.flatMap(decoded(encoded), (path) =>
    path.includes("\0") ? Result.fail("a path cannot have a zero byte") : Result.succeed(path)
  )
}

const readQuery = (text: string): Result.Result<Query, string> => {
  const query = new Map<string, string>()
  for (const part of text.split("&")) {
    const equals = part.indexOf("=")
    if (equals <= 0) return Result.fail(`an option is written as name=value, not "${part}"`)
    const name = part.slice(0, equals)
    const value = decoded(part.slice(equals + 1))
    if (Result.isFailure(value)) return Result.fail(value.failure)
    if (query.has(name)) return Result.fail(`the option ${name} is given twice`)
    query.set(name, value.success)
  }
  return Result.succeed(Object.fromEntries(query))
}

const decoded = (text: string): Result.Result<string, string> =>
  Result.try({
    try: () => decodeURIComponent(text),
    catch: () => `"${text}" has a % that is not followed by two hexadecimal digits of a UTF-8 text; write % as %25`
  })

const inet = <Tag extends string>(_tag: Tag, scheme: string, host: string, port: number, query: Query) => ({
  _tag,
  host,
  port,
  query,
  toString: () => `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}${search(query)}`
})

/** What would end an endpoint among several, as {@link parseAll} has it, or be cut off its end. */
const ending = /[\s,](?=\s*(?:[a-z][a-z0-9+.-]*:(?:\/\/|@)|memory:)|\s*$|\s*,)/gi

const local = (path: string): string => {
  const encoded = path.replaceAll(/[%?#]/g, encodeURIComponent).replaceAll(ending, encodeURIComponent)
  return path.startsWith("@") ? encoded : `//${encoded}`
}

const search = (query: Query): string => {
  const parts = Object.entries(query).map(
    ([name, value]) =>
      `${name}=${value.replaceAll(/[%&#]/g, encodeURIComponent).replaceAll(ending, encodeURIComponent)}`
  )
  return parts.length === 0 ? "" : `?${parts.join("&")}`
}
