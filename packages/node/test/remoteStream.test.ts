/** Streams from workers that nobody takes: the parent lets go of what it has of them. */
import { assert, describe, it } from "@effect/vitest"
import { RemoteStream } from "../src/internal/worker/parent/remoteStream.ts"

const held = () => {
  const seen = { bytes: 0, left: 0 }
  const stream = new RemoteStream<string>(false, {
    holds: (bytes) => {
      seen.bytes += bytes
    },
    taken: () => {},
    waits: () => {},
    left: () => {
      seen.left++
    }
  })
  stream.offer(new Uint8Array(10), 1_000)
  stream.offer(new Uint8Array(10), 1_000)
  return { seen, stream }
}

describe("a stream from a worker that never has its turn", () => {
  it("holds nothing any more", () => {
    const { seen, stream } = held()
    assert.strictEqual(seen.bytes, 2_000)
    stream.leave()
    assert.deepStrictEqual(seen, { bytes: 0, left: 1 })
  })

  it("holds nothing either when all of it was here", () => {
    const { seen, stream } = held()
    stream.end(false, undefined)
    assert.strictEqual(seen.bytes, 2_000)
    stream.leave()
    assert.deepStrictEqual(seen, { bytes: 0, left: 1 })
  })
})
