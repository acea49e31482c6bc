import type { ConnectFailed } from "@socketserver/core/Connection"
import type { BindFailed } from "@socketserver/core/ServerError"

const codeOf = (cause: unknown): string => (cause as { readonly code?: string } | undefined)?.code ?? ""

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
