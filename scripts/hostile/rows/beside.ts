/** Adversaries beside a client that behaves well, with the defaults of an example: is it served on, and does the server still stop? */
import type { AttackName, AttackOptions } from "../attacks.ts"
import { after } from "../clients.ts"
import { attack, behave, inContainer, type Kind, start, type StartOptions, warm } from "../programs.ts"
import { type Attempt, type Bounds, formula, Judge, type Row } from "../row.ts"
import type { Seen } from "../victim.ts"

export interface Adversary {
  readonly name: string
  readonly attack: AttackName
  readonly options?: AttackOptions
  readonly kinds?: ReadonlyArray<Kind>
  /** What the one beside may see at most: what the system itself delays is none of the server's. */
  readonly bounds?: Bounds
  readonly start?: StartOptions
  readonly maxMemory?: number
  /** How much all of the program may take, in MiB. */
  readonly ceiling?: number
  readonly seconds?: number
  /** What the one beside asks. */
  readonly line?: string
}

const streams: ReadonlyArray<Kind> = ["tcp", "tls", "unix"]

/** Where the queue of connections is the system's, who is new may wait for it to try again. */
const crowded = { p99: 1_500, lost: 3 }

const adversaries: ReadonlyArray<Adversary> = [
  { name: "never reads (50)", attack: "neverReads", options: { count: 50 } },
  { name: "silent (1000)", attack: "holds", options: { count: 1_000, raw: true } },
  { name: "drips a byte a second (500)", attack: "drips", options: { count: 500 } },
  { name: "drips below TLS (500)", attack: "dripsBelowTls", options: { count: 500 }, kinds: ["tls"] },
  { name: "connects (5000/s)", attack: "connects", options: { rate: 5_000 }, bounds: crowded },
  { name: "resets (500/s)", attack: "resets", options: { rate: 500 } },
  { name: "asks and resets (300/s)", attack: "asksAndResets", options: { rate: 300, text: "hello\nslow\nx\n" } },
  { name: "half-closes (500)", attack: "halfCloses", options: { count: 500 } },
  { name: "frames of 70 KB (200/s)", attack: "oversizes", options: { rate: 200 } },
  { name: "pipelines unread (1)", attack: "floods", options: { count: 1 } },
  { name: "pipelines unread (8)", attack: "floods", options: { count: 8 } },
  { name: "pipelines unread (64)", attack: "floods", options: { count: 64 } },
  { name: "garbage (300/s)", attack: "garbage", options: { rate: 300 }, kinds: ["tls"] },
  { name: "handshakes of TLS 1.3", attack: "handshakes", options: { version: "TLSv1.3" }, kinds: ["tls"] },
  { name: "handshakes of TLS 1.2", attack: "handshakes", options: { version: "TLSv1.2" }, kinds: ["tls"] },
  {
    name: "new keys without end (40)",
    attack: "newKeys",
    options: { count: 40 },
    kinds: ["tls"],
    bounds: { p99: 250, max: 500 }
  },
  { name: "greetings of TLS (2000/s)", attack: "greetings", options: { rate: 2_000 }, kinds: ["tls"], bounds: crowded },
  {
    name: "datagrams (5000/s from 200 ports)",
    attack: "datagrams",
    options: { rate: 5_000 },
    kinds: ["udp"],
    // The queue of a socket of datagrams is the system's.
    bounds: { lost: 5 }
  },
  {
    name: "datagrams of 60 KB (1000/s)",
    attack: "datagrams",
    options: { rate: 1_000, text: "x".repeat(60_000), count: 50 },
    kinds: ["udp"],
    bounds: { lost: 5 }
  }
]

/** Each of them once more, in less memory: 32 MiB for what is held, and all of the program in a container of 256 MiB. */
const inLess: ReadonlyArray<Adversary> = adversaries.flatMap((adversary) => [
  { ...adversary, kinds: adversary.kinds ?? ["tcp", "tls"], name: `in 32 MiB: ${adversary.name}`, maxMemory: 32 },
  {
    ...adversary,
    kinds: adversary.kinds ?? ["tcp", "tls"],
    name: `in 256 MiB: ${adversary.name}`,
    maxMemory: inContainer.maxMemory,
    ceiling: inContainer.ceiling,
    start: { ...adversary.start, flags: inContainer.flags }
  }
])

const rpcAdd = (id: number) => `{"_tag":"Request","id":${id},"tag":"Add","payload":{"a":1,"b":2},"headers":[]}`
const rpcAdds = Array.from({ length: 500 }, (_, id) => `${rpcAdd(id)}\n`).join("")
const rpcCounts = Array.from(
  { length: 200 },
  (_, id) => `{"_tag":"Request","id":${id},"tag":"Count","payload":{"to":1000000000},"headers":[]}\n`
).join("")

/** What is known of RPC, against examples/rpc. */
export const ofRpc: ReadonlyArray<Adversary> = [
  { name: "pings unread (8)", attack: "pushes", options: { count: 8, text: '{"_tag":"Ping"}\n'.repeat(4_000) } },
  { name: "pings, all read (8)", attack: "reads", options: { count: 8, text: '{"_tag":"Ping"}\n', times: 4_000 } },
  {
    name: "interrupts of nothing (8)",
    attack: "reads",
    options: { count: 8, text: '{"_tag":"Interrupt","requestId":1}\n', times: 4_000 }
  },
  { name: "calls unread (8)", attack: "pushes", options: { count: 8, text: rpcAdds } },
  { name: "calls, all read (8)", attack: "reads", options: { count: 8, text: rpcAdds, times: 1 } },
  { name: "streams never acknowledged (50)", attack: "asks", options: { count: 50, text: rpcCounts, times: 1 } },
  {
    name: "acknowledges without end (8)",
    attack: "reads",
    options: { count: 8, text: `${rpcCounts}${'{"_tag":"Ack","requestId":1}\n'.repeat(4_000)}`, times: 1 }
  },
  {
    name: "calls and resets (300/s)",
    attack: "asksAndResets",
    options: { rate: 300, text: `${rpcAdd(0)}\n${rpcAdd(1)}\n${rpcAdd(2)}\n` }
  },
  { name: "half a call, drips (500)", attack: "drips", options: { count: 500 } },
  { name: "frames of 70 KB (200/s)", attack: "oversizes", options: { rate: 200 } }
].map((adversary) => ({
  ...(adversary as Adversary),
  name: `rpc: ${adversary.name}`,
  kinds: ["tcp"],
  start: { program: "rpc" },
  line: rpcAdd(0)
}))

export const run = async (kind: Kind, adversary: Adversary): Promise<Row> => {
  const { bounds, maxMemory, name, options = {}, seconds = 5 } = adversary
  const judge = new Judge()
  const program = await start({
    program: "whoami",
    kind,
    ...adversary.start,
    env: { ...(maxMemory === undefined ? {} : { MAX_MEMORY: `${maxMemory}MiB` }), ...adversary.start?.env }
  })
  try {
    const base = await behave(program.endpoint, { seconds: 3, line: adversary.line })
    if (kind !== "udp" && adversary.line === undefined) await warm(program)
    const before = program.memory().now
    program.forgetPeak()
    const attacking = await attack(program.endpoint, adversary.attack, seconds + 8, options)
    await after(700)
    // Over TLS a peer has a share of the handshakes: who behaves well is another one.
    const from = kind === "tls" ? "127.0.0.3" : undefined
    const beside = await behave(program.endpoint, { seconds, line: adversary.line, from })
    const peak = program.memory().peak - before
    const stopped = await program.stop()
    await attacking.end()
    const connections = options.count ?? 200
    const bound = formula({ connections, kind, maxMemory })
    judge.served(beside, bounds)
    judge.memory(peak, bound)
    if (adversary.ceiling !== undefined) judge.most("it took", peak + before, adversary.ceiling, "MiB")
    judge.stopped(stopped)
    const more = { before: Math.round(before), base, beside, stopped, said: program.said().slice(-300) }
    return rowOf({ name, kind, base, beside, peak, bound, stop: stopped.seconds, misses: judge.misses, more })
  } finally {
    await program.kill()
  }
}

const rowOf = (of: {
  readonly name: string
  readonly kind: string
  readonly base: Seen
  readonly beside: Seen
  readonly peak: number
  readonly bound: number
  readonly stop: number
  readonly misses: ReadonlyArray<string>
  readonly more: object
}): Row => ({
  adversary: of.name,
  transport: of.kind,
  base: of.base.median,
  beside: of.beside.median,
  peak: of.peak,
  formula: of.bound,
  stop: of.stop,
  misses: of.misses,
  more: of.more
})

export const beside: ReadonlyArray<Attempt> = [...adversaries, ...inLess, ...ofRpc].flatMap((adversary) =>
  (adversary.kinds ?? streams).map((kind) => ({
    name: adversary.name,
    transport: kind,
    run: () => run(kind, adversary)
  }))
)
