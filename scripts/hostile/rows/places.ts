/** Peers that hold what others want: places of a policy, places of the server, its queue. What does the next one see? */
import { performance } from "node:perf_hooks"
import { addressOf, after, codeOf, open, readLines } from "../clients.ts"
import { attack, type Program, start, type StartOptions } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"

/** Another peer than the adversary, for the server. */
const elsewhere = "127.0.0.3"

/** What a newcomer from elsewhere is answered, and after how many milliseconds. */
const ask = async (endpoint: string, millis: number, text = "hello\n") => {
  const began = performance.now()
  try {
    const one = await open(addressOf(endpoint), { from: elsewhere, millis })
    one.socket.write(text)
    const got = await readLines(one.socket, 1, millis)
    one.socket.destroy()
    return { got, millis: performance.now() - began }
  } catch (error) {
    return { got: codeOf(error), millis: performance.now() - began }
  }
}

interface Case {
  readonly name: string
  readonly start: StartOptions
  readonly attack: Parameters<typeof attack>[1]
  readonly options: NonNullable<Parameters<typeof attack>[3]>
  readonly workers?: number
  readonly whole?: boolean
  /** How long the adversary has been at it before somebody else comes. */
  readonly settles?: number
  /** How long the next one may wait, in milliseconds. */
  readonly waits: number
  /** What it is answered. */
  readonly answer?: RegExp
  readonly text?: string
  /** How often somebody comes. */
  readonly times?: number
}

const run = async (one: Case): Promise<Row> => {
  const { answer = /hello\n$/, settles = 1_500, text, times = 3, waits } = one
  const judge = new Judge()
  const program: Program = await start(one.start)
  try {
    const base = await ask(program.endpoint, 5_000, text)
    const before = program.memory().now
    program.forgetPeak()
    const attacking = await attack(program.endpoint, one.attack, 120, one.options)
    await after(settles)
    let slowest = 0
    for (let n = 0; n < times; n++) {
      const seen = await ask(program.endpoint, waits + 2_000, text)
      slowest = Math.max(slowest, seen.millis)
      judge.expect(answer.test(seen.got), `somebody else got ${JSON.stringify(seen.got.slice(0, 60))}`)
      if (!answer.test(seen.got)) break
    }
    judge.most("somebody else waited", slowest, waits, "ms")
    const peak = program.memory().peak - before
    const bound = formula({ connections: attacking.open ?? 1, whole: one.whole, kind: one.start.kind })
    judge.memory(peak, bound)
    const stopped = await program.stop()
    judge.stopped(stopped)
    await attacking.end()
    return {
      adversary: one.name,
      transport: one.start.kind ?? "tcp",
      base: base.millis,
      beside: slowest,
      peak,
      formula: bound,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { stopped, open: attacking.open, said: program.said().slice(-300) }
    }
  } finally {
    await program.kill()
  }
}

const unread = (policy: string | undefined, count: number, waits: number): Case => ({
  name: `streams unread (${count} × 128) ${policy?.replace(",", " ") ?? "fiber"}`,
  start: { env: policy === undefined ? {} : { POLICY: policy } },
  attack: "asks",
  options: { count },
  waits
})

/** A place for one at a time is held for `placeTimeout`, 10 s, while others wait for it. */
const placeMillis = 11_500

const cases: ReadonlyArray<Case> = [
  unread(undefined, 8, 75),
  unread("connection", 8, 75),
  unread("sequential", 1, placeMillis),
  unread("thread:2", 1, placeMillis),
  unread("pool:2", 1, placeMillis),
  unread("pool:2,deadline=2s", 1, placeMillis),
  {
    name: "1024 guests who say nothing and the next",
    start: { program: "chat" },
    attack: "holds",
    options: { count: 1_024 },
    whole: true,
    // Each guest is told of those after him: half a million lines.
    settles: 25_000,
    waits: 1_000,
    times: 1,
    text: "",
    answer: /^Welcome/
  },
  {
    name: "64 × 128 requests of a second fiber",
    start: { program: "whoami", env: { DELAY: "1 second" } },
    attack: "asks",
    options: { count: 64, text: "x\n" },
    settles: 300,
    // One that is running has to end, then it is its own second.
    waits: 2_500,
    times: 1
  },
  {
    name: "9 × 128 requests of 2 s pool:2",
    start: { program: "whoami", env: { DELAY: "2 seconds", POLICY: "pool:2" } },
    attack: "asks",
    options: { count: 9, text: "x\n" },
    settles: 1_000,
    // Each worker was given four of them ahead.
    waits: 12_000,
    times: 2
  },
  {
    name: "all places silent",
    start: { program: "whoami", env: { MAX_CONNECTIONS: 2_000 } },
    attack: "holds",
    options: { count: 2_100 },
    waits: 500
  },
  {
    name: "all places a byte a second",
    start: { program: "whoami", env: { MAX_CONNECTIONS: 2_000 } },
    attack: "drips",
    options: { count: 2_100 },
    waits: 500
  },
  {
    name: "all places no handshake",
    start: { program: "whoami", kind: "tls", env: { MAX_CONNECTIONS: 1_000 } },
    attack: "holds",
    options: { count: 1_100, raw: true },
    waits: 1_500
  },
  {
    // They have 256 turns for a handshake, and each would have 10 s of its own.
    name: "all turns no handshake (800)",
    start: { program: "whoami", kind: "tls" },
    attack: "silences",
    options: { count: 800 },
    settles: 100,
    waits: 2_500,
    times: 20
  }
]

export const places: ReadonlyArray<Attempt> = cases.map((one) => ({
  name: one.name,
  transport: one.start.kind ?? "tcp",
  run: () => run(one)
}))
