/** How the ends of calls cross. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import { readDefect, writeDefect } from "../src/internal/worker/channel/calls.ts"

describe("a defect", () => {
  it.each([
    { of: "an error", defect: new RangeError("too far"), says: "RangeError: too far" },
    { of: "a text", defect: "no", says: "Error: no" },
    {
      of: "an object without a prototype, which has no text",
      defect: Object.create(null),
      says: "Error: [object Object]"
    }
  ])("crosses with its text: $of", ({ defect, says }) => {
    const { message, name } = readDefect(Buffer.from(writeDefect(Cause.die(defect))))
    assert.strictEqual(`${name}: ${message}`, says)
  })
})
