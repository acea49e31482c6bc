/** What is read of the configuration of a server, and what is said of what cannot be used. */
import * as Endpoint from "@socketserver/core/Endpoint"
import { located, type ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import type * as Transport from "@socketserver/core/Transport"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as NodePolicy from "../NodePolicy.ts"
import type { LayerConfigOptions } from "../NodeServer.ts"
import { activated } from "./activation.ts"
import { defined } from "./defined.ts"
import { positive, type Read } from "./positive.ts"
import * as query from "./query.ts"

/** A time, as it was written: what is wrong with it only together with its option is told in the same letters. */
const time =
  (forms: Settings.DurationForms = {}): Read<Settings.Time> =>
  (text) =>
    Result.mapBoth(Settings.duration(text, forms), {
      onSuccess: () => text as Settings.Time,
      onFailure: (problem) => `it ${problem}`
    })

const size: Read<number> = (text) => Result.mapError(Settings.size(text), (problem) => `it ${problem}`)

const whole = positive(Number.MAX_SAFE_INTEGER)

const wholeOrOff: Read<number | "off"> = (text) =>
  text === "off" ? Result.succeed(text) : Result.mapError(whole(text), (problem) => `${problem}; "off" is off`)

/** The limits that have a variable, and how it is read. */
const limits = {
  drainTimeout: time({ zero: true }),
  drainDelay: time({ zero: true }),
  startTimeout: time(),
  firstByteTimeout: time({ off: true }),
  frameTimeout: time({ off: true }),
  writeTimeout: time({ off: true }),
  idleTimeout: time({ off: true }),
  requestTimeout: time({ off: true }),
  loginTimeout: time({ off: true }),
  maxLifetime: time({ off: true }),
  placeTimeout: time(),
  maxSenders: whole,
  senderTimeout: time({ off: true }),
  maxConnections: whole,
  maxConnectionsPerPeer: wholeOrOff,
  maxPeerWait: time({ zero: true }),
  maxOpening: wholeOrOff,
  maxRequestsPerPeer: wholeOrOff,
  maxPipelined: whole,
  maxBuffered: size,
  maxMemory: size,
  maxReply: size
} satisfies { readonly [K in keyof Transport.ServerOptions]: Read<NonNullable<Transport.ServerOptions[K]>> }

/** `maxConnections` is `MAX_CONNECTIONS`. */
const variableOf = (option: string): string => option.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** What is set. */
interface Set {
  readonly listen: {
    readonly endpoints: Endpoints
    /** Whether the variable says so, and not the program. */
    readonly isSet: boolean
  }
  readonly policy: ReturnType<typeof NodePolicy.parse> extends Result.Result<infer Policy, unknown>
    ? Policy | undefined
    : never
  readonly limits: Transport.ServerOptions
}

type Endpoints = readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>]

/** A variable, if it is set; `called` is its name for messages. */
export const variable = <A>(
  name: string,
  called: string,
  parse: (text: string) => Result.Result<A, string | { readonly message: string }>
): Config.Config<A | undefined> =>
  Config.mapEffect(Config.withDefault(Config.String(name), undefined), (text) =>
    text === undefined
      ? Effect.succeed(undefined)
      : Effect.mapError(Effect.fromResult(parse(text)), (error) =>
          typeof error === "string" ? invalid(`${called}: ${error}`) : invalid(`${called}: ${error.message}`, error)
        )
  )

/** What is read of the configuration of a server, what its variables are called, and which of them an error is of. */
export const settings = (options: LayerConfigOptions) => {
  // As the variable is called in the environment, for messages.
  const called = (name: string) => (options.prefix === undefined ? name : `${options.prefix}_${name}`)

  const names: Array<string> = []
  const parsed = <A>(
    name: string,
    parse: (text: string) => Result.Result<A, string | { readonly message: string }>
  ) => {
    names.push(called(name))
    return variable(name, called(name), parse)
  }

  const listen = Config.mapEffect(
    parsed("LISTEN", (text) => endpoints(text, options)),
    (set) => {
      if (set !== undefined) return Effect.succeed({ endpoints: set, isSet: true })
      const [first, ...others] = options.prefix === undefined ? activated().map(({ fd }) => Endpoint.fd(fd)) : []
      if (first !== undefined) return Effect.succeed({ endpoints: [first, ...others] as const, isSet: false })
      if (options.listen === undefined) {
        return Effect.fail(invalid(`${called("LISTEN")} is not set. Accepted: ${Endpoint.forms.join(", ")}`))
      }
      return Effect.mapBoth(Effect.fromResult(endpoints(options.listen, options)), {
        onSuccess: (endpoints) => ({ endpoints, isSet: false }),
        onFailure: (error) => invalid(error.message, error)
      })
    }
  )

  const all: Config.Config<Set> = Config.all({
    listen,
    policy: Config.map(
      parsed("POLICY", NodePolicy.parse),
      (policy) => policy && { ...policy, variable: called("POLICY") }
    ),
    limits: Config.map(
      Config.all(
        Object.entries(limits).map(([option, read]) =>
          Config.map(parsed(variableOf(option), read as Read<unknown>), (value) => [option, value] as const)
        )
      ),
      (entries): Transport.ServerOptions => defined(Object.fromEntries(entries))
    )
  })

  const variableOfOption = (set: Set, option: string): string | undefined => {
    if (Object.hasOwn(set.limits, option)) return called(variableOf(option))
    const isOfUrl = set.listen.isSet && set.listen.endpoints.some((endpoint) => query.sets(endpoint, option))
    return isOfUrl ? called("LISTEN") : undefined
  }

  return {
    names,
    config: options.prefix === undefined ? all : Config.nested(all, options.prefix),
    /** What an error says once it is known by which variable it came. */
    told: (set: Set, error: ServerError): ServerError =>
      error.reason._tag === "InvalidOption"
        ? located(error, { variable: variableOfOption(set, error.reason.option) })
        : error
  }
}

/** Endpoints whose options are there, too. */
export const endpoints = (text: string, given: query.Given): Result.Result<Endpoints, ServerError> =>
  Result.flatMap(Endpoint.parseAll(text), (endpoints) => {
    for (const endpoint of endpoints) {
      const usable = Result.flatMap(query.ofServer(endpoint), () => query.identified(endpoint, given))
      if (Result.isFailure(usable)) return Result.fail(usable.failure)
    }
    return Result.succeed(endpoints)
  })

export const invalid = (message: string, cause?: unknown): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message, cause }))
