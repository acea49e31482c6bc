import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"

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
})
