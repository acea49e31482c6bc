/** When a worker begins what it was given. */
import { assert, describe, it } from "@effect/vitest"
import { requestKind } from "../src/internal/worker/channel/calls.ts"
import { bytesOf, Claims, memoryCells } from "../src/internal/worker/channel/claims.ts"
import { type Facts, FrameReader, FrameWriter, Tell } from "../src/internal/worker/channel/frames.ts"
import type { Call } from "../src/internal/worker/child/call.ts"
import { Intake } from "../src/internal/worker/child/intake.ts"

const setup = () => {
  const claims = new Claims(memoryCells(new SharedArrayBuffer(bytesOf(8))))
  const begun: Array<number> = []
  const dropped: Array<number> = []
  const reader = new FrameReader({
    onFrame: (kind, id) => {
      if (kind === Tell.dropped) dropped.push(id)
    }
  })
  const tick = { now: () => 0, soon: (f: () => void) => f(), afterTurn: (f: () => void) => f(), after: () => () => {} }
  const link = { start: () => {}, send: () => {}, whenSent: (sent: () => void) => sent(), close: () => {} }
  const writer = new FrameWriter(
    (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
    (flush) => queueMicrotask(flush)
  )
  const calls = new Map<number, Call>()
  const intake = new Intake({
    each: 1,
    claims,
    link,
    writer,
    tick,
    begin: (call) => {
      begun.push(call.id)
      intake.began(call)
    }
  })
  return {
    claims,
    intake,
    begun,
    dropped: () => {
      writer.flush()
      return dropped
    },
    give: (id: number, connection: number) => {
      const facts = { claim: id, connection } as Facts
      const call = { id, facts, kind: requestKind } as unknown as Call
      calls.set(id, call)
      intake.add(call)
    },
    end: (id: number) => intake.ended(calls.get(id) as Call)
  }
}

describe("a worker that may not begin what it was given", () => {
  it("begins nothing until its parent has cancelled that, for what comes next may have to come after it", () => {
    const test = setup()
    test.give(1, 1)
    for (const id of [2, 3, 4]) test.give(id, id === 3 ? 1 : 2)
    assert.isTrue(test.claims.revoke(1, 2))
    test.end(1)
    assert.deepStrictEqual(test.begun, [1])
    assert.deepStrictEqual(test.dropped(), [2])
    test.give(5, 2)
    assert.deepStrictEqual(test.begun, [1])
    assert.isFalse(test.intake.cancel(2))
    assert.deepStrictEqual(test.begun, [1, 3])
  })

  it("does not begin what the parent takes back before it cancels that", () => {
    const test = setup()
    for (const id of [1, 2, 3, 4]) test.give(id, id === 4 ? 2 : 1)
    // Both have wanted the second, and neither has it.
    assert.isTrue(test.claims.revoke(1, 2))
    test.end(1)
    assert.isTrue(test.claims.revoke(2, 3))
    assert.isTrue(test.intake.cancel(3))
    assert.isFalse(test.intake.cancel(2))
    assert.deepStrictEqual(test.begun, [1, 4])
    assert.deepStrictEqual(test.dropped(), [2, 3])
  })
})
