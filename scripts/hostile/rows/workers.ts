/** Clients that behave well, each with a pipeline of short and of long replies: workers never wait for each other. */
import { performance } from "node:perf_hooks"
import { addressOf, after, open, readLines } from "../clients.ts"
import { start } from "../programs.ts"
import { type Attempt, Judge, type Row } from "../row.ts"

const items = 50
const each = 10
/** Milliseconds of work for a short one. */
const work = 2_000

const rounds = async (policy: string, clients: number, seconds: number) => {
  const program = await start({ env: { POLICY: policy, ITEMS: items, WORK: work } })
  try {
    await after(1_500)
    const end = performance.now() + seconds * 1_000
    let done = 0
    let last = performance.now()
    let longest = 0
    let wrong = 0
    const client = async (): Promise<void> => {
      const { socket } = await open(addressOf(program.endpoint))
      const expected = `hello\n${`${"y".repeat(2_000)}\n`.repeat(items)}`.repeat(each)
      while (performance.now() < end) {
        socket.write("hello\nstream\n".repeat(each))
        const got = await readLines(socket, each * (items + 1), 20_000)
        if (got !== expected) wrong++
        done++
        longest = Math.max(longest, performance.now() - last)
        last = performance.now()
      }
      socket.destroy()
    }
    const all = await Promise.allSettled(Array.from({ length: clients }, client))
    const hung = all.filter(({ status }) => status === "rejected").length
    const stopped = await program.stop()
    const said = program.said()
    return {
      done,
      hung,
      longest,
      stopped,
      wrong,
      cut: /NotReading|placeTimeout \(|\d cancelled/.test(said),
      said: said.slice(-300)
    }
  } finally {
    await program.kill()
  }
}

const run = async (name: string, policy: string, clients: number, seconds: number): Promise<Row> => {
  const judge = new Judge()
  const fiber = await rounds("fiber", clients, Math.min(15, seconds))
  const seen = await rounds(policy, clients, seconds)
  const perSecond = (of: number, during: number) => of / during
  const rate = perSecond(seen.done, seconds)
  const fibers = perSecond(fiber.done, Math.min(15, seconds))
  judge.expect(seen.hung === 0, `${seen.hung} of ${clients} got no answer in 20 s`)
  judge.expect(seen.wrong === 0, `${seen.wrong} rounds were wrong`)
  judge.expect(!seen.cut, `somebody was cut off: ${seen.said}`)
  judge.expect(rate >= fibers / 2, `${rate.toFixed(1)} rounds a second, at least half of ${fibers.toFixed(1)} by fiber`)
  judge.stopped(seen.stopped)
  return {
    adversary: name,
    transport: "tcp",
    base: 1_000 / fibers,
    beside: 1_000 / rate,
    stop: seen.stopped.seconds,
    misses: judge.misses,
    more: { fiber, seen }
  }
}

export const workers = (seconds: number): ReadonlyArray<Attempt> =>
  ["pool:2", "pool:4", "thread:2"].flatMap((policy) =>
    [1, 6, 64].map((clients) => {
      const name = `${clients} pipelines of streams ${policy}`
      return { name, transport: "tcp", run: () => run(name, policy, clients, seconds) }
    })
  )
