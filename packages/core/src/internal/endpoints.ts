import type { Fd, Memory, Query, Tcp, Tls, Udp, Unix, Unixgram } from "../Endpoint.ts"

/** How endpoints are made and printed. */

const none: Query = {}

export const tcp = (host: string, port: number, query: Query = none): Tcp => inet("Tcp", "tcp", host, port, query)

export const tls = (host: string, port: number, query: Query = none): Tls => inet("Tls", "tls", host, port, query)

export const udp = (host: string, port: number, query: Query = none): Udp => inet("Udp", "udp", host, port, query)

export const unix = (path: string, query: Query = none): Unix => ({
  _tag: "Unix",
  path,
  query,
  toString: () => `unix:${local(path)}${search(query)}`
})

export const unixgram = (path: string, query: Query = none): Unixgram => ({
  _tag: "Unixgram",
  path,
  query,
  toString: () => `unixgram:${local(path)}${search(query)}`
})

export const fd = (fd: number | string, query: Query = none): Fd => ({
  _tag: "Fd",
  fd,
  query,
  toString: () => `fd://${fd}${search(query)}`
})

export const memory = (name: string): Memory => ({
  _tag: "Memory",
  name,
  query: none,
  toString: () => `memory:${name}`
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
