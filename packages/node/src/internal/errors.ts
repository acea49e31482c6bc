import { ConnectFailed } from "@socketserver/core/Connection"
import type { BindFailed } from "@socketserver/core/ServerError"

const codeOf = (cause: unknown): string => (cause as { readonly code?: string } | undefined)?.code ?? ""

/** What is wrong with an address that holds on one link only, where nobody has said on which. */
const zoneOf = (endpoint: string): string | undefined => {
  const [, host] = /^\w+:\/\/\[((?:fe[89ab][0-9a-f]|ff[0-9a-f]2):[^\]%]*)\]/i.exec(endpoint) ?? []
  return host && `a link-local address needs a zone, which says on which interface: [${host}%eth0]`
}

/** The same where it is why nothing could be bound. */
export const zoneMissing = (endpoint: string, cause: unknown): string | undefined =>
  ["EINVAL", "EADDRNOTAVAIL"].includes(codeOf(cause)) ? zoneOf(endpoint) : undefined

/** Sorts the platform's error codes of `bind` and `listen`. */
export const bindKind = (cause: unknown): BindFailed["kind"] => {
  // It was sorted where it happened.
  const { bindKind } = (cause ?? {}) as { readonly bindKind?: BindFailed["kind"] }
  if (bindKind !== undefined) return bindKind
  switch (codeOf(cause)) {
    case "EADDRINUSE":
      return "AddressInUse"
    case "EACCES":
    case "EPERM":
      return "PermissionDenied"
    case "EADDRNOTAVAIL":
    // Of a family that the system was started without.
    case "EAFNOSUPPORT":
      return "AddressNotAvailable"
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
      return "HostNotFound"
    case "ERR_SOCKET_BAD_PORT":
    case "ERR_INVALID_ARG_VALUE":
    case "ERR_INVALID_ARG_TYPE":
    case "EINVAL":
      return "InvalidOption"
    default:
      return "Other"
  }
}

/** Sorts the platform's error codes of `connect`. */
export const connectKind = (cause: unknown): ConnectFailed["kind"] => {
  switch (codeOf(cause)) {
    case "ECONNREFUSED":
    // A Unix socket whose server has left.
    case "ENOENT":
      return "Refused"
    case "ETIMEDOUT":
      return "TimedOut"
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
      return "HostNotFound"
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return "Unreachable"
    default:
      return "Other"
  }
}

/** A `ConnectFailed` of `endpoint`. Over TCP the platform takes the first interface where no zone is named: nobody may be there. */
export const connectFailed = (endpoint: string, kind: ConnectFailed["kind"], cause: unknown): ConnectFailed => {
  const zone =
    kind === "TimedOut" || kind === "Unreachable" || codeOf(cause) === "EINVAL" ? zoneOf(endpoint) : undefined
  return new ConnectFailed({ endpoint, kind, cause, ...(zone !== undefined && { problem: zone }) })
}
