import { assert, describe, it } from "@effect/vitest"
import { closeSync } from "node:fs"
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { fileCells, openFile } from "../src/internal/worker/channel/claimFile.ts"
import { bytesOf, Claims, memoryCells } from "../src/internal/worker/channel/claims.ts"

const slots = 8
const rounds = 3_000

/** Two threads that want the same calls at the same time; for each call, whether either got it. */
const race = async (cells: number | SharedArrayBuffer) => {
  const claims = new Claims(typeof cells === "number" ? fileCells(cells) : memoryCells(cells))
  const claimed = new Int32Array(new SharedArrayBuffer(4 * (rounds + 1)))
  const turns = new Int32Array(new SharedArrayBuffer(8))
  const revoked = new Int32Array(rounds + 1)
  const worker = new Worker(new URL("./support/claimer.ts", import.meta.url), {
    workerData: { cells, claimed, rounds, slots, turns }
  })
  await once(worker, "online")
  for (let id = 1; id <= rounds; id++) {
    Atomics.store(turns, 0, id)
    for (let i = 0; i < (id * 11) % 40; i++) Atomics.load(turns, 0)
    revoked[id] = claims.revoke(id % slots, id) ? 1 : 0
    while (Atomics.load(turns, 1) < id);
  }
  await once(worker, "exit")
  const results = { both: 0, worker: 0, parent: 0, neither: 0, wrong: 0 }
  for (let id = 1; id <= rounds; id++) {
    if (revoked[id] === 1) results[claimed[id] === 1 ? "both" : "parent"]++
    else results[claimed[id] === 1 ? "worker" : "neither"]++
  }
  return results
}

describe.each([
  ["memory", () => new SharedArrayBuffer(bytesOf(slots))],
  ["a file", () => openFile(slots) as number]
] as const)("a call that a worker claims and its parent revokes, in %s", (_, make) => {
  it("is never had by both, in a race of threads", { timeout: 60_000 }, async () => {
    const cells = make()
    const { both, parent, worker } = await race(cells)
    if (typeof cells === "number") closeSync(cells)
    assert.strictEqual(both, 0)
    // Otherwise there was no race.
    assert.isAbove(worker, 0)
    assert.isAbove(parent, 0)
  })

  it("is its that came first, and what was said of another in the same slot does not count", () => {
    const cells = make()
    const claims = new Claims(typeof cells === "number" ? fileCells(cells) : memoryCells(cells))
    assert.isTrue(claims.claim(3, 1))
    assert.isTrue(claims.isClaimed(3, 1))
    assert.isFalse(claims.revoke(3, 1))
    assert.isFalse(claims.isClaimed(3, 4_294_967_295))
    assert.isTrue(claims.revoke(3, 4_294_967_295))
    assert.isFalse(claims.claim(3, 4_294_967_295))
    assert.isTrue(claims.claim(7, 1))
    if (typeof cells === "number") closeSync(cells)
  })
})

const claimFile = JSON.stringify(new URL("../src/internal/worker/channel/claimFile.ts", import.meta.url).href)
const spawn = JSON.stringify(new URL("../src/internal/worker/parent/spawn.ts", import.meta.url).href)

/** What a program prints that runs after a line of shell. */
const printed = (shell: string, program: string) =>
  spawnSync("/bin/sh", ["-c", `${shell}; exec "$0" "$@"`, process.execPath, "--input-type=module", "-e", program], {
    encoding: "utf8"
  }).stdout

const counting = `
import { readdirSync } from "node:fs"
const count = () => readdirSync("/proc/self/fd").length
`

const elsewhere = process.platform !== "linux"
if (elsewhere) console.log("skipped: the descriptors of a program are counted on Linux only")

describe.skipIf(elsewhere)("a file of claims", () => {
  it("leaves no descriptor where nothing can be written", () => {
    const program = `${counting}
const { openFile } = await import(${claimFile})
const before = count()
const made = Array.from({ length: 5 }, () => openFile(8))
console.log(count() - before, made.every((descriptor) => descriptor === undefined))`
    assert.strictEqual(printed("ulimit -f 0", program), "0 true\n")
  })

  it("leaves no descriptor where no process can be started", () => {
    const program = `${counting}
const { spawnChild } = await import(${spawn})
process.env.LARGE = "x".repeat(200_000)
let failures = 0
const fail = () => {
  try { spawnChild({ entry: "none", args: [] }, { kind: "process" }, { hasClaims: true, each: 1, prefetch: 4 }) }
  catch (error) { if (error.code === "E2BIG") failures++ }
}
// What the first start opens for all of them.
fail()
const before = count()
for (let i = 0; i < 4; i++) fail()
console.log(count() - before, failures)`
    assert.strictEqual(printed("true", program), "0 5\n")
  })
})
