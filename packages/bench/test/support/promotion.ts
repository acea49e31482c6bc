/**
 * Prints how many bytes each of 100,000 datagrams, short connections, or requests on 16 that are kept, leaves in the old
 * generation. `measure.ts` starts it, with what comes, the handler and the flags.
 */
import { leftByEach } from "./oldGeneration.ts"
import { CountingWire, datagram, line, serving } from "./peers.ts"

const batch = 100
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
  const kept = Array.from({ length: 16 }, () => {
    let seen = 0
    return new CountingWire(({ bytesWritten }) => {
      for (; seen < bytesWritten; seen += line.length) end()
    })
  })
  for (const wire of kept) sink.accept(wire)
  let turn = 0
  const aRequest = () => kept[turn++ % kept.length]!.data(line)
  const begin = { datagrams: aDatagram, connections: aConnection, requests: aRequest }[what!]!
  const pass = (count: number) =>
    new Promise<void>((resolve) => {
      let left = count / batch
      const next = () => {
        pending = batch
        for (let i = 0; i < batch; i++) begin()
      }
      ended = () => (--left === 0 ? resolve() : void setImmediate(next))
      next()
    })
  console.log(await leftByEach(100_000, pass))
})
