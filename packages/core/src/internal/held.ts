import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Endpoint } from "../Endpoint.ts"
import { BindFailed, ServerError } from "../ServerError.ts"
import { read } from "./endpointText.ts"

/** Which addresses servers of this process hold: for the message where one of them is in the way of another. */

/** A server that listens. */
export interface Holder {
  readonly service: string
  /** Whether it still does. */
  readonly listens: () => boolean
}

const all = new Map<Endpoint, Holder>()

/** Those that are about to listen. */
const binding = new Set<Deferred.Deferred<void>>()

/**
 * Binds for a server, and notes where it listens for as long as the scope is open. Of
 * an address that is in use it says whether this very program uses it, and what to do.
 */
export const holding = <A extends { readonly address: Endpoint }, R>(
  bind: Effect.Effect<A, ServerError, R>,
  who: Holder
): Effect.Effect<A, ServerError, R | Scope.Scope> =>
  Effect.suspend(() => {
    const settled = Deferred.makeUnsafe<void>()
    binding.add(settled)
    const held = Effect.tap(bind, ({ address }) =>
      Effect.acquireRelease(
        Effect.sync(() => all.set(address, who)),
        () => Effect.sync(() => all.delete(address))
      )
    )
    const settle = Effect.suspend(() => {
      binding.delete(settled)
      return Deferred.succeed(settled, undefined)
    })
    return Effect.catch(Effect.ensuring(held, settle), (error) =>
      isInUse(error)
        ? // One of them may have the address already, and not all of what it asks for.
          Effect.andThen(
            Effect.timeoutOption(Effect.suspend(othersAreBound), longest),
            Effect.suspend(() => Effect.fail(explained(error, who)))
          )
        : Effect.fail(error)
    )
  })

const othersAreBound = () => Effect.forEach([...binding], Deferred.await, { discard: true })

/** A transport may take its time, and what is said of an address is worth no more. */
const longest = "1 second"

const isInUse = ({ reason }: ServerError): boolean => reason._tag === "BindFailed" && reason.kind === "AddressInUse"

const explained = (error: ServerError, who: Holder): ServerError => {
  const { cause, endpoint, kind } = error.reason as BindFailed
  const asked = Result.getOrUndefined(read(endpoint))
  const found = [...all].find(([address, holder]) => holder.listens() && asked !== undefined && overlap(asked, address))
  if (found === undefined) return error
  return new ServerError({ reason: new BindFailed({ endpoint, kind, cause, problem: problemOf(...found, who) }) })
}

const problemOf = (address: Endpoint, holder: Holder, who: Holder): string => {
  if (holder === who) return `address in use by another endpoint of ${who.service}, ${address}; leave one of them out`
  return holder.service === who.service
    ? `address in use by this very program, which provides ${who.service} twice; make its layer once, and provide that one`
    : `address in use by ${holder.service} of this very program; choose another one for ${who.service} (with a prefix, each server has its own variables)`
}

/** Whether two servers cannot listen on both. */
const overlap = (one: Endpoint, other: Endpoint): boolean => {
  if ("host" in one && "host" in other) {
    const sameKind = (one._tag === "Udp") === (other._tag === "Udp")
    return sameKind && one.port === other.port && (covers(one.host, other.host) || covers(other.host, one.host))
  }
  // A path is one file, whatever the type of its socket.
  if ("path" in one && "path" in other && !one.path.startsWith("@")) return one.path === other.path
  return one._tag === other._tag && placeOf(one) === placeOf(other)
}

/** Without its options. */
const placeOf = (endpoint: Endpoint): string | undefined => String(endpoint).split("?", 1)[0]

const covers = (host: string, other: string): boolean =>
  host.toLowerCase() === other.toLowerCase() ||
  host === "::" ||
  (host === "0.0.0.0" && !other.includes(":")) ||
  (host.toLowerCase() === "localhost" && (other === "127.0.0.1" || other === "::1"))
