/** A row for an example and an adversary: others are served, memory stays under the formula, and the stop ends. */
import { fork } from "node:child_process"
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { after } from "../clients.ts"
import { directory, type Program, secondsOf, start } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"
import type { Seen } from "../victim.ts"
import type { Attack } from "./attacks.ts"
import type { Task } from "./peer.ts"
import type { Name, ProbeOptions } from "./probes.ts"

export interface Adversary {
  readonly name: string
  readonly attack: Attack
  /** Which listener is attacked: the first, unless another is named. */
  readonly over?: "tcp" | "udp" | undefined
  readonly bounds?: { readonly median?: number; readonly p99?: number; readonly lost?: number } | undefined
}

export interface Subject {
  readonly name: Name
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Whether it listens for datagrams, too. */
  readonly udp?: boolean | undefined
  /** Whether a connection is one request. */
  readonly whole?: boolean | undefined
  /** What the one beside may see at most, where a row does not say otherwise. */
  readonly bounds?: Adversary["bounds"]
  /** MiB that it may hold beside what is held for connections: its own keys, its own counts. */
  readonly own?: number | undefined
  /** What keeps it busy before memory is looked at: that of its code and of its young generation is no part of what it holds. */
  readonly warm: Attack
  readonly adversaries: ReadonlyArray<Adversary>
}

const maxMemory = 64
let files = 0

const peer = (task: Task) => {
  const child = fork(fileURLToPath(new URL("peer.ts", import.meta.url)), {
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  child.send(task)
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const message = <A>(seconds: number): Promise<A> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("a peer says nothing")), seconds * 1_000)
      child.once("message", (value) => {
        clearTimeout(late)
        resolve(value as A)
      })
      void exit.then(() => {
        clearTimeout(late)
        reject(new Error("a peer has ended"))
      })
    })
  const end = async () => {
    child.kill("SIGKILL")
    await exit
  }
  return { end, message }
}

const attacking = async (endpoint: string, attack: Attack, seconds: number) => {
  const { end, message } = peer({ role: "attack", endpoint, attack, seconds })
  const { open } = await message<{ readonly open?: number }>(60)
  return { end, open }
}

const asking = (endpoint: string, options: ProbeOptions): Promise<Seen> =>
  peer({ role: "probe", endpoint, options }).message<Seen>(options.seconds + 40)

/** What it has received is worked off: that may be seconds of work. */
const settled = async ({ pid }: Program): Promise<void> => {
  for (let times = 0; times < 100; times++) {
    const before = secondsOf(pid)
    await after(250)
    if (secondsOf(pid) - before < 0.02) return
  }
}

const endpointOf = ({ endpoints }: Program, over: "tcp" | "udp"): string =>
  endpoints.find((endpoint) => endpoint.startsWith(over)) ?? ""

const run = async (subject: Subject, { attack, bounds, name, over = "tcp" }: Adversary): Promise<Row> => {
  const judge = new Judge()
  const file = `${directory}/out-${files++}`
  const listens = subject.udp === true ? "udp://127.0.0.1:0,tcp://127.0.0.1:0" : "tcp://127.0.0.1:0"
  const program = await start({
    program: subject.name,
    at: listens,
    env: { MAX_MEMORY: `${maxMemory}MiB`, FILE: file, MAILDIR: `${file}.mail`, ...subject.env }
  })
  try {
    // Each listener says it on a line of its own.
    for (let times = 0; times < 200 && program.endpoints.length < (subject.udp === true ? 2 : 1); times++)
      await after(10)
    // Datagrams may be lost where the queue is the system's: of who asks by them, some.
    const asksOver = subject.name === "dns" ? over : "tcp"
    const asks = { name: subject.name, file }
    const base = await asking(endpointOf(program, asksOver), { ...asks, seconds: 2 })
    const warming = await attacking(
      endpointOf(program, subject.warm.how === "datagrams" ? "udp" : "tcp"),
      subject.warm,
      3
    )
    await after(2_000)
    await warming.end()
    await settled(program)
    const before = program.memory().now
    program.forgetPeak()
    const hostile = await attacking(endpointOf(program, over), attack, 14)
    await after(500)
    const beside = await asking(endpointOf(program, asksOver), { ...asks, seconds: 4 })
    judge.alive(program)
    const peak = program.memory().peak - before
    const stopped = await program.stop()
    await hostile.end()
    const connections = hostile.open ?? attack.count ?? 200
    const bound = formula({ connections, whole: subject.whole, maxMemory }) + (subject.own ?? 0)
    judge.served(beside, { lost: over === "udp" ? 5 : 0, ...subject.bounds, ...bounds })
    judge.memory(peak, bound)
    judge.stopped(stopped)
    return {
      adversary: `${subject.name}: ${name}`,
      transport: over,
      base: base.median,
      beside: beside.median,
      peak,
      formula: bound,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { before, base, beside, stopped, open: hostile.open, said: program.said().slice(-300) }
    }
  } finally {
    await program.kill()
    for (const path of [file, `${file}.mail`]) rmSync(path, { recursive: true, force: true })
  }
}

export const attempts = (subject: Subject): ReadonlyArray<Attempt> =>
  subject.adversaries.map((adversary) => ({
    name: `${subject.name}: ${adversary.name}`,
    transport: adversary.over ?? "tcp",
    run: () => run(subject, adversary)
  }))

/** What is done to all that listen on TCP, with what a request looks like to them. */
export const usual = (of: {
  /** A whole request that is answered, or at least taken. */
  readonly request: string
  /** The beginning of one. */
  readonly half: string
  /** What is larger than anything that is taken. */
  readonly large: string
  /** What is said before a request. */
  readonly first?: string | undefined
  /** Bounds of the rows in which it is kept busy. */
  readonly busy?: Adversary["bounds"]
}): ReadonlyArray<Adversary> => {
  const { busy, first, half, large, request } = of
  const batch = request.repeat(Math.max(1, Math.floor(32_768 / request.length)))
  /** Where the queue of connections is the system's, who is new may wait for it to try again. */
  const crowded = { p99: 1_500, lost: 3 }
  return [
    { name: "never reads (50)", attack: { how: "pushes", count: 50, text: batch, first }, bounds: busy },
    {
      name: "a million requests of one, unread",
      attack: { how: "pushes", count: 1, text: batch, first },
      bounds: busy
    },
    { name: "as many as it can, all read (8)", attack: { how: "floods", count: 8, text: batch, first }, bounds: busy },
    { name: "silent (1000)", attack: { how: "holds", count: 1_000 } },
    { name: "drips a byte a second (500)", attack: { how: "drips", count: 500, text: half, first } },
    { name: "connects (2000/s)", attack: { how: "connects", rate: 2_000 }, bounds: crowded },
    { name: "resets after half a request (300/s)", attack: { how: "resets", rate: 300, text: half } },
    { name: "half-closes after half a request (500)", attack: { how: "halves", count: 500, text: half, first } },
    { name: "too large (100/s)", attack: { how: "bombs", rate: 100, text: large, first }, bounds: busy },
    { name: "reads 16 bytes a second (100)", attack: { how: "sips", count: 100, text: batch.slice(0, 4_096), first } }
  ]
}
