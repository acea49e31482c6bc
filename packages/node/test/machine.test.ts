/** What a server may use of its machine by default. */
import { assert, describe, it } from "@effect/vitest"
import type * as Transport from "@socketserver/core/Transport"
import { bounded, connectionBytes, limitsOf } from "../src/internal/machine.ts"
import { reserveOf, roomFor } from "../src/internal/openFiles.ts"

const mib = 1_048_576

describe("the defaults of a machine", () => {
  it.each([
    {
      of: "a large one",
      freeBytes: 3_900 * mib,
      descriptors: { limit: 20_000, used: 30 },
      tcp: 4_096,
      tls: 4_096,
      memory: 256
    },
    {
      of: "a container of 256 MiB",
      freeBytes: 111 * mib,
      descriptors: { limit: 20_000, used: 30 },
      tcp: 4_096,
      tls: 473,
      memory: 33
    },
    {
      of: "few descriptors",
      freeBytes: 3_900 * mib,
      descriptors: { limit: 64, used: 33 },
      tcp: 23,
      tls: 23,
      memory: 256
    },
    { of: "no room at all", freeBytes: 0, descriptors: { limit: Infinity, used: 30 }, tcp: 1, tls: 1, memory: 8 }
  ])("follow from its memory and descriptors: $of", ({ descriptors, freeBytes, memory, tcp, tls }) => {
    const machine = { freeBytes, descriptors }
    assert.strictEqual(limitsOf(machine, connectionBytes.plain).maxConnections, tcp)
    assert.strictEqual(limitsOf(machine, connectionBytes.tls).maxConnections, tls)
    assert.strictEqual(Math.floor(limitsOf(machine, connectionBytes.plain).maxMemory / mib), memory)
  })

  it.each([
    { limit: 20, kept: 8 },
    { limit: 64, kept: 8 },
    { limit: 100, kept: 12 },
    { limit: 256, kept: 32 },
    { limit: 20_000, kept: 32 }
  ])("keep $kept of $limit descriptors for the program itself", ({ kept, limit }) => {
    assert.strictEqual(reserveOf(limit), kept)
    assert.strictEqual(roomFor(limit, 10), Math.max(1, limit - 10 - kept))
  })

  it("say what there is too little of", () => {
    const by = (freeBytes: number, limit: number) =>
      limitsOf({ freeBytes, descriptors: { limit, used: 30 } }, connectionBytes.plain).connectionsBy
    assert.isUndefined(by(3_900 * mib, 20_000))
    assert.match(by(3_900 * mib, 64) as string, /^64 descriptors /)
    assert.match(by(1 * mib, 20_000) as string, /^the memory /)
  })

  it("hide nothing that a program says", () => {
    const given: Transport.ServerOptions = { maxConnections: 7, maxPipelined: 3 }
    const { maxConnections, maxMemory, maxPipelined } = bounded(given)
    assert.deepStrictEqual([maxConnections, maxPipelined], [7, 3])
    assert.isAtLeast(maxMemory as number, 8 * mib)
    assert.strictEqual(bounded({ maxMemory: "1MiB" }).maxMemory, "1MiB")
  })
})
