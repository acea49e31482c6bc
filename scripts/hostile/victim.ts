/** A well-behaved client: one connection that asks every 5 ms, and now and then a new one. */
import * as dgram from "node:dgram"
import { performance } from "node:perf_hooks"
import { type Address, after, codeOf, open, type Opened, readLines } from "./clients.ts"

/** What it has seen, in milliseconds. */
export interface Seen {
  readonly asked: number
  readonly median: number
  readonly p99: number
  readonly max: number
  /** Of new connections, from `connect` to the answer. */
  readonly freshMedian: number
  readonly freshP99: number
  /** What was not answered, and why. */
  readonly bad: Readonly<Record<string, number>>
}

export interface VictimOptions {
  readonly seconds: number
  /** Whether it opens new connections, too. */
  readonly fresh?: boolean | undefined
  readonly from?: string | undefined
  /** How long it waits for an answer. */
  readonly millis?: number | undefined
  readonly line?: string | undefined
}

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]! * 100) / 100
}

export const victim = async (address: Address, options: VictimOptions): Promise<Seen> => {
  const { fresh = true, from, line, millis = 5_000, seconds } = options
  const kept: Array<number> = []
  const opened: Array<number> = []
  const bad: Record<string, number> = {}
  const count = (what: string) => (bad[what] = (bad[what] ?? 0) + 1)
  const end = performance.now() + seconds * 1_000
  let current: Opened | undefined
  for (let n = 1; performance.now() < end; n++) {
    const text = line ?? `hello ${n}`
    try {
      current ??= await open(address, { from, millis })
      const began = performance.now()
      current.socket.write(`${text}\n`)
      const got = await readLines(current.socket, 1, millis)
      kept.push(performance.now() - began)
      if (line === undefined && !got.endsWith(`${text}\n`)) count("wrong")
    } catch (error) {
      count(`kept ${codeOf(error)}`)
      current?.raw.destroy()
      current = undefined
      await after(10)
    }
    if (fresh && n % 10 === 0) {
      const began = performance.now()
      let one: Opened | undefined
      try {
        one = await open(address, { from, millis })
        one.socket.write(`${line ?? "new"}\n`)
        await readLines(one.socket, 1, millis)
        opened.push(performance.now() - began)
      } catch (error) {
        count(`new ${codeOf(error)}`)
      }
      one?.socket.destroy()
    }
    await after(5)
  }
  current?.socket.destroy()
  return seenOf(kept, opened, bad)
}

const seenOf = (kept: ReadonlyArray<number>, opened: ReadonlyArray<number>, bad: Record<string, number>): Seen => ({
  asked: kept.length,
  median: quantile(kept, 0.5),
  p99: quantile(kept, 0.99),
  max: quantile(kept, 1),
  freshMedian: quantile(opened, 0.5),
  freshP99: quantile(opened, 0.99),
  bad
})

/** The same by datagrams, one after another from one port. */
export const datagramVictim = async ({ host, port }: Address, { seconds }: VictimOptions): Promise<Seen> => {
  const kept: Array<number> = []
  const bad: Record<string, number> = {}
  const socket = dgram.createSocket("udp4")
  await new Promise<void>((resolve) => socket.connect(port, host, resolve))
  socket.on("error", () => {})
  const end = performance.now() + seconds * 1_000
  for (let n = 1; performance.now() < end; n++) {
    const began = performance.now()
    const answered = await new Promise<boolean>((resolve) => {
      const done = (is: boolean) => {
        clearTimeout(late)
        socket.removeAllListeners("message")
        resolve(is)
      }
      const late = setTimeout(() => done(false), 1_000)
      socket.on("message", (data) => {
        // What comes late is the answer to another.
        if (data.toString().endsWith(`hello ${n}`)) done(true)
      })
      socket.send(`hello ${n}`)
    })
    if (answered) kept.push(performance.now() - began)
    else bad["lost"] = (bad["lost"] ?? 0) + 1
    await after(5)
  }
  socket.close()
  return seenOf(kept, [], bad)
}
