import type * as Endpoint from "@socketserver/core/Endpoint"
import { InvalidEndpoint, ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"

/**
 * The options that may stand behind `?` in an endpoint's URL. Each has the name,
 * the meaning and the default of the option of its transport.
 */

type Reader<A> = (text: string) => Result.Result<A, string>

const read =
  <A>(form: string, f: (text: string) => A | undefined): Reader<A> =>
  (text) => {
    const value = f(text)
    return value === undefined ? Result.fail(`must be ${form}, not "${text}"`) : Result.succeed(value)
  }

const flag = read("true or false", (text) => (text === "true" ? true : text === "false" ? false : undefined))

const integer = (from: number, to: number) =>
  read(`an integer from ${from} to ${to}`, (text) =>
    /^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to ? Number(text) : undefined
  )

const duration: Reader<Duration.Duration> = (text) => Settings.duration(text)

const orOff: Reader<Duration.Duration> = (text) => Settings.duration(text, { off: true })

const text = read("a text", (text) => (text === "" ? undefined : text))

const list = read("a list, separated by commas", (text) => {
  const parts = text.split(",").map((part) => part.trim())
  return parts.includes("") ? undefined : parts
})

const mode = read("an octal mode, as in 660", (text) =>
  /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined
)

/** Of a socket whose kind is not known yet: networks, or everybody who may connect. */
const flagOrList = read("true, false, or networks, separated by commas", (text) =>
  text === "true" ? true : text === "false" ? false : Result.getOrUndefined(list(text))
)

/** Text that is a form alone, or users by their numbers. */
const peers = read(
  "any, same-user or user numbers, separated by commas",
  (text): "any" | "same-user" | Array<number> | undefined =>
    text === "any" || text === "same-user"
      ? text
      : /^\d{1,10}(,\d{1,10})*$/.test(text)
        ? text.split(",").map(Number)
        : undefined
)

const admission = { allow: list, proxyProtocol: list, proxyTimeout: duration }

const inet = {
  backlog: integer(1, 2_147_483_647),
  noDelay: flag,
  keepAlive: orOff,
  reusePort: flag,
  ipv6Only: flag,
  ...admission
}

const version = read("TLSv1.2 or TLSv1.3", (text) => (text === "TLSv1.2" || text === "TLSv1.3" ? text : undefined))

const atLeastZero: Reader<Duration.Duration> = (text) => Settings.duration(text, { zero: true })

// A passphrase is none: what stands in a URL is seen by everybody.
const identity = { cert: text, key: text, ca: text, alpn: list, minVersion: version }

const secured = {
  ...identity,
  clientCertificate: read("required or optional", (text) =>
    text === "required" || text === "optional" ? text : undefined
  ),
  handshakeTimeout: duration,
  reloadAfter: atLeastZero
}

const bytes = integer(1, 1_073_741_824)

const buffers = { receiveBufferBytes: integer(1, 2_147_483_647), sendBufferBytes: integer(1, 2_147_483_647) }

const servers = {
  Tcp: inet,
  Tls: {
    ...inet,
    ...secured
  },
  Udp: {
    reusePort: flag,
    ipv6Only: flag,
    broadcast: flag,
    multicast: list,
    multicastInterface: text,
    multicastTtl: integer(0, 255),
    ...buffers,
    allow: list
  },
  Unix: { mode, peers, backlog: integer(1, 2_147_483_647), proxyProtocol: flag, proxyTimeout: duration },
  Unixgram: { mode, sendTimeout: duration, sendBufferBytes: bytes, maxDatagramBytes: bytes },
  Fd: { keepAlive: orOff, peers, ...admission, proxyProtocol: flagOrList, ...secured },
  Memory: {}
} satisfies Tables

const clients = {
  Tcp: { connectTimeout: duration, noDelay: flag },
  Tls: { connectTimeout: duration, noDelay: flag, ...identity, serverName: text },
  Udp: {},
  Unix: { connectTimeout: duration },
  Unixgram: { bind: text, mode, sendTimeout: duration, maxDatagramBytes: bytes },
  Fd: {},
  Memory: {}
} satisfies Tables

type Tables = Readonly<Record<Endpoint.Endpoint["_tag"], Readonly<Record<string, Reader<unknown>>>>>

type Values<Table extends Readonly<Record<string, Reader<unknown>>>> = {
  readonly [K in keyof Table]?: Table[K] extends Reader<infer A> ? A : never
}

const reading =
  <T extends Tables>(tables: T, whose: string) =>
  <E extends Endpoint.Endpoint>(endpoint: E): Result.Result<Values<T[E["_tag"]]>, ServerError> => {
    const table: Readonly<Record<string, Reader<unknown>>> = tables[endpoint._tag]
    const values: Record<string, unknown> = {}
    const forms = Object.keys(table).map((name) => `${name}=`)
    for (const [name, text] of Object.entries(endpoint.query)) {
      const reader = Object.hasOwn(table, name) ? table[name] : undefined
      const value = reader?.(text) ?? Result.fail(`is no option of ${whose}`)
      if (Result.isFailure(value)) {
        return invalid(endpoint, `${name} ${value.failure}`, forms.length === 0 ? ["no options"] : forms)
      }
      values[name] = value.success
    }
    return Result.succeed(values as Values<T[E["_tag"]]>)
  }

const invalid = (endpoint: Endpoint.Endpoint, problem: string, accepted: ReadonlyArray<string>) =>
  Result.fail(
    new ServerError({
      reason: new InvalidEndpoint({
        value: String(endpoint),
        problem,
        accepted
      })
    })
  )

/** What the program gives for TLS, of which a listener that speaks it needs a certificate and its key. */
export interface Given {
  readonly tls?: { readonly cert?: unknown; readonly key?: unknown } | undefined
  readonly fd?: { readonly tls?: Given["tls"] } | undefined
}

/** Says what TLS cannot do without, where neither the URL nor the program has it. */
export const identified = (endpoint: Endpoint.Endpoint, given: Given): Result.Result<void, ServerError> => {
  const { query } = endpoint
  const own = endpoint._tag === "Tls" ? given.tls : given.fd?.tls
  const encrypts = endpoint._tag === "Tls" || (endpoint._tag === "Fd" && Object.keys(query).some(isForTls))
  const missing = (["cert", "key"] as const).filter((name) => (query[name] ?? own?.[name] ?? "") === "")
  if (!encrypts || missing.length === 0) return Result.succeed(undefined)
  const others = String(endpoint).replaceAll(/[?&](cert|key)=(?=&|$)/g, "")
  const mend = `${others}${others.includes("?") ? "&" : "?"}${missing.map((name) => `${name}=FILE`).join("&")}`
  const what =
    missing.length === 2 ? "cert and key are missing, and TLS needs both" : `${missing[0]} is missing, and TLS needs it`
  return invalid(endpoint, `${what}; write ${mend}`, [])
}

/** Whether an option is what it is by the endpoint's URL. */
export const sets = ({ query }: Endpoint.Endpoint, option: string): boolean =>
  Object.hasOwn(query, option) || (option === "tls" && Object.keys(query).some(isForTls))

const isForTls = (option: string): boolean => Object.hasOwn(secured, option)

/** The options of a listener, or which of them cannot be used. */
export const ofServer = reading(servers, "this transport")

/** The options of a client, or which of them cannot be used. */
export const ofClient = reading(clients, "a client")
