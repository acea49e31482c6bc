/** How the ends of calls cross. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { readDefect, requestKind, writeDefect } from "../src/internal/worker/channel/calls.ts"
import { cost, FrameReader, FrameWriter, Tell } from "../src/internal/worker/channel/frames.ts"
import { Call } from "../src/internal/worker/child/call.ts"

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

describe("a streamed reply of a worker", () => {
  it("waits while more than the window is on its way, and no longer", () => {
    const each = cost(60)
    let told = 0
    const reader = new FrameReader({
      onFrame: (kind) => {
        if (kind === Tell.message) told++
      }
    })
    const writer = new FrameWriter(
      (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
      () => {}
    )
    const call = new Call({
      id: 1,
      kind: requestKind,
      facts: {} as never,
      ref: {} as never,
      payload: Buffer.alloc(0),
      writer,
      windowBytes: 2 * each
    })
    const lines = Stream.fromIterable(Array.from({ length: 6 }, () => "x".repeat(60)))
    Effect.runFork(call.answer(String, Response.stream(lines)))
    const tellBy = (): number => {
      writer.flush()
      return told
    }
    assert.strictEqual(tellBy(), 3)
    // Its parent holds as much as the window, and cannot know that it waits for less.
    call.messages.credited(each)
    assert.strictEqual(tellBy(), 4)
    call.messages.credited(each)
    assert.strictEqual(tellBy(), 5)
  })
})
