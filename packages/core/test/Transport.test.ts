import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"

describe("the wire of a client's datagram socket", () => {
  it("stops the reading of the socket while nobody takes, and delivers first what had been read", () => {
    const steps: Array<string> = []
    const wire = Transport.datagramWire({
      peer: Peer.make({ transport: "test", name: "server" }),
      listener: Endpoint.memory("server"),
      maxMessageBytes: 1,
      send: (_, sent) => sent(),
      close: () => steps.push("close"),
      flow: { pause: () => steps.push("pause"), resume: () => steps.push("resume") }
    })
    wire.start({
      onData: ([byte]) => {
        steps.push(`data ${byte}`)
        if (byte === 2) wire.pause()
      },
      onEnd: () => {},
      onDrain: () => {},
      onFinish: () => {},
      onClose: () => {}
    })
    wire.received(Uint8Array.of(1))
    wire.pause()
    wire.received(Uint8Array.of(2))
    wire.received(Uint8Array.of(3))
    wire.resume()
    wire.resume()
    wire.destroy()
    wire.pause()
    assert.deepStrictEqual(steps, ["data 1", "pause", "data 2", "pause", "data 3", "resume", "close"])
  })

  it("keeps what nobody reads, up to 1,024 datagrams", () => {
    const { taken, wire } = unread()
    for (let i = 0; i < 1_025; i++) wire.received(Uint8Array.of(i & 255))
    assert.strictEqual(taken().length, 1_024)
    assert.strictEqual(wire.bytesRead, 1_025)
  })

  it("keeps what nobody reads, up to 1 MiB, and as much again once that is read", () => {
    const { taken, wire } = unread()
    for (let round = 1; round <= 2; round++) {
      for (let i = 0; i < 17; i++) wire.received(new Uint8Array(65_536))
      assert.strictEqual(taken().length, 16 * round)
    }
  })

  it("says that more may be written when all has left, and once", () => {
    const { steps, sent, wire } = unread()
    wire.start(noting(steps))
    assert.isTrue(wire.write(new Uint8Array(65_536)))
    assert.isFalse(wire.write("x"))
    assert.strictEqual(wire.bytesUnsent, 65_537)
    sent[0]!()
    assert.deepStrictEqual(steps, [])
    sent[1]!()
    assert.deepStrictEqual(steps, ["drain"])
    assert.isTrue(wire.write("y"))
    sent[2]!()
    assert.deepStrictEqual(steps, ["drain"])
    assert.strictEqual(wire.bytesWritten, 65_538)
    assert.strictEqual(wire.bytesUnsent, 0)
  })

  it("ends after what has been written, and takes no more", () => {
    const { steps, sent, wire } = unread()
    wire.start(noting(steps))
    wire.write("x")
    wire.end()
    assert.isTrue(wire.write("late"))
    assert.strictEqual(sent.length, 1)
    assert.deepStrictEqual(steps, [])
    sent[0]!()
    assert.deepStrictEqual(steps, ["finish"])
  })

  it("is closed by what could not be sent, and told of it, also when it starts later", async () => {
    for (const late of [false, true]) {
      const { steps, sent, wire } = unread()
      if (!late) wire.start(noting(steps))
      wire.write("x")
      sent[0]!(new Error("ECONNREFUSED"))
      if (late) wire.start(noting(steps))
      await Promise.resolve()
      assert.deepStrictEqual(steps, ["closed", "close ECONNREFUSED"])
      wire.received(Uint8Array.of(1))
      assert.strictEqual(wire.bytesRead, 0)
    }
  })
})

/** A wire that nobody has started, whose sends are the test's to finish. */
const unread = () => {
  const steps: Array<string> = []
  const sent: Array<(error?: unknown) => void> = []
  const data: Array<Uint8Array> = []
  const wire = Transport.datagramWire({
    peer: Peer.make({ transport: "test", name: "server" }),
    listener: Endpoint.memory("server"),
    maxMessageBytes: 65_536,
    send: (_, done) => sent.push(done),
    close: () => steps.push("closed")
  })
  /** All that has been taken, by a reader that pauses afterwards. */
  const taken = () => {
    wire.resume()
    if (data.length === 0) wire.start({ ...noting(steps), onData: (datagram) => data.push(datagram) })
    wire.pause()
    return data
  }
  return { steps, sent, taken, wire }
}

const noting = (steps: Array<string>): Wire.Receiver => ({
  onData: () => steps.push("data"),
  onEnd: () => steps.push("end"),
  onDrain: () => steps.push("drain"),
  onFinish: () => steps.push("finish"),
  onClose: (error) => steps.push(`close ${error instanceof Error ? error.message : String(error)}`)
})
