import type { PoolOptions } from "../../src/internal/worker/parent/options.ts"

/** Two processes that are reused, with the defaults of a pool. */
export const options: PoolOptions = {
  policy: "pool:2",
  kind: "process",
  max: 2,
  fixed: true,
  spares: 0,
  recycle: Infinity,
  each: 1,
  hasClaims: true,
  prefetch: 4,
  queue: 1_024,
  memoryMb: undefined,
  deadlineMillis: Infinity,
  startMillis: 10_000,
  graceMillis: 10_000,
  placeMillis: 10_000,
  retries: 0,
  entry: undefined,
  bundle: false
}
