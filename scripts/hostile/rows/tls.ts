/** Peers that ask for more than they read and reset: nothing of them stays behind. */
import { after } from "../clients.ts"
import { attack, behave, type Kind, start } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"

const text = `slow\nhello\nstream\n${"x".repeat(70_000)}\n`

const run = async (kind: Kind, policy: string, seconds: number): Promise<Row> => {
  const judge = new Judge()
  const program = await start({ kind, env: { POLICY: policy, ITEMS: 50 } })
  try {
    const base = await behave(program.endpoint, { seconds: 2 })
    const before = program.memory().now
    const descriptors = program.descriptors()
    program.forgetPeak()
    const attacking = await attack(program.endpoint, "asksAndResets", seconds, { rate: 500, text })
    // A worker has one at a time, of who asked before too: this is of who is served, not of how soon.
    const fiber = policy === "fiber"
    const beside = await behave(program.endpoint, { seconds: seconds - 1 })
    const peak = program.memory().peak - before
    await attacking.end()
    await after(3_000)
    const figures = await program.figures()
    const left = program.descriptors()
    judge.served(beside, fiber ? { p99: 250 } : { median: 250, p99: 2_000 })
    judge.expect(figures.connections === 0, `${figures.connections} connections stayed`)
    judge.expect(figures.inFlight === 0, `${figures.inFlight} requests stayed`)
    judge.expect(left <= descriptors + 2, `${left} descriptors, before ${descriptors}`)
    const bound = formula({ connections: 200, kind })
    judge.memory(peak, bound)
    const again = await behave(program.endpoint, { seconds: 1 })
    judge.served(again)
    const stopped = await program.stop()
    judge.stopped(stopped)
    return {
      adversary: `asks for streams and resets (500/s) ${policy}`,
      transport: kind,
      base: base.median,
      beside: beside.median,
      peak,
      formula: bound,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { base, beside, figures, descriptors: [descriptors, left], said: program.said().slice(-300) }
    }
  } finally {
    await program.kill()
  }
}

export const resets: ReadonlyArray<Attempt> = (
  [
    ["tls", "fiber"],
    ["tls", "pool:2"],
    ["tls", "sequential"],
    ["tcp", "fiber"],
    ["unix", "fiber"]
  ] as const
).map(([kind, policy]) => ({
  name: `asks for streams and resets (500/s) ${policy}`,
  transport: kind,
  run: () => run(kind, policy, 12)
}))
