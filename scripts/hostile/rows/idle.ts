/** Ten thousand connections that do nothing: what they take, and that they take no CPU. */
import { openFiles } from "../../../packages/bench/src/card.ts"
import { after } from "../clients.ts"
import { attack, behave, secondsOf, start } from "../programs.ts"
import { type Attempt, Judge, type Row } from "../row.ts"

const wanted = 10_000

const run = async (): Promise<Row> => {
  const judge = new Judge()
  const count = Math.min(wanted, openFiles() - 200)
  const program = await start({ program: "whoami", env: { MAX_CONNECTIONS: count + 10 } })
  try {
    const base = await behave(program.endpoint, { seconds: 3 })
    const before = program.memory().now
    const attacking = await attack(program.endpoint, "holds", 60, { count })
    await after(3_000)
    const began = secondsOf(program.pid)
    await after(5_000)
    const cpu = (secondsOf(program.pid) - began) / 5
    const grown = program.memory().now - before
    const beside = await behave(program.endpoint, { seconds: 3 })
    const each = (grown * 1_024) / count
    judge.expect(attacking.open === count, `${attacking.open} of ${count} were let in`)
    judge.most("a connection takes", each, 5.5, "KiB")
    judge.most("CPU", cpu, 0.005, "of a core")
    judge.served(beside)
    judge.most("median beside", beside.median, Math.max(1, 2 * base.median), "ms (twice)")
    const stopped = await program.stop()
    judge.stopped(stopped)
    await attacking.end()
    return {
      adversary: `${count} idle (${each.toFixed(1)} KiB each; CPU ${cpu.toFixed(2)})`,
      transport: "tcp",
      base: base.median,
      beside: beside.median,
      peak: grown,
      formula: (count * 5_000) / 1_048_576,
      stop: stopped.seconds,
      misses: judge.misses,
      more: { base, beside, cpu, each, stopped }
    }
  } finally {
    await program.kill()
  }
}

export const idle: ReadonlyArray<Attempt> = [{ name: `${wanted} idle`, transport: "tcp", run }]
