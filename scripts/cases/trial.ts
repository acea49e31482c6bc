/** What a case has to work with: programs, which end with it, and clients of theirs. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as after } from "node:timers/promises"
import { fileURLToPath } from "node:url"

export const probe = fileURLToPath(new URL("probe.ts", import.meta.url))
export const root = fileURLToPath(new URL("../../", import.meta.url))

/** How long something that comes may take, on a machine that is busy. */
const patienceMillis = 20_000

export type Env = Readonly<Record<string, string>>

export class Program {
  stdout = ""
  stderr = ""
  readonly child: ChildProcess
  readonly ended: Promise<number | string>
  hasEnded = false

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text))
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text))
    this.ended = once(child, "close").then(([code, signal]) => {
      this.hasEnded = true
      return (code ?? signal) as number | string
    })
  }

  /** Waits until it has printed that; throws where it ends before, or takes too long. */
  async says(pattern: RegExp, of: () => string = () => this.stdout): Promise<RegExpExecArray> {
    for (let waited = 0; waited < patienceMillis; waited += 20) {
      const found = pattern.exec(of())
      if (found !== null) return found
      if (this.hasEnded) throw new Error(`it ended without ${pattern}: ${this.stderr.trim().slice(-300)}`)
      await after(20)
    }
    throw new Error(`it does not say ${pattern}: ${this.stderr.trim().slice(-300)}`)
  }

  /** Where it listens first. */
  async port(): Promise<number> {
    const [, port] = await this.says(/listening on \w+:\/\/\S*:(\d+)/)
    return Number(port)
  }

  /** How it ends, if it does. */
  async end(): Promise<number | string> {
    const late = after(patienceMillis, "nothing: it goes on", { ref: false })
    return Promise.race([this.ended, late])
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }
}

export class Trial {
  readonly directory = mkdtempSync(join(tmpdir(), "case-"))
  private readonly children: Array<ChildProcess> = []

  /** Starts a program: ours, unless arguments say otherwise. */
  start(
    env: Env = {},
    how: { readonly args?: ReadonlyArray<string>; readonly cwd?: string; readonly stderr?: "pipe" | number } = {}
  ): Program {
    const child = spawn(process.execPath, how.args ?? [probe], {
      cwd: how.cwd ?? root,
      stdio: ["ignore", "pipe", how.stderr ?? "pipe"],
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], LISTEN: "tcp://127.0.0.1:0", ...env }
    })
    this.children.push(child)
    return new Program(child)
  }

  end(): void {
    for (const child of this.children) {
      const { pid } = child
      if (pid === undefined || child.exitCode !== null || child.signalCode !== null) continue
      for (const below of family(pid)) kill(below)
      child.kill("SIGKILL")
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended.
  }
}

/** All that a process has started, and what those have. */
export const family = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .flatMap((name) => [Number(name), ...family(Number(name))])

/** What a process was started as; nothing once it has ended. */
export const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
  } catch {
    return ""
  }
}

const parentOf = (pid: string): number => {
  try {
    return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1])
  } catch {
    return -1
  }
}

/** A connection, and what it has received. */
export class Client {
  received = Buffer.alloc(0)
  isClosed = false
  readonly socket: net.Socket

  /** From which address it comes, which is who it is for a server. */
  constructor(port: number, from?: string) {
    const local = from === undefined ? {} : { localAddress: from }
    this.socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...local })
    this.socket.on("data", (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    this.socket.on("error", () => {})
    this.socket.on("end", () => this.socket.end())
    this.socket.on("close", () => (this.isClosed = true))
  }

  send(data: string | Uint8Array): this {
    this.socket.write(data)
    return this
  }

  /** Waits until so many lines have come, or it is closed, or for too long; what has come. */
  async lines(count: number, millis = patienceMillis): Promise<string> {
    for (let waited = 0; waited < millis && !this.isClosed; waited += 10) {
      if (this.received.filter((byte) => byte === 10).length >= count) break
      await after(10)
    }
    return this.received.toString()
  }

  /** Whether it is closed within a time. */
  async closes(millis = patienceMillis): Promise<boolean> {
    for (let waited = 0; waited < millis && !this.isClosed; waited += 10) await after(10)
    return this.isClosed
  }
}

/** What is answered to these bytes and a half-close, until the connection closes, or for too long. */
export const ask = async (port: number, data: string | Uint8Array, millis?: number): Promise<string> => {
  const client = new Client(port).send(data)
  client.socket.end()
  await client.closes(millis)
  client.socket.destroy()
  return client.received.toString()
}

/** Throws what is wrong where something is not as it should be. */
export const equal = (found: unknown, wanted: unknown, what: string): void => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`)
}
