import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

/**
 * Everything happens on one thread, and is compiled by one compiler: then the same program allocates the same, to the
 * byte, however busy the machine is. What V8 once has seen survive it would allocate in the old generation from then on,
 * in one run of ten and not in the others.
 */
const exact = [
  "--expose-gc",
  "--single-threaded",
  "--no-maglev",
  "--no-incremental-marking",
  "--no-allocation-site-pretenuring"
]

const newSpace = (megabytes: number) => [`--min-semi-space-size=${megabytes}`, `--max-semi-space-size=${megabytes}`]

/** Bytes that a request allocates, of a handler of `peers.ts`. */
export const allocated = (handler: string): number => run("allocation.ts", [handler], newSpace(256))

/** Bytes that each of 100,000 leaves in the old generation. */
export const promoted = (what: string, handler: string): number => run("promotion.ts", [what, handler], smallHeap)

/** The same of what comes through the system's sockets. */
export const promotedOver = (transport: "udp" | "unix"): number => run("sockets.ts", [transport], smallHeap)

const smallHeap = [...newSpace(4), "--initial-heap-size=512"]

const run = (program: string, args: ReadonlyArray<string>, flags: ReadonlyArray<string>): number => {
  const file = fileURLToPath(new URL(program, import.meta.url))
  const { status, stderr, stdout } = spawnSync(process.execPath, [...exact, ...flags, file, ...args], {
    encoding: "utf8",
    // What is compiled before, or counted for coverage, would be compiled in another order.
    env: {},
    timeout: 110_000
  })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
  return Number(stdout)
}
