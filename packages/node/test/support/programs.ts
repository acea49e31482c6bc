/** Programs that the integration tests run: the examples, and clients that this project did not write. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { root, startOf } from "./bundles.ts"
import { patience } from "./patience.ts"

/** How a program ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Those whose scope is open, in the order of their starts. */
const programs = new Set<Program>()

/** What the programs of a test have printed and said, for whoever wants to know why it failed. */
export const allTold = (first?: Program): string =>
  [...new Set([...(first === undefined ? [] : [first]), ...programs])]
    .map((program) => {
      program.isTold = true
      return program.told
    })
    .join("\n")

/** The end of a text. */
const lastOf = (text: string): string => (text.length > shown ? `… ${text.slice(-shown)}` : text)
const shown = 4_000

/** A program that runs, or ran. It is killed when the scope closes. */
export class Program {
  stdout = ""
  /** Everything that it has said on stderr. */
  all = ""
  private readonly child: ChildProcess
  private ended: Ended | undefined = undefined
  private waiting = new Set<() => void>()
  /** Whether an error has told of it. */
  isTold = false

  constructor(child: ChildProcess) {
    this.child = child
    programs.add(this)
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.changed(() => (this.stdout += text)))
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.changed(() => (this.all += text)))
    // A program that has ended does not read any more.
    child.stdin?.on("error", () => {})
    child.on("error", (error) => this.changed(() => (this.all += String(error))))
    child.on("close", (code, signal) => this.changed(() => (this.ended = { code, signal })))
  }

  /** What it has said on stderr, without the lines that each server prints when it has started and when it has stopped. */
  get stderr(): string {
    return this.all.replaceAll(/^(\[[^\]\n]*\] INFO [^\n]*: )?(stopped \S+ in \d+ ms:|started \S+ on) [^\n]*\n/gm, "")
  }

  /** From now on nobody reads what it prints, or says. */
  readonly deafen: Effect.Effect<void> = Effect.sync(() => {
    this.child.stdout?.destroy()
    this.child.stderr?.destroy()
  })

  /** What it was started as, whether it runs, and what it has printed and said. */
  get told(): string {
    const [command = "", ...args] = this.child.spawnargs
    const state = this.ended === undefined ? "running" : `ended with ${this.ended.code ?? this.ended.signal}`
    const name = [command, ...args.map((arg) => arg.split("\n", 2).join(" ").slice(0, 100))].join(" ")
    return `--- ${name} (pid ${this.pid}, ${state})\nstdout:\n${lastOf(this.stdout)}\nstderr:\n${lastOf(this.all)}`
  }

  /** Waits until what it has printed matches; dies with all of it if it ends before, or the test's time is nearly over. */
  prints(pattern: RegExp): Effect.Effect<RegExpExecArray> {
    return this.says(pattern, () => this.stdout)
  }

  /** The same of what it says on stderr. */
  complains(pattern: RegExp): Effect.Effect<RegExpExecArray> {
    return this.says(pattern, () => this.stderr)
  }

  private says(pattern: RegExp, text: () => string): Effect.Effect<RegExpExecArray> {
    return this.when(String(pattern), () => {
      const match = pattern.exec(text())
      if (match !== null) return Effect.succeed(match)
      return this.ended === undefined ? undefined : this.without(`${pattern}, and it has ended`)
    })
  }

  private without(what: string): Effect.Effect<never> {
    return Effect.die(new Error(`without ${what}:\n${allTold(this)}`))
  }

  get pid(): number {
    return this.child.pid ?? -1
  }

  readonly end: Effect.Effect<Ended> = Effect.suspend(() =>
    this.when("an end", () => (this.ended === undefined ? undefined : Effect.succeed(this.ended)))
  )

  /** Kills it, and waits until it is gone; says what it knows where its test has failed. */
  readonly close = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (Exit.isFailure(exit) && !this.isTold) console.error(this.told)
      programs.delete(this)
      this.child.kill("SIGKILL")
      const gone = () => (this.ended === undefined ? undefined : Effect.void)
      return this.when("an end, though it was killed: somebody it has started holds its output", gone, mostToDie)
    })

  readonly running = Effect.sync(() => this.ended === undefined)

  signal(name: NodeJS.Signals): Effect.Effect<void> {
    return Effect.sync(() => void this.child.kill(name))
  }

  write(text: string): Effect.Effect<void> {
    return Effect.sync(() => void this.child.stdin?.write(text))
  }

  readonly closeInput: Effect.Effect<void> = Effect.sync(() => void this.child.stdin?.end())

  private when<A>(what: string, look: () => Effect.Effect<A> | undefined, millis = patience()): Effect.Effect<A> {
    return Effect.callback((resume) => {
      const wake = () => {
        const found = look()
        if (found === undefined) return
        over()
        resume(found)
      }
      const timer = setTimeout(() => {
        over()
        resume(this.without(what))
      }, millis)
      const over = () => {
        clearTimeout(timer)
        this.waiting.delete(wake)
      }
      this.waiting.add(wake)
      wake()
      return Effect.sync(over)
    })
  }

  private changed(change: () => void): void {
    change()
    for (const wake of this.waiting) wake()
  }
}

export const start = (
  command: string,
  args: ReadonlyArray<string>,
  env: Environment = {}
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, { cwd: root, stdio: "pipe", env: { ...inherited, ...env } })
      return new Program(child)
    }),
    (program, exit) => program.close(exit)
  )

/** In milliseconds, what the kernel may take for it. */
const mostToDie = 20_000

const { NODE_COMPILE_CACHE, PATH } = process.env
const inherited = { PATH, ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }) }

export type Environment = Readonly<Record<string, string>>

/** A program of this project by its path, on a free port unless told otherwise. */
export const node = (path: string, env: Environment = {}, args: ReadonlyArray<string> = []) =>
  start(process.execPath, [startOf(path), ...args], {
    LISTEN: "tcp://127.0.0.1:0",
    ...env
  })

export const example = (name: string, env?: Environment) => node(`examples/${name}/main.ts`, env)

/** The environment of a program that says on stderr when it has waited for as long as a drain may take unless told otherwise. */
export const deadlines: Environment = { NODE_OPTIONS: `--import=${import.meta.dirname}/deadlines.ts` }

/** An example that listens, and where. */
export const serving = (name: string, env?: Environment) => listening(example(name, env))

export const listening = <R>(program: Effect.Effect<Program, never, R>) =>
  Effect.gen(function* () {
    const server = yield* program
    const [, port = ""] = yield* server.prints(/^listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/)
    return { server, port }
  })

/** A connection of socat to a port: what is written to it is sent, what it receives it prints. */
export const socat = (port: string) => socatTo(`tcp:127.0.0.1:${port}`)

/** The same to any address that socat knows. */
export const socatTo = (address: string) => start("socat", ["-t10", "-", address])

/** Without what it has besides its library, which takes time at each start. */
const python3 = (code: string, args: ReadonlyArray<string>) => start(interpreter(), ["-uIS", "-c", code, ...args])

/** Python itself: the one on the path may be a script that looks for it, which takes longer than Python does. */
export const interpreter = (): string => {
  found ||= spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).stdout?.trim()
  return found || "python3"
}
let found: string | undefined = undefined

/** A Python script with `s = connect()` for a new connection, and `send`, `line` (reads one) and `rest` (reads to the end). */
export const python = (port: string, script: string) => python3(prelude + script, [port])

/** A Python script on its own. */
export const script = (code: string, args: ReadonlyArray<string> = []) => python3(code, args)

const prelude = `
import socket, sys, threading, time
def connect():
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
def rest(s):
    data = b""
    while True:
        more = s.recv(65536)
        if not more: return data
        data += more
def line(s):
    data = b""
    while not data.endswith(b"\\n"):
        more = s.recv(1)
        if not more: raise EOFError(data)
        data += more
    return data
`

/** A Python script with `server`, the address of a Unix datagram socket, and `unixgram(name)` for a socket of its own, unbound without a name. */
export const pythonUnixgram = (server: string, script: string) => python3(unixgramPrelude + script, [server])

const unixgramPrelude = `
import os, socket, sys, threading, time
def address(name): return "\\0" + name[1:] if name.startswith("@") else name
server = address(sys.argv[1])
def unixgram(name=None):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.settimeout(30)
    if name: s.bind(address(name))
    return s
`

/** Everything a client prints until it ends well. */
export const printed = (client: Effect.Effect<Program, never, Scope.Scope>) =>
  Effect.gen(function* () {
    const program = yield* client
    const { code, signal } = yield* program.end
    if (code !== 0) return yield* Effect.die(new Error(`ended with ${code ?? signal}:\n${allTold(program)}`))
    return program.stdout
  })

const looked = new Map<string, boolean>()

/** Whether a program is there to test with; says so where it is not. */
export const missing = (command: string): boolean => {
  const known = looked.get(command)
  if (known !== undefined) return known
  const absent = spawnSync(command, ["-V"], { stdio: "ignore" }).error !== undefined
  looked.set(command, absent)
  if (absent) console.warn(`${command} is not installed: the tests that talk to it are skipped`)
  return absent
}
