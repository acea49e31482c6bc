/** This program as one of several that accept on the same addresses: what it asks its supervisor, and does for it. */
import * as Remote from "@socketserver/core/Remote"
import type { Gather } from "@socketserver/core/Metrics"
import * as Effect from "effect/Effect"
import type * as Metric from "effect/Metric"
import type * as net from "node:net"
import { forgetCompiled } from "../compiled.ts"
import { isDebugged } from "../launch/debugger.ts"
import type { Stopped } from "../launch/servers.ts"
import { ofThisProcess, pack, type Packed, unpack } from "../metrics/packed.ts"
import { Handles, type Native } from "./handles.ts"
import { type Answered, type Asked, copyVariable, type Said, type Standing, type Told } from "./messages.ts"

class Copy {
  /** Whether another one has taken its place, so that nobody has to hear that it goes. */
  isRetired = false
  /** Whether its supervisor builds layers, too: those that exist once. */
  readonly isBeside: boolean
  private ids = 0
  private readonly indices = new Map<string, number>()
  private readonly handles = new Handles()
  private readonly waiting = new Map<number, (answer: Answered, handle: Native | undefined) => void>()
  private readonly retiring = new Set<() => void>()
  private readonly gathering = new Map<number, (all: ReadonlyArray<Metric.Metric.Snapshot>) => void>()
  /** What is done when it is ready; undefined where it is, or need not wait for that. */
  private starting: Array<() => void> | undefined
  private isSignalled = false
  private stopper: (() => void) | undefined = undefined

  constructor(standing: Standing, isBeside: boolean) {
    this.isBeside = isBeside
    this.starting = standing === "follows" ? [] : undefined
    Remote.setCopy({ id: process.pid, silent: standing !== "announces" })
    // What was handed to the supervisor is this copy's too.
    if (process.env["LISTEN_PID"] === String(process.ppid)) process.env["LISTEN_PID"] = String(process.pid)
    // Whoever signals all processes of a program means the program: its supervisor decides.
    for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, noop)
    process.on("SIGTERM", () => {
      this.isSignalled = true
    })
    process.on("message", (told: Told | Partial<Answered>, handle) => {
      if ("ping" in told) return this.say({ pong: { debugged: isDebugged() } })
      if ("measure" in told) return this.say({ measured: pack(ofThisProcess()) })
      if ("gathered" in told) return this.gathered(told.gathered, told.all)
      if ("retire" in told) return this.retire()
      if ("stop" in told) return this.stop()
      if ("borrow" in told) return this.handles.borrow(told.borrow, JSON.stringify(told.asked), handle as never)
      if ("giveBack" in told) return this.handles.giveBack(told.giveBack)
      if (told.answer === undefined) return
      this.waiting.get(told.answer)?.(told as Answered, handle as never)
      this.waiting.delete(told.answer)
    })
    process.on("uncaughtExceptionMonitor", (error) => this.say({ uncaught: messageOf(error) }))
    // Whoever would restart it, and tell it to stop, is gone.
    process.on("disconnect", () => process.exit(1))
    this.say({ copy: process.pid })
  }

  /** Says how this program ends when its supervisor asks for it. */
  onStop(stop: () => void): void {
    this.stopper = stop
  }

  /** It has started; its stop may take so long. */
  ready(stopMillis: number): void {
    const { starting = [] } = this
    this.starting = undefined
    for (const start of starting) start()
    this.say({ ready: true, stopMillis })
  }

  /** Its stop begins, and may take so long: that may have been changed since it has started. */
  stopping(stopMillis: number): void {
    this.say({ stopMillis })
  }

  /** Begins to take what comes: not before it can be answered, where others are there that take it. */
  whenReady(start: () => void): void {
    if (this.starting === undefined) start()
    else this.starting.push(start)
  }

  /** Its servers have stopped. It goes on when the supervisor can be told no longer, too. */
  stopped(stopped: ReadonlyArray<Stopped>): Effect.Effect<void> {
    return this.tell({ stopped, measured: pack(ofThisProcess()) })
  }

  /** What is wrong with it, for its supervisor to say. */
  ends(problem: string): Effect.Effect<void> {
    return this.tell({ problem })
  }

  /** Does something when another copy has the sockets of this one: whoever listens takes nothing more. Returns how that is called off. */
  onRetire(retire: () => void): () => void {
    this.retiring.add(retire)
    return () => this.retiring.delete(retire)
  }

  /** What all copies have counted, this one among them; its own where the supervisor does not say it. */
  readonly gather: Gather = (own) =>
    Effect.timeoutOrElse(
      Effect.callback<ReadonlyArray<Metric.Metric.Snapshot>>((resume) => {
        const id = ++this.ids
        this.gathering.set(id, (all) => resume(Effect.succeed(all)))
        this.say({ gather: id })
        return Effect.sync(() => void this.gathering.delete(id))
      }),
      { duration: patienceMillis, orElse: () => Effect.succeed(own) }
    )

  private gathered(id: number, all: ReadonlyArray<Packed>): void {
    this.gathering.get(id)?.(unpack(all))
    this.gathering.delete(id)
  }

  /** Listens on the address that the supervisor has bound, or will. */
  listen(server: net.Server, options: net.ListenOptions & { readonly mode?: number }): void {
    const { backlog, host, ipv6Only, mode, path, port } = options
    const asked =
      path === undefined ? { kind: "tcp" as const, host, port, ipv6Only } : { kind: "unix" as const, path, mode }
    this.ask(asked, (handle, error) => {
      if (error !== undefined) return void server.emit("error", error)
      // As Node's cluster does: the handle is bound, and this makes it listen.
      const open = server as unknown as { _handle: unknown; _listen2: (...args: ReadonlyArray<unknown>) => void }
      open._handle = handle
      const waits = this.starting !== undefined
      this.whenReady(() => {
        if (open._handle === handle) open._listen2(null, -1, -1, backlog)
      })
      if (waits) server.emit("listening")
    })
  }

  /** A UDP socket that the supervisor has bound, or will. Who asks receives from it. */
  udp(
    options: { readonly host: string; readonly port: number; readonly ipv6Only: boolean },
    then: (handle: object | undefined, error: Error | undefined) => void
  ): void {
    this.ask({ kind: "udp", ...options }, then)
  }

  private ask(
    asked: Omit<Asked, "index">,
    answered: (handle: Native | undefined, error: Error | undefined) => void
  ): void {
    const kind = JSON.stringify(asked)
    const index = this.indices.get(kind) ?? 0
    this.indices.set(kind, index + 1)
    const key = JSON.stringify({ ...asked, index })
    const ask = ++this.ids
    this.waiting.set(ask, ({ error, port }, handle) => {
      if (error !== undefined) return answered(undefined, Object.assign(new Error(error.message), error))
      // The system may say of a socket that it is bound, and find out later that it is not; whoever listens on such a one listens elsewhere.
      const bound: { port?: number } = {}
      const failed = port === undefined ? 0 : (handle?.getsockname?.(bound) ?? 0)
      if (handle !== undefined && failed === 0 && (port === undefined || bound.port === port)) {
        this.handles.has(key, handle)
        return answered(handle, undefined)
      }
      handle?.close()
      answered(
        undefined,
        Object.assign(new Error("the socket was not bound where it should be"), { code: "EADDRINUSE" })
      )
    })
    this.say({ ask, asked: { ...asked, index } })
  }

  private retire(): void {
    this.isRetired = true
    this.handles.giveAllBack()
    for (const retire of this.retiring) retire()
  }

  private stop(): void {
    // Whatever else in the program waits for that signal has not got it, unless the system has sent it.
    if (!this.isSignalled) process.emit("SIGTERM", "SIGTERM")
    if (this.stopper === undefined) process.exit(0)
    this.stopper()
  }

  private say(said: Said): void {
    if (process.connected) process.send?.(said)
  }

  private tell(said: Said): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (process.connected) process.send?.(said, () => resume(Effect.void))
      else resume(Effect.void)
    })
  }
}

const noop = () => {}

/** How long the supervisor may take to say what all copies have counted: longer than it waits for them. */
const patienceMillis = 3_000

/** Anything may be thrown. */
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const copy: Copy | undefined = take()

/** Reads what this program is, and takes it out of the environment for those that it starts. */
function take(): Copy | undefined {
  const [standing, beside] = process.env[copyVariable]?.split(" ") ?? []
  delete process.env[copyVariable]
  if (standing === undefined) return undefined
  forgetCompiled()
  return new Copy(standing as Standing, beside !== undefined)
}
