import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import * as net from "node:net"
import { getSystemErrorMap } from "node:util"
import { bindFailed } from "../netServer.ts"
import * as unixPath from "../unixPath.ts"
import * as unixStream from "../unixStream.ts"
import type { Answered, Asked } from "./copy.ts"

/** A socket that is bound and not accepted on; copies make it listen. */
interface Handle {
  readonly close: () => void
  readonly getsockname?: (out: { port?: number }) => number
}

type Answer = Omit<Answered, "answer"> & { readonly handle?: Handle | undefined }

/** Called by Node's cluster module, and not documented. It returns an error's number instead of a handle. */
const createHandle = (
  net as unknown as {
    readonly _createServerHandle: (
      address: string | null,
      port: number,
      type: number,
      fd?: number,
      flags?: number
    ) => Handle | number
  }
)._createServerHandle

/** Of libuv. */
const ipv6Only = 1
const reusePort = 2

/** Whether the kernel spreads connections among sockets that are bound to the same port. */
const spreads = process.platform === "linux"

/**
 * Holds the sockets of all copies for as long as the program lives, so that a
 * copy that ends takes no connection with it.
 *
 * Over TCP on Linux each copy has a socket of its own, and the kernel spreads
 * connections among them. A restarted copy gets the socket of the one before it,
 * with all that waits in it. Elsewhere, and on Unix sockets, all share one.
 */
export class Binder {
  private readonly bound = new Map<string, Promise<Answer>>()
  private readonly closers: Array<() => void> = []

  /** The socket that a copy asks for. */
  bind(slot: number, asked: Asked): Promise<Answer> {
    const key = JSON.stringify(asked)
    switch (asked.kind) {
      case "udp":
        return this.once(key, () => this.udpPort(asked))
      case "unix":
        return this.once(key, () => this.unix(asked))
      case "tcp": {
        if (!spreads) return this.once(key, () => this.tcp(asked, asked.port ?? 0, 0))
        // The first one chooses the port, for whichever copy.
        const first = this.once(key, () => this.tcp(asked, asked.port ?? 0, reusePort))
        const own = `${key} ${slot}`
        return first.then((answer) => {
          if (answer.handle === undefined) return answer
          if (this.firsts.get(key) === undefined) this.firsts.set(key, slot)
          return this.firsts.get(key) === slot
            ? answer
            : this.once(own, () => this.tcp(asked, portOf(answer.handle as Handle), reusePort))
        })
      }
    }
  }

  private readonly firsts = new Map<string, number>()

  /** Closes all of them. What one throws stops neither the others nor the program's end. */
  close(tell: (error: unknown) => void): void {
    for (const close of this.closers) {
      const closed = Result.try(close)
      if (Result.isFailure(closed)) tell(closed.failure)
    }
  }

  /** A failure is not kept: it may be otherwise the next time. */
  private once(key: string, make: () => Promise<Answer>): Promise<Answer> {
    const known = this.bound.get(key)
    if (known !== undefined) return known
    const made = make()
    this.bound.set(key, made)
    void made.then(({ error }) => {
      if (error !== undefined) this.bound.delete(key)
    })
    return made
  }

  private tcp(asked: Asked, port: number, flags: number): Promise<Answer> {
    const { host = "127.0.0.1" } = asked
    return new Promise((resolve) =>
      dns.lookup(host, (error, address, family) => {
        if (error !== null) return resolve({ error: { message: error.message, code: error.code } })
        const only = asked.ipv6Only === true ? ipv6Only : 0
        resolve(this.handle(address, port, family, flags | only))
      })
    )
  }

  private handle(address: string, port: number, type: number, flags?: number): Answer {
    const made = Result.try({
      try: () => createHandle(address, port, type, undefined, flags),
      catch: (error) => error as NodeJS.ErrnoException
    })
    if (Result.isFailure(made)) return { error: { message: made.failure.message, code: made.failure.code } }
    const handle = made.success
    if (typeof handle === "number")
      return { error: { message: `bind ${codeOf(handle)} ${address}`, code: codeOf(handle) } }
    this.closers.push(() => handle.close())
    return { handle }
  }

  private unix({ mode = 0o600, path = "" }: Asked): Promise<Answer> {
    if (path.startsWith("\0")) return Promise.resolve(this.handle(path, -1, -1))
    const endpoint = `unix://${path}`
    const bind = unixPath.bind<Handle>({
      path,
      mode,
      endpoint,
      knock: unixStream.kind.knock,
      // It closes the handle as it would a server.
      leave: unixStream.kind.leave as (handle: Handle, path: string, own: unixPath.Own) => void,
      listen: (path, around) =>
        Effect.suspend(() => {
          let answer: Answer = {}
          around(() => (answer = this.handle(path, -1, -1)))
          if (answer.handle !== undefined) return Effect.succeed(answer.handle)
          const error = Object.assign(new Error(answer.error?.message), answer.error)
          return Effect.fail(bindFailed(endpoint, error))
        })
    })
    return Effect.runPromise(
      Effect.match(bind, {
        onSuccess: ({ close, server }): Answer => {
          // It closes the handle, and removes the path.
          this.closers.unshift(() =>
            Result.getOrThrowWith(
              Result.try(close),
              (told) => new Error(`when ${endpoint} was closed: ${told instanceof Error ? told.message : String(told)}`)
            )
          )
          return { handle: server }
        },
        onFailure: ({ message, reason }): Answer => ({
          error: { message, bindKind: "kind" in reason ? String(reason.kind) : undefined }
        })
      })
    )
  }

  /** Copies bind it themselves; the kernel spreads datagrams by their senders. */
  private udpPort({ host = "127.0.0.1", port = 0 }: Asked): Promise<Answer> {
    if (port !== 0) return Promise.resolve({ port })
    return new Promise((resolve) => {
      const socket = dgram.createSocket(net.isIPv6(host) ? "udp6" : "udp4")
      socket.once("error", (error: NodeJS.ErrnoException) =>
        resolve({ error: { message: error.message, code: error.code } })
      )
      socket.bind({ address: host, port: 0, exclusive: true }, () => {
        const { port } = socket.address()
        socket.close(() => resolve({ port }))
      })
    })
  }
}

const portOf = (handle: Handle): number => {
  const out: { port?: number } = {}
  handle.getsockname?.(out)
  return out.port ?? 0
}

const codeOf = (errno: number): string => {
  return getSystemErrorMap().get(errno)?.[0] ?? `error ${errno}`
}
