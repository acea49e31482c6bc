import type * as Endpoint from "@socketserver/core/Endpoint"
import type { BindFailed, ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"

/** A way to listen on an address of this machine. */
type Listen<A extends Endpoint.Endpoint> = (
  host: string,
  port: number
) => Effect.Effect<Transport.Listening & { readonly address: A }, ServerError, Scope.Scope>

export const isLocalhost = (host: string | undefined): boolean => host?.toLowerCase() === "localhost"

/**
 * Listens where `localhost` is: on both families, on one port. A resolver puts
 * either of them first, so that clients which try one alone would find nobody.
 * Where the machine has only one of them, on that.
 */
export const onLocalhost = <A extends Endpoint.Tcp | Endpoint.Tls | Endpoint.Udp>(
  port: number,
  listen: Listen<A>,
  attempts = 16
): Effect.Effect<Transport.Listening, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const four = yield* Effect.result(Scope.provide(listen("127.0.0.1", port), scope))
    if (Result.isFailure(four)) {
      return yield* kindOf(four.failure) === "AddressNotAvailable" ? listen("::1", port) : Effect.fail(four.failure)
    }
    const six = yield* Effect.result(Scope.provide(listen("::1", four.success.address.port), scope))
    if (Result.isSuccess(six)) return together(four.success, six.success)
    const kind = kindOf(six.failure)
    if (kind === "AddressNotAvailable") return four.success
    yield* Scope.close(scope, Exit.void)
    // Where any port will do, the one that was free of IPv4 may be taken of IPv6.
    const again = port === 0 && kind === "AddressInUse" && attempts > 1
    return yield* again ? onLocalhost(port, listen, attempts - 1) : Effect.fail(six.failure)
  })

const together = (one: Transport.Listening, other: Transport.Listening): Transport.Listening => ({
  ...one,
  close: () => {
    one.close()
    other.close()
  },
  ended: () => {
    one.ended?.()
    other.ended?.()
  }
})

const kindOf = ({ reason }: ServerError): BindFailed["kind"] | undefined =>
  reason._tag === "BindFailed" ? reason.kind : undefined
