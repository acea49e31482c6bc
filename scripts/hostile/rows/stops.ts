/** SIGTERM at odd moments, and what should not happen to a server while it runs: what was asked is answered, and it ends in time. */
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"
import { addressOf, after, codeOf, open, readLines } from "../clients.ts"
import { family } from "../../../packages/bench/src/cpu.ts"
import { behave, directory, type Program, start, type StartOptions } from "../programs.ts"
import { type Attempt, Judge, type Row } from "../row.ts"

const row = (adversary: string, transport: string, rest: Partial<Row>): Row => ({
  adversary,
  transport,
  misses: [],
  ...rest
})

/** What can happen to a directory of a socket, with a request in flight. */
const changes: Readonly<Record<string, (path: string, above: string) => void>> = {
  "its directory is removed": (_, above) => fs.rmSync(above, { recursive: true }),
  "its path is removed": (path) => fs.unlinkSync(path),
  "its directory cannot be written": (_, above) => fs.chmodSync(above, 0o555),
  "its directory cannot be read": (_, above) => fs.chmodSync(above, 0o000),
  "a file is in its place": (path) => {
    fs.unlinkSync(path)
    fs.writeFileSync(path, "precious")
  },
  "a link is in its place": (path) => {
    fs.unlinkSync(path)
    fs.symlinkSync("/etc/passwd", path)
  },
  "its directory is a file": (_, above) => {
    fs.rmSync(above, { recursive: true })
    fs.writeFileSync(above, "precious")
  },
  "its directory is a link to itself": (_, above) => {
    fs.rmSync(above, { recursive: true })
    fs.symlinkSync(above, above)
  }
}

let places = 0
const path = async (what: string): Promise<Row> => {
  const judge = new Judge()
  const above = `${directory}/p${places++}`
  fs.chmodSync(directory, 0o755)
  fs.mkdirSync(above)
  if (process.getuid?.() === 0) fs.chownSync(above, 65_534, 65_534)
  const at = `unix://${above}/s`
  const program = await start({ program: "whoami", at, unprivileged: true, env: { DELAY: "600 millis" } })
  try {
    const { socket } = await open(addressOf(at))
    socket.write("asked\n")
    await after(100)
    changes[what]!(`${above}/s`, above)
    const [got, stopped] = await Promise.all([readLines(socket, 1, 12_000).catch(codeOf), program.stop()])
    judge.expect(got.endsWith("asked\n"), `what was asked got ${got}`)
    judge.stopped(stopped)
    for (const name of ["a file is in its place", "its directory is a file"]) {
      if (what !== name) continue
      const kept = fs.readFileSync(what.startsWith("its") ? above : `${above}/s`, "utf8")
      judge.expect(kept === "precious", `it has changed a file that is not its own: ${kept}`)
    }
    return row(`stopped when ${what}`, "unix", { stop: stopped.seconds, misses: judge.misses, more: { got, stopped } })
  } finally {
    await program.kill()
    if (!fs.lstatSync(above, { throwIfNoEntry: false })?.isSymbolicLink() && fs.existsSync(above))
      fs.chmodSync(above, 0o755)
  }
}

/** Twenty peers ask, and the stop comes while the first workers start. */
const starting = async (policy: string): Promise<Row> => {
  const judge = new Judge()
  const program = await start({ program: "whoami", env: { POLICY: policy } })
  try {
    const all = await Promise.all(Array.from({ length: 20 }, () => open(addressOf(program.endpoint))))
    const asked = all.map(({ socket }) => {
      socket.write("x\n")
      return readLines(socket, 1, 14_000).catch(codeOf)
    })
    await after(50)
    const stopped = await program.stop()
    const answered = (await Promise.all(asked)).filter((got) => got.endsWith(": x\n")).length
    judge.expect(answered === 20, `${answered} of 20 were answered`)
    judge.stopped(stopped)
    const more = { answered, stopped, said: program.said().slice(-300) }
    return row(`stopped while workers start ${policy}`, "tcp", { stop: stopped.seconds, misses: judge.misses, more })
  } finally {
    await program.kill()
  }
}

interface Odd {
  readonly handler: string
  readonly policy: string
  readonly env?: StartOptions["env"]
  /** It is ended from outside, by its own watchdog. */
  readonly killed?: boolean
  /** What it may end with: a thread that cannot be ended takes its program with it. */
  readonly status?: ReadonlyArray<number | null>
}

/** A handler that does what it should not: others are served, and the server ends in time. */
const odd = async ({ env, handler, killed = false, policy, status = [0] }: Odd): Promise<Row> => {
  const judge = new Judge()
  const program = await start({ env: { POLICY: policy, ...env } })
  const name = `a handler does "${handler}" ${policy.replace(",", " ")}`
  try {
    const base = await behave(program.endpoint, { seconds: 1.5 })
    const { socket } = await open(addressOf(program.endpoint))
    socket.write(`${handler}\n`)
    await after(300)
    if (killed) {
      const end = performance.now() + 10_000
      while (program.ended() === undefined && performance.now() < end) await after(50)
      judge.expect(program.ended() !== undefined, "its watchdog has not ended it in 10 s")
      return row(name, "tcp", { base: base.median, misses: judge.misses, more: { said: program.said().slice(-300) } })
    }
    const beside = await behave(program.endpoint, { seconds: 2 })
    // The worker that is taken up is one of two.
    judge.served(beside, { median: 25, p99: 500 })
    judge.alive(program)
    const stopped = await program.stop(25)
    judge.expect(status.includes(stopped.status), `it ended with ${stopped.status}`)
    judge.expect(stopped.left === 0, `${stopped.left} processes were left`)
    judge.most("the stop took", stopped.seconds, 12.5, "s")
    const more = { base, beside, stopped, said: program.said().slice(-300) }
    return row(name, "tcp", {
      base: base.median,
      beside: beside.median,
      stop: stopped.seconds,
      misses: judge.misses,
      more
    })
  } finally {
    await program.kill()
  }
}

/** Not the shell that watches over them. */
const isNode = (pid: number): boolean => {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]!.endsWith("node")
  } catch {
    return false
  }
}

/** Workers or copies are killed again and again: who asks is answered or told, and all are back afterwards. */
const killing = async (name: string, env: NonNullable<StartOptions["env"]>): Promise<Row> => {
  const judge = new Judge()
  const program: Program = await start({ env })
  try {
    await after(2_000)
    const before = family(program.pid).length
    const end = performance.now() + 6_000
    const asking = behave(program.endpoint, { seconds: 6, millis: 20_000 })
    let killed = 0
    while (performance.now() < end) {
      const below = family(program.pid).slice(1).filter(isNode)
      const one = below[killed % Math.max(1, below.length)]
      if (one !== undefined) {
        process.kill(one, "SIGKILL")
        killed++
      }
      await after(300)
    }
    const seen = await asking
    const late = Object.entries(seen.bad).filter(([why]) => why.endsWith("LATE") || why === "wrong")
    judge.expect(late.length === 0, `nobody told: ${JSON.stringify(seen.bad)}`)
    await after(11_000)
    const again = await behave(program.endpoint, { seconds: 2 })
    judge.served(again, { median: 25, p99: 250 })
    const now = family(program.pid).length
    judge.expect(now >= before, `${now} processes, before ${before}`)
    const stopped = await program.stop()
    judge.stopped(stopped)
    return row(name, "tcp", {
      beside: again.median,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { killed, seen, again, stopped, said: program.said().slice(-300) }
    })
  } finally {
    await program.kill()
  }
}

const attempt = (name: string, transport: string, run: () => Promise<Row>): Attempt => ({ name, transport, run })

const odds: ReadonlyArray<Odd> = [
  { handler: "loop", policy: "fiber", env: { WATCHDOG: "5s" }, killed: true },
  { handler: "loop", policy: "pool:2" },
  { handler: "exec", policy: "pool:2" },
  { handler: "abort", policy: "pool:2" },
  { handler: "allocate", policy: "pool:2,memory=64" },
  { handler: "loop", policy: "thread:2" },
  { handler: "exit", policy: "thread:2" },
  { handler: "exec", policy: "thread:2", status: [0, null] },
  { handler: "allocate", policy: "thread:2,memory=64", status: [0, null] }
]

export const stops: ReadonlyArray<Attempt> = [
  ...Object.keys(changes).map((what) => attempt(`stopped when ${what}`, "unix", () => path(what))),
  ...["process", "pool:2", "thread:2"].map((policy) =>
    attempt(`stopped while workers start ${policy}`, "tcp", () => starting(policy))
  ),
  ...odds.map((one) =>
    attempt(`a handler does "${one.handler}" ${one.policy.replace(",", " ")}`, "tcp", () => odd(one))
  ),
  attempt("kills workers pool:2", "tcp", () => killing("kills workers pool:2", { POLICY: "pool:2" })),
  attempt("kills copies", "tcp", () => killing("kills copies", { PREFORK: 2 }))
]
