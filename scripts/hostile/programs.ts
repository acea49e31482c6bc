/** The processes of a row: servers, adversaries and those who behave well. All of them are ended by their id. */
import { type ChildProcess, fork, spawn, type StdioOptions } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { certificate } from "../../packages/bench/src/certificate.ts"
import { family } from "../../packages/bench/src/cpu.ts"
import type { AttackName, AttackOptions } from "./attacks.ts"
import { after } from "./clients.ts"
import type { Task } from "./peer.ts"
import type { Seen, VictimOptions } from "./victim.ts"

export const root = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "")
const here = fileURLToPath(new URL(".", import.meta.url))

const alive = new Set<number>()
const endAll = (): void => {
  for (const pid of alive) for (const each of family(pid).toReversed()) killed(each)
}
const killed = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended.
  }
}
process.on("exit", endAll)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))

const track = (child: ChildProcess): void => {
  const { pid } = child
  if (pid === undefined) return
  alive.add(pid)
  child.once("exit", () => alive.delete(pid))
}

/** Where sockets and certificates of this run are. */
export const directory = mkdtempSync(`${tmpdir()}/hostile-`)
process.on("exit", () => rmSync(directory, { recursive: true, force: true }))
let sockets = 0

export type Kind = "tcp" | "tls" | "unix" | "udp"

/** An endpoint of a kind that nobody has. */
export const listen = (kind: Kind): string => {
  if (kind === "unix") return `unix://${directory}/s${sockets++}`
  if (kind !== "tls") return `${kind}://127.0.0.1:0`
  const [cert, key] = [`${directory}/cert.pem`, `${directory}/key.pem`]
  if (!existsSync(cert)) {
    const pem = certificate()
    writeFileSync(cert, pem.cert)
    writeFileSync(key, pem.key, { mode: 0o600 })
  }
  return `tls://127.0.0.1:0?cert=${cert}&key=${key}`
}

/** How much a process holds, in MiB; none once it has ended. */
export const memoryOf = (pid: number): { readonly now: number; readonly peak: number } => {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8")
    const mib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1_024
    return { now: mib("VmRSS"), peak: mib("VmHWM") }
  } catch {
    return { now: 0, peak: 0 }
  }
}

const ticks = 100
/** Seconds of CPU that a process has taken. */
export const secondsOf = (pid: number): number => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) / ticks
  } catch {
    return 0
  }
}

/** Whether a process still runs: not one that has ended, and that nobody has asked about yet. */
const runs = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat[stat.lastIndexOf(")") + 2] !== "Z"
  } catch {
    return false
  }
}

export interface Stopped {
  readonly seconds: number
  /** Its status; none if it was killed. */
  readonly status: number | null
  /** Processes of it that are left. */
  readonly left: number
}

export interface Program {
  readonly pid: number
  readonly endpoint: string
  readonly endpoints: ReadonlyArray<string>
  /** Whether it has ended, and how. */
  readonly ended: () => number | null | undefined
  readonly said: () => string
  /** From now on `peak` is that of a new interval. */
  readonly forgetPeak: () => void
  readonly memory: () => { readonly now: number; readonly peak: number }
  readonly descriptors: () => number
  readonly signal: (signal: NodeJS.Signals) => void
  /** The answer to SIGUSR2, where a program has one. */
  readonly figures: () => Promise<{ readonly connections: number; readonly inFlight: number }>
  /** Asks it to end, and waits for so long. */
  readonly stop: (seconds?: number) => Promise<Stopped>
  readonly kill: () => Promise<void>
}

export interface StartOptions {
  readonly kind?: Kind | undefined
  /** `target` and `byHand` are of this folder, all others examples. */
  readonly program?: string | undefined
  readonly env?: Readonly<Record<string, string | number>> | undefined
  readonly flags?: ReadonlyArray<string> | undefined
  /** Where it listens, if not at an endpoint of its own. */
  readonly at?: string | undefined
  /** Whether it runs as nobody, so that the modes of directories mean something to it. */
  readonly unprivileged?: boolean | undefined
}

/** A limit on the heap as a container of 256 MiB has it, what the server holds at most there, and a ceiling for all that it takes. */
export const inContainer = {
  flags: ["--max-old-space-size=160", "--max-semi-space-size=4"],
  maxMemory: 30,
  ceiling: 256
}

const nobody = 65_534

export const start = async (options: StartOptions = {}): Promise<Program> => {
  const { at, env = {}, flags = [], kind = "tcp", program = "target", unprivileged = false } = options
  const file = ["target", "byHand"].includes(program) ? `${here}${program}.ts` : `${root}/examples/${program}/main.ts`
  const stdio: StdioOptions = ["ignore", "pipe", "pipe"]
  const child = spawn(process.execPath, [...flags, file], {
    cwd: root,
    stdio,
    ...(unprivileged && process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}),
    env: {
      ...process.env,
      LISTEN: at ?? listen(kind),
      ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]))
    }
  })
  track(child)
  const pid = child.pid ?? 0
  let out = ""
  let wrong = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (out += text))
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (wrong = (wrong + text).slice(-20_000)))
  let status: number | null | undefined
  const exit = new Promise<void>((resolve) => {
    child.once("close", (code) => {
      status = code
      resolve()
    })
  })
  const until = async (what: string, seconds: number, is: () => boolean): Promise<void> => {
    const end = performance.now() + seconds * 1_000
    while (!is()) {
      if (performance.now() > end || status !== undefined) throw new Error(`${what}: ${wrong.slice(-300)}`)
      await after(10)
    }
  }
  const endpoints = (): ReadonlyArray<string> => [...out.matchAll(/^listening on (\S+)/gm)].map(([, found]) => found!)
  await until(`${program} does not listen`, 30, () => endpoints().length > 0)
  return {
    pid,
    get endpoint() {
      return endpoints()[0] ?? ""
    },
    get endpoints() {
      return endpoints()
    },
    ended: () => status,
    said: () => wrong,
    forgetPeak: () => {
      try {
        writeFileSync(`/proc/${pid}/clear_refs`, "5")
      } catch {
        // Without the right to it the peak is that of all its life.
      }
    },
    memory: () => memoryOf(pid),
    descriptors: () => {
      try {
        return readdirSync(`/proc/${pid}/fd`).length
      } catch {
        return 0
      }
    },
    signal: (signal) => void child.kill(signal),
    figures: async () => {
      const before = out.length
      child.kill("SIGUSR2")
      const found = () => /^figures (.*)$/m.exec(out.slice(before))?.[1]
      await until("no figures", 20, () => found() !== undefined)
      return JSON.parse(found()!) as never
    },
    stop: async (seconds = 15) => {
      const all = family(pid)
      const began = performance.now()
      child.kill("SIGTERM")
      await Promise.race([exit, after(seconds * 1_000)])
      const took = (performance.now() - began) / 1_000
      await after(1_000)
      const left = all.filter((each) => each !== pid && runs(each)).length
      return { seconds: Math.round(took * 100) / 100, status: status ?? null, left }
    },
    kill: async () => {
      for (const each of family(pid).toReversed()) killed(each)
      await exit
    }
  }
}

const peer = (task: Task): ChildProcess => {
  const child = fork(`${here}peer.ts`, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  track(child)
  child.send(task)
  return child
}

const message = <A>(child: ChildProcess, seconds: number): Promise<A> =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("a peer says nothing")), seconds * 1_000)
    const done = () => clearTimeout(late)
    child.once("message", (value) => {
      done()
      resolve(value as A)
    })
    child.once("exit", () => {
      done()
      reject(new Error("a peer has ended"))
    })
  })

/** Has somebody who behaves well ask for so long. */
export const behave = async (endpoint: string, options: VictimOptions): Promise<Seen> => {
  const child = peer({ role: "victim", endpoint, options })
  return message<Seen>(child, options.seconds + (options.millis ?? 5_000) / 1_000 + 30)
}

export interface Attacking {
  /** How many connections it has. */
  readonly open: number | undefined
  readonly end: () => Promise<void>
}

/** Has somebody attack from now on, and waits until it has begun. */
export const attack = async (
  endpoint: string,
  name: AttackName,
  seconds: number,
  options: AttackOptions = {}
): Promise<Attacking> => {
  const child = peer({ role: "attack", endpoint, name, seconds, options })
  const exit = new Promise((resolve) => child.once("exit", resolve))
  const { open } = await message<{ readonly open?: number }>(child, 60)
  return {
    open,
    end: async () => {
      child.kill("SIGKILL")
      await exit
    }
  }
}

/** Keeps it busy for a while, by peers that read all: what its code and its young generation take is no part of what it holds. */
export const warm = async ({ endpoint }: Program, text?: string): Promise<void> => {
  const reading = await attack(endpoint, "reads", 4, { count: 4, text, times: text === undefined ? 100 : 1 })
  await after(2_500)
  await reading.end()
  await after(500)
}
