/** What a channel to a worker takes at a time, and what has arrived counts before what is late. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import { FrameReader, FrameWriter, Tell } from "../src/internal/worker/channel/frames.ts"
import { CallWire } from "../src/internal/worker/child/callWire.ts"
import { Deadlines } from "../src/internal/worker/parent/deadlines.ts"
import { platformTick } from "../src/internal/worker/channel/platformTick.ts"
import { ManualTick } from "./support/manualTick.ts"

const mib = 1_048_576

describe("frames that are collected", () => {
  it("leave within the turn once they are more than a mebibyte, in their order", () => {
    const sent: Array<{ readonly bytes: number; readonly parts: ReadonlyArray<Uint8Array> }> = []
    let asked = 0
    const writer = new FrameWriter(
      (parts, bytes) => void sent.push({ parts, bytes }),
      () => void asked++
    )
    const body = new Uint8Array(100_000)
    for (let id = 1; id <= 50; id++) writer.add(Tell.message, id, body)
    // Much of it has left, and no piece was larger than that and a frame.
    assert.isAtLeast(sent.length, 4)
    for (const { bytes } of sent) assert.isAtMost(bytes, mib + body.length + 9)
    writer.flush()
    const ids: Array<number> = []
    const reader = new FrameReader({ onFrame: (_, id) => void ids.push(id) })
    for (const { bytes, parts } of sent) {
      assert.strictEqual(
        parts.reduce((sum, { length }) => sum + length, 0),
        bytes
      )
      reader.push(Buffer.concat(parts, bytes))
    }
    assert.deepStrictEqual(
      ids,
      Array.from({ length: 50 }, (_, i) => i + 1)
    )
    assert.isAtLeast(asked, 1)
  })

  it("wait for the end of the turn while they are few", () => {
    let sent = 0
    let flush = () => {}
    const writer = new FrameWriter(
      () => void sent++,
      (later) => void (flush = later)
    )
    for (let id = 1; id <= 10; id++) writer.add(Tell.message, id, "a".repeat(100_000))
    assert.strictEqual(sent, 0)
    flush()
    assert.strictEqual(sent, 1)
  })
})

/** The wire of a whole connection in a worker, whose channel takes 1,000 bytes; with what it was told to have taken. */
const started = (onDrain = () => {}) => {
  const credits: Array<number> = []
  const reader = new FrameReader({
    onFrame: (kind, _, body) => void (kind === Tell.credit && credits.push(body.readUInt32LE(0)))
  })
  const writer = new FrameWriter(
    (parts, bytes) => reader.push(Buffer.concat(parts, bytes)),
    () => {}
  )
  const wire = new CallWire({
    id: 1,
    peer: Peer.make({ transport: "memory", name: "peer" }),
    listener: Endpoint.memory("test"),
    writer,
    tick: platformTick,
    whole: true,
    windowBytes: 1_000,
    carries: "stream",
    isOver: () => false,
    onStopped: () => {},
    onClosed: () => {}
  })
  wire.start({ onData: () => {}, onEnd: () => {}, onDrain, onFinish: () => {}, onClose: () => {} })
  return {
    wire,
    credits: () => {
      writer.flush()
      return credits
    }
  }
}

describe("a whole connection in a worker", () => {
  it("is written to no faster than half of a window at a time, once that is full", () => {
    const events: Array<string> = []
    const { wire } = started(() => void events.push("drain"))
    const write = () => wire.write(new Uint8Array(400))
    assert.deepStrictEqual([write(), write(), write()], [true, true, false])
    wire.taken(400)
    // It waits for half of the window, whatever is written meanwhile.
    assert.isFalse(write())
    wire.taken(600)
    assert.deepStrictEqual(events, [])
    wire.taken(100)
    assert.deepStrictEqual(events, ["drain"])
    assert.isTrue(wire.write(new Uint8Array(10)))
  })

  it("says that it has taken what its handler reads, and nothing else", () => {
    const { credits, wire } = started()
    wire.pause()
    for (let i = 0; i < 3; i++) wire.input(new Uint8Array(300))
    assert.deepStrictEqual(credits(), [])
    wire.resume()
    assert.deepStrictEqual(credits(), [300, 300, 300])
  })
})

describe("the times by which a worker must have done something", () => {
  /** Turns that end when the test says so. */
  class Turns extends ManualTick {
    private later: Array<() => void> = []
    override readonly afterTurn = (f: () => void): void => void this.later.push(f)
    end(): void {
      for (const f of this.later.splice(0)) f()
    }
  }

  const setup = () => {
    const tick = new Turns()
    const missed: Array<string> = []
    const deadlines = new Deadlines(tick)
    const set = (key: string, millis: number) => deadlines.set(key, millis, () => void missed.push(key))
    return { tick, missed, deadlines, set }
  }

  it("are missed at the end of the turn: what has arrived by then counts first", () => {
    const { deadlines, missed, set, tick } = setup()
    set("late", 10)
    set("in time", 10)
    tick.advance(10)
    assert.deepStrictEqual(missed, [])
    // This program was busy, and reads only now that it was done.
    deadlines.forget("in time")
    tick.end()
    assert.deepStrictEqual(missed, ["late"])
  })

  it("are those of what has them now, where one was forgotten and set again within that turn", () => {
    const { deadlines, missed, set, tick } = setup()
    set("a", 10)
    tick.advance(10)
    deadlines.forget("a")
    set("a", 10)
    tick.end()
    assert.deepStrictEqual(missed, [])
    tick.advance(10)
    tick.end()
    assert.deepStrictEqual(missed, ["a"])
  })
})
