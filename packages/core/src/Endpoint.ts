/**
 * Where a server listens, as a URL.
 *
 * An `Endpoint` is the value of a `LISTEN` variable, the `address` of a bound
 * server, and what a client connects to. It says where, never how: options of
 * a transport belong to its layer. Parsing needs no `Schema`, so the smallest
 * server does not load one.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { InvalidEndpoint, ServerError } from "./ServerError.ts"

/**
 * The address of a listener: `tcp://host:port`, `unix:///path` or `memory:name`.
 *
 * **Details**
 *
 * `String(endpoint)` is the URL it was parsed from, with the bound port in
 * place of port 0 once a server listens.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = Tcp | Unix | Memory

/**
 * A TCP address. `host` is a name or an IP address without brackets; port 0
 * asks the system for a free port.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tcp {
  readonly _tag: "Tcp"
  readonly host: string
  readonly port: number
  toString(): string
}

/**
 * A Unix stream socket. `path` is a path in the file system, or `@name` for
 * Linux's abstract namespace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unix {
  readonly _tag: "Unix"
  readonly path: string
  toString(): string
}

/**
 * A server inside this process, found by its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Memory {
  readonly _tag: "Memory"
  readonly name: string
  toString(): string
}

/**
 * The forms that `parse` accepts, as error messages show them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forms: ReadonlyArray<string> = ["tcp://HOST:PORT", "unix:///PATH", "unix:@NAME", "memory:NAME"]

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
export const tcp = (host: string, port: number): Tcp => ({
  _tag: "Tcp",
  host,
  port,
  toString: () => `tcp://${host.includes(":") ? `[${host}]` : host}:${port}`
})

/**
 * An endpoint of a Unix stream socket.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unix = (path: string): Unix => ({
  _tag: "Unix",
  path,
  toString: () => (path.startsWith("@") ? `unix:${path}` : `unix://${path}`)
})

/**
 * An in-memory endpoint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const memory = (name: string): Memory => ({ _tag: "Memory", name, toString: () => `memory:${name}` })

/**
 * Parses an endpoint URL, or says what is wrong with it and which forms there are.
 *
 * **Example** (Parsing a `LISTEN` value)
 *
 * ```ts
 * import { Endpoint } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * Result.map(Endpoint.parse("tcp://127.0.0.1:9000"), String) // => Result.succeed("tcp://127.0.0.1:9000")
 *
 * const wrong = Endpoint.parse("foo://x")
 * Result.isFailure(wrong) && wrong.failure.message
 * // => 'Invalid endpoint "foo://x": unknown scheme "foo". Accepted: tcp://HOST:PORT, unix:///PATH, unix:@NAME, memory:NAME'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (value: string): Result.Result<Endpoint, ServerError> => {
  const text = value.trim()
  const invalid = (problem: string) =>
    Result.fail(new ServerError({ reason: new InvalidEndpoint({ value, problem, accepted: forms }) }))
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return invalid("it has no scheme")
    case "memory": {
      const name = text.slice("memory:".length)
      return name === "" ? invalid("it has no name after memory:") : Result.succeed(memory(name))
    }
    case "unix": {
      const path = /^unix:(?:\/\/(?=\/.)|(?=@.))(.+)$/i.exec(text)?.[1]
      if (path === undefined) return invalid("it must be an absolute path or an abstract name")
      return /[\0?#]/.test(path) ? invalid("a path cannot have a zero byte, ? or #") : Result.succeed(unix(path))
    }
    case "tcp": {
      const bare = /^tcp:\/\/([^[/?#]*:[^/?#]*:[^/?#]*)/i.exec(text)?.[1]
      if (bare !== undefined) return invalid("an IPv6 host is written in brackets, as in tcp://[::1]:9000")
      const match = /^tcp:\/\/(?:\[([^\]]*)\]|([^:/?#[\]]*))(?::([^/?#]*))?(.*)$/i.exec(text)
      if (match === null) return invalid("it must start with tcp:// and a host")
      const [, ipv6, name, port, rest] = match
      const host = ipv6 ?? name ?? ""
      if (host === "")
        return invalid("it has no host; to listen everywhere, write tcp://0.0.0.0:PORT or tcp://[::]:PORT")
      const known =
        ipv6 === undefined ? /^[a-z0-9._-]+$/i.test(host) : /^[0-9a-f:.]*:[0-9a-f:.]*(%[a-z0-9._-]+)?$/i.test(host)
      if (!known) return invalid(`"${host}" is no host name or IP address`)
      if (port === undefined || port === "") return invalid("it has no port; port 0 takes any free one")
      if (!/^\d+$/.test(port) || Number(port) > 65_535) return invalid(`the port must be 0 to 65535, not "${port}"`)
      if (rest !== "" && rest !== "/") return invalid(`nothing may follow the port, but "${rest}" does`)
      return Result.succeed(tcp(host, Number(port)))
    }
    default:
      return invalid(`unknown scheme "${scheme}"`)
  }
}
