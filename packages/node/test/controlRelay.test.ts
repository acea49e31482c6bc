import { assert, describe, it } from "@effect/vitest"
import { ControlRelay } from "../src/internal/worker/parent/controlRelay.ts"
import { Ask } from "../src/internal/worker/channel/frames.ts"

const relaying = () => {
  const waiting: Array<string> = []
  const controls = {
    isOver: false,
    onChange: () => {},
    take: () => {
      const payload = waiting.shift()
      return payload === undefined ? undefined : { message: payload, payload }
    }
  }
  const relay = new ControlRelay(controls)
  const worker = () => {
    const told: Array<string> = []
    const tell = (kind: number, body?: Uint8Array | string) =>
      void told.push(kind === Ask.controlEnd ? "end" : kind === Ask.control ? String(body) : `frame ${kind}`)
    return { told, line: { tell } }
  }
  const come = (...payloads: ReadonlyArray<string>) => {
    waiting.push(...payloads)
    controls.onChange()
  }
  const end = () => {
    controls.isOver = true
    controls.onChange()
  }
  return { relay, worker, come, end, waiting }
}

describe("control messages on their way to a worker", () => {
  it("wait until a worker has the request", () => {
    const { come, end, relay, worker } = relaying()
    come("a", "b")
    end()
    const { line, told } = worker()
    relay.begin(line)
    assert.deepStrictEqual(told, ["a", "b", "end"])
    come("late")
    assert.deepStrictEqual(told, ["a", "b", "end", "late"])
  })

  it("are few at a time", () => {
    const { come, relay, waiting, worker } = relaying()
    const { line, told } = worker()
    relay.begin(line)
    come(...Array.from({ length: 40 }, (_, i) => `${i}`))
    assert.deepStrictEqual([told.length, waiting.length], [16, 24])
    relay.credited(10)
    assert.deepStrictEqual([told.length, waiting.length], [26, 14])
    relay.credited(16)
    assert.deepStrictEqual(
      told,
      Array.from({ length: 40 }, (_, i) => `${i}`)
    )
  })

  it("go along where the request goes to another worker, but those that were taken", () => {
    const { come, end, relay, worker } = relaying()
    const [first, second] = [worker(), worker()]
    relay.begin(first.line)
    come("a", "b", "c")
    relay.credited(1)
    end()
    relay.begin(second.line)
    assert.deepStrictEqual(
      [first.told, second.told],
      [
        ["a", "b", "c", "end"],
        ["b", "c", "end"]
      ]
    )
  })

  it("are told to nobody once the request has its answer", () => {
    const { come, end, relay, worker } = relaying()
    const { line, told } = worker()
    relay.begin(line)
    relay.leave()
    come("a")
    end()
    assert.deepStrictEqual(told, [])
  })
})
