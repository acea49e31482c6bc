/**
 * Prints how many bytes each datagram or short connection leaves in the old generation, where only a full collection
 * finds them. `measure.ts` starts it, with what comes, the handler and the flags.
 *
 * A scavenge moves there what has survived one before. With a new space of 4 MB there are more than a hundred, and
 * nothing of a request should be alive in two.
 */
import { GCProfiler, getHeapSpaceStatistics } from "node:v8"
import { CountingWire, datagram, line, serving } from "./peers.ts"

const batch = 100
const parts = 5
const total = 100_000

const [, , what, handler] = process.argv

await serving(handler!, async (sink) => {
  let pending = 0
  let ended = () => {}
  const end = () => {
    if (--pending === 0) ended()
  }
  const aDatagram = () => sink.receive(datagram(end))
  const aConnection = () => {
    const wire = new CountingWire(() => {
      if (wire.closed) end()
      else queueMicrotask(() => wire.half())
    })
    sink.accept(wire)
    wire.data(line)
  }
  const begin = what === "datagrams" ? aDatagram : aConnection
  const batches = (count: number) =>
    new Promise<void>((resolve) => {
      let left = count
      const next = () => {
        pending = batch
        for (let i = 0; i < batch; i++) begin()
      }
      ended = () => (--left === 0 ? resolve() : void setImmediate(next))
      next()
    })
  await batches(200)
  let left = 0
  for (let part = 0; part < parts; part++) {
    globalThis.gc!()
    const collections = new GCProfiler()
    collections.start()
    const before = oldGeneration()
    await batches(total / parts / batch)
    left += oldGeneration() - before
    const full = collections.stop()!.statistics.filter(({ gcType }) => gcType !== "Scavenge")
    if (full.length > 0) throw new Error("the old generation was collected before it was looked at")
  }
  console.log(Math.round(left / total))
})

/** With what V8 allocates there at once, since it has learned that it survives. */
function oldGeneration(): number {
  return getHeapSpaceStatistics()
    .filter(({ space_name }) => space_name === "old_space" || space_name === "large_object_space")
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0)
}
