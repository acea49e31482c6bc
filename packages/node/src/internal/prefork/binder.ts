/** Binds for all copies of a program, and keeps what it has bound. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import * as net from "node:net"
import { getSystemErrorMap } from "node:util"
import { handleOf } from "../dgramHandle.ts"
import { bindFailed } from "../netServer.ts"
import * as unixLock from "../unixLock.ts"
import * as unixPath from "../unixPath.ts"
import * as unixStream from "../unixStream.ts"
import type { Asked } from "./messages.ts"
import type { Lent } from "./lending.ts"
import type { Bound } from "./supervisor.ts"

/** A socket that is bound and not accepted on; copies make it listen. */
interface Socket {
  readonly close: () => void
  readonly getsockname?: (out: { port?: number }) => number
}

/** Called by Node's cluster module, and not documented. It returns an error's number instead of a handle. */
const createHandle = (
  net as unknown as {
    readonly _createServerHandle: (
      address: string | null,
      port: number,
      type: number,
      fd?: number,
      flags?: number
    ) => Socket | number
  }
)._createServerHandle

/** Of libuv. */
const ipv6Only = 1
const reusePort = 2

/** How long another program that starts is waited for: ten seconds. */
const mostTries = 200
const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))

const unknown = { message: "it has no port" }

/** Whether the kernel spreads what comes among sockets that are bound to the same port. */
const spreads = process.platform === "linux"

interface Address {
  readonly address: string
  readonly family: number
}

/** Binds a socket to an address, alone or beside others of the same port. */
type Bind = (asked: Asked, at: Address, port: number, shared: boolean) => Promise<Bound>

/**
 * Holds the sockets of all copies for as long as the program lives, so that a
 * copy that ends takes nothing with it.
 *
 * On Linux each copy has a socket of its own for an address, and the kernel spreads
 * connections and datagrams among them. A restarted copy gets the socket of the one
 * before it, with all that waits in it. Elsewhere, and on Unix sockets, all share one.
 */
export class Binder {
  private readonly bound = new Map<string, Promise<Bound>>()
  private readonly closers: Array<() => void> = []
  /** Those that a place has alone. */
  private readonly places = new Map<number, Array<Lent>>()
  private readonly warn: (line: string) => void

  constructor(warn: (line: string) => void) {
    this.warn = warn
  }

  /** The socket that the copy in a place asks for. */
  bind(place: number, asked: Asked): Promise<Bound> {
    const key = JSON.stringify(asked)
    switch (asked.kind) {
      case "unix":
        return this.once(key, () => this.unix(asked))
      case "udp":
        return this.inet(key, place, asked, udp)
      case "tcp":
        return this.inet(key, place, asked, tcp)
    }
  }

  /** The sockets that a place has alone: what comes to them comes to no other. */
  socketsOf(place: number): ReadonlyArray<Lent> {
    return this.places.get(place) ?? []
  }

  /** Closes all of them. What one throws stops neither the others nor the program's end. */
  close(tell: (error: unknown) => void): void {
    for (const close of this.closers) {
      const closed = Result.try(close)
      if (Result.isFailure(closed)) tell(closed.failure)
    }
  }

  /** A failure is not kept: it may be otherwise the next time. */
  private once(key: string, make: () => Promise<Bound>): Promise<Bound> {
    const known = this.bound.get(key)
    if (known !== undefined) return known
    const made = make()
    this.bound.set(key, made)
    void made.then(({ error }) => {
      if (error !== undefined) this.bound.delete(key)
    })
    return made
  }

  private inet(key: string, place: number, asked: Asked, bind: Bind): Promise<Bound> {
    const { host = "127.0.0.1", port = 0 } = asked
    const at = (f: (at: Address) => Promise<Bound>) => resolve(host).then((at) => ("address" in at ? f(at) : at))
    if (!spreads) return this.once(key, () => at((at) => this.keep(bind(asked, at, port, false))))
    const own = (port: number) =>
      this.once(`${key} ${place}`, () =>
        at((at) => this.keep(bind(asked, at, port, true))).then((bound) => {
          const { socket } = bound
          if (socket !== undefined) this.places.set(place, [...this.socketsOf(place), { asked, socket }])
          return bound
        })
      )
    const chosen = this.once(key, () => at((at) => this.alone(bind, asked, at, own)))
    return chosen.then((chosen) =>
      chosen.error !== undefined || chosen.port === undefined ? chosen : own(chosen.port)
    )
  }

  /**
   * Binds alone first: beside sockets that may be shared, one of somebody else's would
   * not be noticed. Before its copies listen another program of this kind is not noticed
   * either: it has the port's name, and is waited for until they do or it has ended.
   */
  private alone(
    bind: Bind,
    asked: Asked,
    at: Address,
    own: (port: number) => Promise<Bound>,
    tries = mostTries
  ): Promise<Bound> {
    const { kind, port = 0 } = asked
    const named = port === 0 ? undefined : unixLock.take(`${kind}-${at.address}-${port}-${process.getuid?.()}`)
    return Promise.resolve(named).then((lock) =>
      bind(asked, at, port, false).then((alone): Bound | Promise<Bound> => {
        alone.socket?.close()
        const isMine = port === 0 || lock !== undefined
        if (lock !== undefined && alone.error === undefined) this.closers.push(() => lock.close())
        else lock?.close()
        if (alone.error !== undefined || alone.port === undefined) return { error: alone.error ?? unknown }
        // Somebody who means harm may have that name for ever.
        if (!isMine && tries > 0) return soon().then(() => this.alone(bind, asked, at, own, tries - 1))
        return own(alone.port).then(({ error, port }) => (error === undefined ? { port } : { error }))
      })
    )
  }

  private keep(bound: Promise<Bound>): Promise<Bound> {
    return bound.then((bound) => {
      const { socket } = bound
      if (socket !== undefined) this.closers.push(() => socket.close())
      return bound
    })
  }

  private unix({ mode = 0o600, path = "" }: Asked): Promise<Bound> {
    if (path.startsWith("\0")) return this.keep(Promise.resolve(handle(path, -1, -1)))
    const endpoint = `unix://${path}`
    const bind = unixPath.bind<Socket>({
      path,
      mode,
      endpoint,
      knock: unixStream.kind.knock,
      // It closes the handle as it would a server.
      leave: unixStream.kind.leave as (handle: Socket, path: string, own: unixPath.Own) => void,
      listen: (path, around) =>
        Effect.suspend(() => {
          let bound: Bound = {}
          around(() => (bound = handle(path, -1, -1)))
          if (bound.socket !== undefined) return Effect.succeed(bound.socket)
          return Effect.fail(bindFailed(endpoint, Object.assign(new Error(bound.error?.message), bound.error)))
        })
    })
    return Effect.runPromise(
      Effect.match(bind, {
        onSuccess: ({ close, lost, server }): Bound => {
          const watching = Effect.runFork(unixPath.watch({ lost }, this.warn))
          this.closers.push(() => watching.interruptUnsafe())
          // It closes the handle, and removes the path.
          this.closers.unshift(() =>
            Result.getOrThrowWith(
              Result.try(close),
              (told) => new Error(`when ${endpoint} was closed: ${told instanceof Error ? told.message : String(told)}`)
            )
          )
          return { socket: server }
        },
        onFailure: ({ message, reason }): Bound => ({
          error: { message, bindKind: "kind" in reason ? String(reason.kind) : undefined }
        })
      })
    )
  }
}

const resolve = (host: string): Promise<Address | Bound> =>
  new Promise((resolve) =>
    dns.lookup(host, (error, address, family) => resolve(error === null ? { address, family } : failed(error)))
  )

const tcp: Bind = (asked, { address, family }, port, shared) => {
  const flags = (asked.ipv6Only === true ? ipv6Only : 0) | (shared ? reusePort : 0)
  return Promise.resolve(handle(address, port, family, flags))
}

/** It is not read here: what comes waits in it for the copy that has it. */
const udp: Bind = (asked, { address, family }, port, shared) =>
  new Promise((resolve) => {
    const options = { ipv6Only: asked.ipv6Only ?? false, reusePort: shared }
    const socket = dgram.createSocket({ type: family === 6 ? "udp6" : "udp4", ...options })
    socket.once("error", (error) => {
      socket.close()
      resolve(failed(error))
    })
    socket.bind({ address, port, exclusive: true }, () => {
      // Before its turn ends, so that nothing was read.
      const handle = handleOf(socket)
      handle?.recvStop()
      resolve({ port: socket.address().port, socket: handle })
    })
  })

const handle = (address: string, port: number, type: number, flags?: number): Bound => {
  const made = Result.try({
    try: () => createHandle(address, port, type, undefined, flags),
    catch: (error) => error as NodeJS.ErrnoException
  })
  if (Result.isFailure(made)) return failed(made.failure)
  const socket = made.success
  if (typeof socket === "number") return failed(refused(socket, address))
  // That an address is in use libuv says only to who listens, and to who asks where the socket is bound.
  const out: { port?: number } = {}
  const status = socket.getsockname?.(out) ?? 0
  if (status === 0) return { port: out.port, socket }
  socket.close()
  return failed(refused(status, address))
}

const refused = (errno: number, address: string): NodeJS.ErrnoException => {
  const code = getSystemErrorMap().get(errno)?.[0] ?? `error ${errno}`
  return Object.assign(new Error(`bind ${code} ${address}`), { code })
}

const failed = ({ code, message }: NodeJS.ErrnoException): Bound => ({ error: { message, code } })
