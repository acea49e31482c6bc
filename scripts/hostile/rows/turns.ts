/** How long a turn of the event loop is made by what peers send at once, beside `node:net` by hand that does the same work for each. */
import type { AttackName, AttackOptions } from "../attacks.ts"
import { after } from "../clients.ts"
import { attack, behave, start } from "../programs.ts"
import { type Attempt, formula, Judge, type Row } from "../row.ts"

interface Flood extends AttackOptions {
  readonly name: AttackName
  readonly count: number
  /** Microseconds for each request, of both. */
  readonly work: number
  readonly policy?: string
  /** How many others connect at once, just before somebody does. */
  readonly newcomers?: number
}
const seconds = 4

const besideFlood = async (
  program: "target" | "byHand",
  how: string,
  { name, newcomers = 0, policy = "fiber", work, ...options }: Flood
) => {
  const server = await start({ program, env: { HOW: how, WORK: work, POLICY: policy } })
  try {
    const base = await behave(server.endpoint, { seconds: 1, fresh: false })
    const before = server.memory().now
    server.forgetPeak()
    const attacking = await attack(server.endpoint, name, seconds + 40, options)
    const arriving =
      newcomers > 0 && (await attack(server.endpoint, "arrives", seconds + 40, { count: newcomers, from: "127.0.0.3" }))
    const beside = await behave(server.endpoint, { seconds, fresh: false, millis: 30_000 })
    const peak = server.memory().peak - before
    const stopped = program === "target" ? await server.stop() : undefined
    await attacking.end()
    if (arriving) await arriving.end()
    return { base, beside, peak, stopped }
  } finally {
    await server.kill()
  }
}

const run = async (name: string, how: string, flood: Flood): Promise<Row> => {
  const judge = new Judge()
  const hand = await besideFlood("byHand", how, flood)
  await after(200)
  const ours = await besideFlood("target", how, flood)
  const { count, newcomers = 0 } = flood
  const bound = formula({ connections: count + newcomers + 1 })
  judge.served(ours.beside)
  // By hand it may be that nobody else is answered at all.
  const byHand = hand.beside.asked === 0 ? Infinity : hand.beside.median
  const byHandFirst = hand.beside.asked === 0 ? Infinity : hand.beside.max
  judge.most("median", ours.beside.median, 1.5 * byHand, "ms (1.5 × by hand)")
  // The system hands over one in a turn of the event loop.
  if (newcomers > 0)
    judge.most("first", ours.beside.max, Math.min(2.5 * newcomers, byHandFirst), "ms (2.5 for each before)")
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
].flatMap(([how, words]) => {
  const attempt = (of: string, flood: Flood): Attempt => {
    const name = `${of}: ${words}`
    return { name, transport: "tcp", run: () => run(name, how!, flood) }
  }
  return [
    ...[1, 8, 64].map((count) => attempt(`one turn of ${count}`, { name: "floods", count, work: 10 })),
    attempt("never reads (50) beside one by hand", { name: "neverReads", count: 50, work: 10 }),
    // All of them take 100 ms, and are one peer.
    attempt("1,000 of one peer", { name: "asksOneByOne", count: 1_000, from: "127.0.0.2", work: 100 }),
    attempt("400 at once beside 1,000 of one peer", {
      name: "asksOneByOne",
      count: 1_000,
      from: "127.0.0.2",
      work: 100,
      newcomers: 400
    }),
    attempt("1,000 of one peer, one key", {
      name: "asksOneByOne",
      count: 1_000,
      from: "127.0.0.2",
      work: 100,
      policy: "keyed"
    })
  ]
})
