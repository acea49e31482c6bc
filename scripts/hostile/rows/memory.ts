/** What peers make a server hold: replies that nobody reads, and requests that are not answered. Its memory is watched, and that others are served. */
import { performance } from "node:perf_hooks"
import { addressOf, after, open, readLines } from "../clients.ts"
import { attack, behave, inContainer, type Program, start, type StartOptions, warm } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"

interface Case {
  readonly name: string
  readonly start: StartOptions
  readonly attack: Parameters<typeof attack>[1]
  readonly options: NonNullable<Parameters<typeof attack>[3]>
  readonly maxMemory?: number
  /** How much all of the program may take, in MiB. */
  readonly ceiling?: number
  /** How long it is watched, in seconds. */
  readonly seconds?: number
  /** Whether others are answered: not where no handler ends. */
  readonly answers?: boolean
  /** What is asked and answered before, so that it has been busy: what V8 has not collected is no part of what is held. */
  readonly warm?: string
  /** How long the attack goes on before others come, in milliseconds. */
  readonly settles?: number
  /** Before the attack: fills what it asks for. */
  readonly prepare?: (program: Program) => Promise<void>
}

const run = async (one: Case): Promise<Row> => {
  const { answers = true, ceiling, maxMemory = 256, seconds = 5 } = one
  const judge = new Judge()
  const program = await start({
    ...one.start,
    env: { MAX_MEMORY: `${maxMemory}MiB`, ...one.start.env }
  })
  try {
    if (answers) await warm(program)
    else if (one.warm !== undefined) await warm(program, one.warm)
    await one.prepare?.(program)
    const before = program.memory().now
    program.forgetPeak()
    const attacking = await attack(program.endpoint, one.attack, seconds + 40, one.options)
    await after(one.settles ?? 0)
    const began = performance.now()
    const beside = answers ? await behave(program.endpoint, { seconds, line: "hi", from: "127.0.0.3" }) : undefined
    await after(Math.max(0, began + seconds * 1_000 - performance.now()))
    judge.alive(program)
    const { now, peak } = program.memory()
    const grown = peak - before
    const connections = attacking.open ?? one.options.count ?? 1
    const bound = formula({ connections: Math.min(4_096, connections), kind: one.start.kind, maxMemory })
    if (beside !== undefined) judge.served(beside, { p99: 250 })
    judge.memory(grown, bound)
    if (ceiling !== undefined) judge.most("it took", peak, ceiling, "MiB")
    const stopped = await program.stop()
    judge.stopped(stopped)
    await attacking.end()
    return {
      adversary: one.name,
      transport: one.start.kind ?? "tcp",
      beside: beside?.median,
      peak: grown,
      formula: bound,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { before, now, peak, beside, stopped, open: attacking.open, said: program.said().slice(-300) }
    }
  } finally {
    await program.kill()
  }
}

const kib = 1_024

/** One connection, requests of a byte, replies that are not read. */
const replies = (how: string, size: number, count: number, maxMemory?: number): Case => ({
  name: `${count} × 128 KiB of newlines answered by ${size / kib} KiB ${how}${maxMemory === undefined ? "" : ` in ${maxMemory} MiB`}`,
  start: { env: { HOW: how, REPLY: size } },
  attack: "asks",
  options: { count, text: "\n", times: 131_072 },
  ...(maxMemory === undefined ? {} : { maxMemory })
})

const set = async (program: Program): Promise<void> => {
  const { socket } = await open(addressOf(program.endpoint))
  socket.write(`SET a ${"v".repeat(65_000)}\n`)
  await readLines(socket, 1, 5_000)
  socket.destroy()
}

const warms: Readonly<Record<string, string>> = {
  lines: `${"x".repeat(60_000)}hello\n`,
  json: `[${"[],".repeat(20_000)}"hello"]\n`
}

const never = (name: string, protocol: string, text: string, options: Partial<Case> = {}): Case => ({
  name: `never answered: ${name}`,
  start: { env: { HOW: "never", PROTOCOL: protocol } },
  attack: "pushes",
  options: { count: 60, text },
  answers: false,
  ...(warms[protocol] === undefined ? {} : { warm: warms[protocol] }),
  ...options
})

const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}\n`
const objects = `[${"{},".repeat(21_000)}{}]\n`
/** A property of another name each. */
const names = `{${Array.from({ length: 8_000 }, (_, i) => `"${i.toString(36)}":0`).join()}}\n`

const cases: ReadonlyArray<Case> = [
  replies("sync", 1 * kib, 1),
  replies("gen", 1 * kib, 1),
  replies("yield", 1 * kib, 1),
  replies("sync", 16 * kib, 1),
  replies("gen", 16 * kib, 1),
  replies("sync", 1 * kib, 20),
  replies("sync", 64 * kib, 20, 32),
  { ...replies("yield", 64 * kib, 200, 32), settles: 15_000 },
  {
    name: "compose: a value of 65 KB asked for 10922 times",
    start: { program: "compose", env: { KV_LISTEN: "tcp://127.0.0.1:0", ADMIN_LISTEN: "tcp://127.0.0.1:0" } },
    attack: "asks",
    options: { count: 1, text: "GET a\n", times: 10_922 },
    prepare: set
  },
  {
    name: "128 replies of 5 MB that are ready at once",
    start: { env: { HOW: "yield", REPLY: 5_000_000, FRAME: 8_000_000 } },
    attack: "asks",
    options: { count: 1, text: "x\n", times: 128 },
    answers: false
  },
  {
    name: "128 replies of 5 MB that are ready later",
    start: { env: { HOW: "sleep", REPLY: 5_000_000, FRAME: 8_000_000 } },
    attack: "asks",
    options: { count: 1, text: "x\n", times: 128 },
    answers: false
  },
  never("empty lines", "lines", "\n".repeat(65_536)),
  never("lines of 65 KB", "lines", `${"x".repeat(65_000)}\n`),
  never("a line without an end", "lines", "x".repeat(65_535), {
    attack: "asks",
    options: { count: 60, text: "x".repeat(65_535), times: 1 }
  }),
  {
    name: "200 lines of 200 KB without an end in 32 MiB, and newcomers",
    start: { env: { FRAME: 262_144 } },
    attack: "asks",
    options: { count: 200, text: "x".repeat(200_000), times: 1, from: "127.0.0.2" },
    maxMemory: 32,
    settles: 1_500
  },
  never("empty frames with a delimiter", "delimited", "\n".repeat(65_536)),
  never("empty frames with a length", "prefixed", "\0".repeat(65_536)),
  never("empty frames with a length of a byte", "prefixed1", "\0".repeat(65_536)),
  never("frames of a byte", "fixed", "x".repeat(65_536)),
  never("{} as JSON", "json", "{}\n".repeat(21_000)),
  never("deep arrays as JSON", "json", deep),
  never("deep arrays of 400 as JSON in 32 MiB", "json", deep, { maxMemory: 32, options: { count: 400, text: deep } }),
  never("arrays of objects as JSON in 32 MiB", "json", objects, {
    maxMemory: 32,
    options: { count: 400, text: objects }
  }),
  never("names as JSON in 32 MiB", "json", names, { maxMemory: 32, options: { count: 400, text: names } }),
  never("{} by a schema", "schema", "{}\n".repeat(21_000)),
  never("2000 connections of lines of 65 KB", "lines", `${"x".repeat(65_000)}\n`, {
    attack: "piles",
    options: { count: 2_000, text: `${"x".repeat(65_000)}\n`, times: 128 },
    seconds: 15
  }),
  never("2000 connections of wide lines", "lines", `${"x".repeat(65_000)}\u0100\n`, {
    attack: "piles",
    options: { count: 2_000, text: `${"x".repeat(65_000)}\u0100\n`, times: 128 },
    seconds: 15
  }),
  never("2000 connections of prefixed frames", "prefixed", "\0\0\xf0\0".repeat(30_000), {
    attack: "piles",
    options: { count: 2_000, text: "\0\0\0\0".repeat(15_000), times: 128 },
    seconds: 15
  })
]

/** What holds more in less memory than the others do. */
const crowds: ReadonlyArray<Case> = [
  // As long as it works on what it has, who is new may be refused.
  { ...replies("yield", 64 * kib, 200, inContainer.maxMemory), settles: 15_000 },
  never("deep arrays of 400 as JSON", "json", deep, { options: { count: 400, text: deep } })
]

/** All that a container of 256 MiB is to be enough for. */
const contained = (one: Case): Case => ({
  ...one,
  name: `in 256 MiB: ${one.name}`,
  maxMemory: inContainer.maxMemory,
  start: { ...one.start, flags: inContainer.flags },
  ceiling: inContainer.ceiling
})

const withDefaults = cases.filter(({ maxMemory }) => maxMemory === undefined)

export const memory: ReadonlyArray<Attempt> = [
  ...cases,
  ...withDefaults.map((one) => ({ ...one, name: `in 32 MiB: ${one.name}`, maxMemory: 32 })),
  ...[...withDefaults, ...crowds].map(contained)
].map((one) => ({ name: one.name, transport: one.start.kind ?? "tcp", run: () => run(one) }))
