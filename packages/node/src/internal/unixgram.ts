import * as Endpoint from "@socketserver/core/Endpoint"
import { InvalidOption, ServerError, UnsupportedEndpoint } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { UnixDatagramSocketOptions } from "../UnixDatagramServer.ts"
import * as libc from "./libc.ts"
import { bindFailed } from "./netServer.ts"
import { time } from "./times.ts"
import { knock, UnixDatagram } from "./unixDatagram.ts"
import * as unixPath from "./unixPath.ts"

/** The system calls, or why there are none for `endpoint`. */
export const load = (endpoint: Endpoint.Endpoint): Effect.Effect<libc.Libc, ServerError> =>
  Effect.mapError(libc.load, (problem) => {
    const accepted = Endpoint.forms.filter((form) => !form.startsWith("unixgram:"))
    return new ServerError({ reason: new UnsupportedEndpoint({ endpoint: String(endpoint), problem, accepted }) })
  })

export interface Settings {
  readonly maxDatagramBytes: number
  readonly sendTimeoutMillis: number
  readonly sendBufferBytes: number
}

/** The options with their defaults, or what is wrong with one of them. */
export const resolve = (options: UnixDatagramSocketOptions): Effect.Effect<Settings, ServerError> => {
  const { maxDatagramBytes = 65_536, sendBufferBytes = 1_048_576, sendTimeout = "1 second" } = options
  const invalid = (option: string, problem: string) =>
    Effect.fail(new ServerError({ reason: new InvalidOption({ option, problem }) }))
  for (const [option, value] of Object.entries({ maxDatagramBytes, sendBufferBytes })) {
    if (!Number.isSafeInteger(value) || value < 1 || value > 0x4000_0000) {
      return invalid(option, `it must be a positive integer up to 1 GiB, not ${value}`)
    }
  }
  return Effect.map(Effect.fromResult(time("sendTimeout", sendTimeout)), (sendTimeoutMillis) => ({
    maxDatagramBytes,
    sendBufferBytes,
    sendTimeoutMillis
  }))
}

/** Where a socket is bound, and how. */
interface Binding {
  /** A path, an abstract `@name`, or none: the kernel then chooses an abstract one. */
  readonly name: string | undefined
  readonly mode: number
  readonly maxDatagramBytes: number
}

/** Opens a socket and gives it a name. `close` takes a path away; the socket stays open. */
export const bind = (
  system: libc.Libc,
  { maxDatagramBytes, mode, name }: Binding
): Effect.Effect<unixPath.Bound<UnixDatagram>, ServerError> => {
  const endpoint = String(Endpoint.unixgram(name ?? "@"))
  const open = (around: (bind: () => void) => void): Effect.Effect<UnixDatagram, ServerError> =>
    Effect.suspend(() => {
      const opened = UnixDatagram.open(system, maxDatagramBytes)
      if (Result.isFailure(opened)) return Effect.fail(bindFailed(endpoint, opened.failure))
      const socket = opened.success
      let error: NodeJS.ErrnoException | undefined
      around(() => {
        error = socket.bind(name)
      })
      if (error === undefined) return Effect.succeed(socket)
      socket.close()
      return Effect.fail(bindFailed(endpoint, error))
    })
  if (name === undefined || unixPath.isAbstract(name)) {
    return (
      unixPath.tooLong(name ?? "", endpoint) ??
      Effect.map(
        open((bind) => bind()),
        (server) => ({ server, close: () => {}, lost: () => undefined })
      )
    )
  }
  return unixPath.bind({
    path: name,
    mode,
    endpoint,
    listen: (_, around) => open(around),
    knock: (path) => Effect.sync(() => knock(system, path)),
    leave: (_, path, own) => unixPath.unlink(path, own)
  })
}
