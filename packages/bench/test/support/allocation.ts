/**
 * Prints how many bytes a request allocates. `measure.ts` starts it, with the handler and the flags.
 *
 * 50 connections have 16 requests outstanding each. The new space holds all that is allocated while it counts, so that
 * nothing is collected and what the heap has grown by is what was allocated. Of several windows the least counts: in
 * each, another function may be waiting to be compiled again.
 */
import { GCProfiler } from "node:v8"
import { CountingWire, line, serving } from "./peers.ts"

const connections = 50
const outstanding = 16
const windows = 8
const rounds = 40

const chunk = Buffer.concat(Array.from({ length: outstanding }, () => line))

await serving(process.argv[2]!, async (sink) => {
  let pending = 0
  let answered = () => {}
  const wires = Array.from({ length: connections }, () => {
    const wire = new CountingWire(() => {
      if (wire.bytesWritten === wire.bytesRead && --pending === 0) answered()
    })
    sink.accept(wire)
    return wire
  })
  const exchange = (rounds: number) =>
    new Promise<void>((resolve) => {
      let left = rounds
      const round = () => {
        pending = connections
        for (const wire of wires) wire.data(chunk)
      }
      answered = () => (--left === 0 ? resolve() : void setImmediate(round))
      round()
    })
  await exchange(500)
  let least = Infinity
  for (let window = 0; window < windows; window++) {
    globalThis.gc!()
    await exchange(1)
    const collections = new GCProfiler()
    collections.start()
    const before = process.memoryUsage().heapUsed
    await exchange(rounds)
    const allocated = process.memoryUsage().heapUsed - before
    if (collections.stop()!.statistics.length > 0) throw new Error("the new space is too small for what is allocated")
    least = Math.min(least, allocated / (rounds * connections * outstanding))
  }
  console.log(Math.round(least))
})
