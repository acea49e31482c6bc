import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { runInNewContext } from "node:vm"
import type * as collecting from "../src/internal/collectGarbage.ts"
import type * as machines from "../src/internal/machine.ts"

// Not exported, as they should be: a test alone looks at them.
const { collectGarbage } = await vi.importActual<typeof collecting>("../src/internal/collectGarbage.ts")
const { bounded } = await vi.importActual<typeof machines>("../src/internal/machine.ts")

describe("garbage", () => {
  it.live("is collected at once, and nobody else has a name for that", () =>
    Effect.gen(function* () {
      // Large enough to be made where only a full collection looks.
      const large = new WeakRef(new Array<number>(1_000_000).fill(0))
      assert.isDefined(large.deref())
      // What a turn has looked at stays for the rest of it.
      yield* Effect.sleep(1)
      collectGarbage()
      yield* Effect.sleep(1)
      assert.isUndefined(large.deref())
      assert.strictEqual(runInNewContext("typeof gc"), "undefined")
    })
  )

  it.each([{}, { maxConnections: 7 }, { maxMemory: "1MiB" as const }, { maxConnections: 7, maxMemory: 1_048_576 }])(
    "is collected by each server over sockets: %o",
    (options) => {
      const [found] = Object.getOwnPropertySymbols(bounded(options))
      const { collectGarbage: collects } = (bounded(options) as Record<symbol, { collectGarbage?: unknown }>)[found!]!
      assert.strictEqual(collects, collectGarbage)
    }
  )
})
