import * as Result from "effect/Result"
import type { Endpoint, Query } from "../Endpoint.ts"
import { nearest } from "./nearest.ts"
import { hasUser } from "./secrets.ts"
import { fd, memory, tcp, tls, udp, unix, unixgram } from "./endpoints.ts"

/** How endpoints are read: the endpoint of a URL, or what is wrong with it. */

type Read = Result.Result<Endpoint, string>

export const read = (text: string): Read => {
  if (/[\s,][a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return Result.fail("it is several endpoints; where there may be several, they are separated by commas")
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  const isKnown = scheme !== undefined && (scheme === "memory" || Object.hasOwn(readers, scheme))
  const meant = isKnown ? undefined : meantBy(text)
  if (meant !== undefined) return Result.fail(`it has no scheme; write ${meant}`)
  if (scheme === undefined) return Result.fail(text === "" ? "it is empty" : "it has no scheme")
  if (/^(?:tcp|tls|udp)$/.test(scheme) && (hasUser(text) || /^[^?]*@/.test(text))) {
    return Result.fail(`a name or a password has no place in it; write ${scheme}://HOST:PORT`)
  }
  const at = text.indexOf("?")
  const rest = text.slice(scheme.length + 1, at === -1 ? undefined : at)
  if (scheme === "memory") {
    if (at !== -1) return Result.fail("memory: has no options")
    return rest === "" ? Result.fail("it has no name after memory:") : Result.succeed(memory(rest))
  }
  const forScheme = isKnown ? readers[scheme] : undefined
  if (forScheme === undefined) {
    const near = nearest(scheme, [...Object.keys(readers), "memory"])
    return Result.fail(`unknown scheme "${scheme}"${near === undefined ? "" : `; did you mean "${near}"?`}`)
  }
  return Result.flatMap(at === -1 ? Result.succeed<Query>({}) : readQuery(text.slice(at + 1)), (query) =>
    forScheme(rest, query)
  )
}

/** What somebody may have meant who wrote no scheme: a port, a host with one, a path, a name. */
const meantBy = (text: string): string | undefined => {
  const [, port] = /^:?(\d{1,5})$/.exec(text) ?? []
  if (port !== undefined) return `tcp://127.0.0.1:${port}`
  const [, address] = /^((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):\d{1,5})(?:\?.*)?$/i.exec(text) ?? []
  if (address !== undefined) return `tcp://${address}`
  if (/^\/./.test(text)) return `unix://${text}`
  return /^@./.test(text) ? `unix:${text}` : undefined
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
  if (rest.includes(";")) return Result.fail("a comma stands between several endpoints, not a semicolon")
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
  if (encoded === undefined)
    return Result.fail(
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    )
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
