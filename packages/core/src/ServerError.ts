/**
 * The errors of a server as a whole, for programs that tell them apart: it cannot
 * bind, its listener died, it was configured with something that does not exist.
 *
 * What happens to one request or one connection is not here: that is an
 * {@link Outcome}, and the server goes on.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import { withoutSecrets } from "./internal/secrets.ts"

/**
 * The error of a server, with its reason.
 *
 * **When to use**
 *
 * Catch it as a whole with `Effect.catchTag("ServerError", …)`, or one reason
 * with `Effect.catchReason("ServerError", "BindFailed", …)`.
 *
 * **Gotchas**
 *
 * The errors here extend `Data.TaggedError`, not `Schema.TaggedError`: loading
 * `Schema` costs about a third of the start-up of the smallest server.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServerError extends Data.TaggedError("ServerError")<{
  readonly reason: Reason
  readonly cause?: unknown
}> {
  constructor(props: { readonly reason: Reason }) {
    super("cause" in props.reason ? { reason: props.reason, cause: props.reason.cause } : { reason: props.reason })
  }
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Why a server failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type Reason =
  | BindFailed
  | ListenerFailed
  | PolicyFailed
  | InvalidEndpoint
  | InvalidOption
  | UnsupportedEndpoint
  | ServerClosed
  | AlreadyServed
  | DeclaredTwice

/**
 * The address could not be bound. `kind` sorts the platform's codes; `cause` is the raw error.
 *
 * @category errors
 * @since 0.1.0
 */
export class BindFailed extends Data.TaggedError("BindFailed")<{
  /** The endpoint as it was asked for. */
  readonly endpoint: string
  readonly kind:
    | "AddressInUse"
    | "PermissionDenied"
    | "AddressNotAvailable"
    | "HostNotFound"
    | "PathTooLong"
    | "NoDirectory"
    | "NotASocket"
    | "InvalidDescriptor"
    | "InvalidOption"
    | "Other"
  readonly cause: unknown
  /** What is wrong and how to mend it, where more is known than its kind: another server of this program has the address. Default: what the kind says. */
  readonly problem?: string | undefined
}> {
  override get message(): string {
    if (this.problem !== undefined) return `Cannot bind ${this.endpoint}: ${this.problem}`
    const elsewhere = this.kind === "AddressInUse" && /^\w+:\/\/.*:\d+$/.test(this.endpoint) ? freePort : ""
    return `Cannot bind ${this.endpoint}: ${bindProblems[this.kind] ?? describe(this.cause)}${elsewhere}`
  }
}

/**
 * A listener that had been bound stopped working.
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenerFailed extends Data.TaggedError("ListenerFailed")<{
  readonly endpoint: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `The listener on ${this.endpoint} failed: ${describe(this.cause)}`
  }
}

/**
 * A policy died, or ended while its server did not.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyFailed extends Data.TaggedError("PolicyFailed")<{
  readonly policy: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `The policy ${this.policy} failed: ${describe(this.cause)}`
  }
}

/**
 * A policy does not exist, or cannot run the handlers of a server. Nothing has
 * been served.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyError extends Data.TaggedError("PolicyError")<{
  /** The policy as it was asked for. */
  readonly policy: string
  readonly problem: string
  /** The forms that are accepted, where the text was none. Default: none, the policy exists and cannot run the handler. */
  readonly accepted?: ReadonlyArray<string> | undefined
  /** The server whose handlers they are, by its name. Default: none, the text is no policy. */
  readonly service?: string | undefined
  /** The variable that has chosen the policy, as it is called in the environment. Default: the program has. */
  readonly variable?: string | undefined
}> {
  override get message(): string {
    const { accepted = [], problem, service, variable } = this
    const policy = JSON.stringify(this.policy)
    if (accepted.length === 0) {
      const handlers = service === undefined ? "handlers" : `handlers of ${service}`
      const by = variable === undefined ? "" : `${variable}: `
      return `${by}Cannot run ${handlers} under the policy ${policy}: ${problem}`
    }
    const said = `Invalid policy ${policy}: ${problem}`
    // Where one is nearly right, the others are beside the point.
    return problem.endsWith("?") ? said : `${said}. Accepted: ${accepted.join(", ")}`
  }
}

/**
 * A text is not an endpoint.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidEndpoint extends Data.TaggedError("InvalidEndpoint")<{
  /** As it was written, but for what nobody should read: a name with a password, a passphrase, a key. */
  readonly value: string
  readonly problem: string
  /** The forms that are accepted, where the problem does not say what to write. */
  readonly accepted: ReadonlyArray<string>
}> {
  constructor(props: { readonly value: string; readonly problem: string; readonly accepted: ReadonlyArray<string> }) {
    super({ ...props, value: withoutSecrets(props.value), problem: withoutSecrets(props.problem) })
  }
  override get message(): string {
    const { accepted, problem, value } = this
    const said = `Invalid endpoint ${JSON.stringify(value)}: ${problem}`
    return accepted.length === 0 ? said : `${said}${problem.endsWith("?") ? "" : "."} Accepted: ${accepted.join(", ")}`
  }
}

/**
 * An option of a server has a value that cannot be used.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  readonly option: string
  readonly problem: string
  /** Whose option it is: the endpoint of a listener, or the name of a server. Default: it is said where it is written. */
  readonly of?: string | undefined
  /** The variable that has set it, as it is called in the environment. Default: the program has. */
  readonly variable?: string | undefined
}> {
  override get message(): string {
    const { of, option, problem, variable } = this
    const whose = of === undefined ? "" : ` of ${of}`
    return `${variable === undefined ? "" : `${variable}: `}Invalid option ${option}${whose}: ${problem}`
  }
}

/**
 * For authors of transports: says where an option that cannot be used was set. What
 * is known of that already is kept, and any other error is left as it is.
 *
 * **Example** (Naming the listener)
 *
 * ```ts
 * import { ServerError } from "@socketserver/core"
 *
 * const error = new ServerError.ServerError({
 *   reason: new ServerError.InvalidOption({ option: "backlog", problem: "it must be an integer" })
 * })
 *
 * ServerError.located(error, { of: "tcp://127.0.0.1:9000" }).message
 * // => "Invalid option backlog of tcp://127.0.0.1:9000: it must be an integer"
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const located = (
  error: ServerError,
  where: { readonly of?: string | undefined; readonly variable?: string | undefined }
): ServerError => {
  const { reason } = error
  if (reason._tag !== "InvalidOption") return error
  const { of = where.of && withoutSecrets(where.of), option, problem, variable = where.variable } = reason
  return new ServerError({ reason: new InvalidOption({ option, problem, of, variable }) })
}

/**
 * The endpoint is well formed, but this layer or platform cannot serve it.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedEndpoint extends Data.TaggedError("UnsupportedEndpoint")<{
  readonly endpoint: string
  readonly problem: string
  readonly accepted: ReadonlyArray<string>
}> {
  override get message(): string {
    return `Unsupported endpoint ${this.endpoint}: ${this.problem}. Accepted: ${this.accepted.join(", ")}`
  }
}

/**
 * The server was shut down while something still wanted requests of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServerClosed extends Data.TaggedError("ServerClosed")<{
  readonly endpoint: string
}> {
  override get message(): string {
    return `The server on ${this.endpoint} has been shut down`
  }
}

/**
 * The server is served already: its requests go to one handler.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlreadyServed extends Data.TaggedError("AlreadyServed")<{
  /** The key of the service. */
  readonly service: string
}> {
  override get message(): string {
    return `${this.service} is served already: serve each declared server once, and declare another for another handler`
  }
}

/**
 * Two declarations of one program have the same key, so that one is placed where the other is meant.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeclaredTwice extends Data.TaggedError("DeclaredTwice")<{
  /** The key of both. */
  readonly service: string
}> {
  override get message(): string {
    return `Two servers are declared as ${JSON.stringify(this.service)}, and the one that is placed is not the one that is served: give each declaration a key of its own`
  }
}

const bindProblems: Record<BindFailed["kind"], string | undefined> = {
  AddressInUse: "address in use; stop what listens there, or choose another",
  PermissionDenied: "permission denied; a port below 1024 needs privileges, a path a directory that may be written to",
  AddressNotAvailable: "this machine does not have that address",
  HostNotFound: "the host name does not resolve",
  PathTooLong: "a Unix socket's path has at most 107 bytes; choose a shorter one",
  NoDirectory: "there is no such directory; make it first",
  NotASocket: "a file is there that is not a socket, and it is left alone; choose another path",
  InvalidDescriptor:
    "that descriptor is no socket that can be served; it must be open, and listen or receive datagrams, when the program starts",
  InvalidOption: undefined,
  Other: undefined
}

const freePort = " (port 0 takes any free one)"

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message || cause.name : String(cause))
