/** How long a turn of the event loop is made by what peers send at once, beside `node:net` by hand that does the same work for each. */
import type { AttackName } from "../attacks.ts"
import { after } from "../clients.ts"
import { attack, behave, start } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"

/** Microseconds for each request, of both. */
const work = 10
const seconds = 4

const besideFlood = async (program: "target" | "byHand", how: string, name: AttackName, count: number) => {
  const server = await start({ program, env: { HOW: how, WORK: work } })
  try {
    const base = await behave(server.endpoint, { seconds: 1, fresh: false })
    const before = server.memory().now
    server.forgetPeak()
    const attacking = await attack(server.endpoint, name, seconds + 40, { count })
    const beside = await behave(server.endpoint, { seconds, fresh: false, millis: 30_000 })
    const peak = server.memory().peak - before
    const stopped = program === "target" ? await server.stop() : undefined
    await attacking.end()
    return { base, beside, peak, stopped }
  } finally {
    await server.kill()
  }
}

const run = async (name: string, how: string, flood: AttackName, count: number): Promise<Row> => {
  const judge = new Judge()
  const hand = await besideFlood("byHand", how, flood, count)
  await after(200)
  const ours = await besideFlood("target", how, flood, count)
  const bound = formula({ connections: count + 1 })
  judge.served(ours.beside)
  // By hand it may be that nobody else is answered at all.
  const byHand = hand.beside.asked === 0 ? Infinity : hand.beside.median
  judge.most("median", ours.beside.median, 1.5 * byHand, "ms (1.5 × by hand)")
  judge.memory(ours.peak, bound)
  judge.stopped(ours.stopped!)
  return {
    adversary: name,
    transport: "tcp",
    base: ours.base.median,
    beside: ours.beside.median,
    peak: ours.peak,
    formula: bound,
    stop: ours.stopped!.seconds,
    misses: judge.misses,
    more: { beside: ours.beside, byHand: hand.beside }
  }
}

export const turns: ReadonlyArray<Attempt> = [
  ["sync", "at once"],
  ["gen", "a fiber that does not wait"],
  ["yield", "yields once"]
].flatMap(([how, words]) => [
  ...[1, 8, 64].map((count) => {
    const name = `one turn of ${count}: ${words}`
    return { name, transport: "tcp", run: () => run(name, how!, "floods", count) }
  }),
  {
    name: `never reads (50) beside one by hand: ${words}`,
    transport: "tcp",
    run: () => run(`never reads (50) beside one by hand: ${words}`, how!, "neverReads", 50)
  }
])
