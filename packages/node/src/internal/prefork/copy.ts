import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import type { Stopped } from "../launch/servers.ts"

/** What a copy of a program asks its supervisor to bind. */
export interface Asked {
  readonly kind: "tcp" | "udp" | "unix"
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly ipv6Only?: boolean | undefined
  readonly path?: string | undefined
  readonly mode?: number | undefined
  /** Tells two listeners with the same options apart. */
  readonly index: number
}

/** What the supervisor answers, with the handle beside it. */
export interface Answered {
  readonly answer: number
  readonly port?: number | undefined
  readonly error?: {
    readonly message: string
    readonly code?: string | undefined
    readonly bindKind?: string | undefined
  }
}

export const copyVariable = "SOCKETSERVER_COPY"

type Native = { readonly close: () => void }

/** This program as one of several that accept on the same addresses: its supervisor binds them. */
class Copy {
  /** Whether another one has taken its place, so that nobody has to hear that it goes. */
  isRetired = false
  private ids = 0
  private readonly indices = new Map<string, number>()
  private readonly waiting = new Map<number, (answer: Answered, handle: Native | undefined) => void>()
  private readonly servers = new Set<net.Server>()

  constructor(silent: boolean) {
    Remote.setCopy({ id: process.pid, silent })
    // What was handed to the supervisor is this copy's too.
    if (process.env["LISTEN_PID"] === String(process.ppid)) process.env["LISTEN_PID"] = String(process.pid)
    process.on("message", (message: object, handle) => {
      if ("ping" in message) return void process.send?.({ pong: true })
      // Another copy accepts from now on; what this one has accepted it serves until it is told to stop.
      if ("retire" in message) {
        this.isRetired = true
        return this.servers.forEach((server) => server.close())
      }
      if (!("answer" in message)) return
      const answer = message as Answered
      this.waiting.get(answer.answer)?.(answer, handle as never)
      this.waiting.delete(answer.answer)
    })
    // Whoever would restart it, and tell it to stop, is gone.
    process.on("disconnect", () => process.exit(1))
  }

  /** It has started; its stop may take so long. */
  ready(drainMillis: number): void {
    process.send?.({ ready: true, drainMillis })
  }

  /** Its servers have stopped. It goes on when the supervisor can be told no longer, too. */
  stopped(stopped: ReadonlyArray<Stopped>): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (process.connected) process.send?.({ stopped }, () => resume(Effect.void))
      else resume(Effect.void)
    })
  }

  /** Listens on the address that the supervisor has bound, or will. */
  listen(server: net.Server, options: net.ListenOptions & { readonly mode?: number }): void {
    const { backlog, host, ipv6Only, mode, path, port } = options
    const asked =
      path === undefined ? { kind: "tcp" as const, host, port, ipv6Only } : { kind: "unix" as const, path, mode }
    this.servers.add(server)
    server.once("close", () => this.servers.delete(server))
    this.ask(asked, ({ error }, handle) => {
      if (error !== undefined) return void server.emit("error", Object.assign(new Error(error.message), error))
      // As Node's cluster does: the handle is bound, and this makes it listen.
      const open = server as unknown as { _handle: unknown; _listen2: (...args: ReadonlyArray<unknown>) => void }
      open._handle = handle
      open._listen2(null, -1, -1, backlog)
    })
  }

  /** The port for sockets of several processes. */
  udpPort(
    options: { readonly host: string; readonly port: number },
    then: (port: number, error?: Error) => void
  ): void {
    this.ask({ kind: "udp", ...options }, ({ error, port }) =>
      then(port ?? 0, error === undefined ? undefined : Object.assign(new Error(error.message), error))
    )
  }

  private ask(asked: Omit<Asked, "index">, answered: (answer: Answered, handle: Native | undefined) => void): void {
    const key = JSON.stringify(asked)
    const index = this.indices.get(key) ?? 0
    this.indices.set(key, index + 1)
    const ask = ++this.ids
    this.waiting.set(ask, answered)
    process.send?.({ ask, asked: { ...asked, index } })
  }
}

export const copy: Copy | undefined = take()

/** Reads what this program is, and takes it out of the environment for those that it starts. */
function take(): Copy | undefined {
  const text = process.env[copyVariable]
  delete process.env[copyVariable]
  return text === undefined ? undefined : new Copy(text === "silent")
}
