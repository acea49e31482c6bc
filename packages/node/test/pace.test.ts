/** How much workers are given ahead: as much as they do in a moment. */
import { assert, describe, it } from "@effect/vitest"
import { Pace } from "../src/internal/worker/parent/pace.ts"
import type { WorkerHandle } from "../src/internal/worker/parent/workerHandle.ts"

const worker = (name: string) => ({ name }) as WorkerHandle

describe("the pace of workers", () => {
  const paced = () => {
    let now = 0
    const pace = new Pace({ least: 4, most: 32 }, () => now)
    return {
      pace,
      does: (who: WorkerHandle, count: number, millis: number) => {
        for (let i = 0; i < count; i++) {
          now += millis
          pace.did(who)
        }
      },
      waits: (millis: number) => (now += millis)
    }
  }

  it("is not known at first: they are given a few", () => {
    const { pace } = paced()
    assert.strictEqual(pace.ahead, 4)
    pace.begins(worker("a"))
    assert.strictEqual(pace.ahead, 4)
  })

  it.each([
    [0, 32],
    [0.01, 32],
    [0.05, 20],
    [0.1, 10],
    [0.24, 4],
    [10, 4],
    [60_000, 4]
  ])("of %d ms for each gives %d ahead", (millis, ahead) => {
    const { does, pace } = paced()
    const one = worker("a")
    pace.begins(one)
    does(one, 100, millis)
    assert.strictEqual(pace.ahead, ahead)
  })

  it("is less at once where one takes long, and more again when many have not", () => {
    const { does, pace } = paced()
    const one = worker("a")
    pace.begins(one)
    does(one, 100, 0.01)
    does(one, 1, 20)
    assert.strictEqual(pace.ahead, 4)
    does(one, 50, 0.01)
    assert.strictEqual(pace.ahead, 7)
    does(one, 150, 0.01)
    assert.strictEqual(pace.ahead, 32)
  })

  it("does not count the time in which there was nothing to do", () => {
    const { does, pace, waits } = paced()
    const one = worker("a")
    for (let i = 0; i < 100; i++) {
      pace.begins(one)
      does(one, 1, 0.01)
      waits(1_000)
    }
    assert.strictEqual(pace.ahead, 32)
  })

  it("is late where each of the others has done more than it has ahead", () => {
    const { does, pace } = paced()
    const [one, other, third] = [worker("a"), worker("b"), worker("c")]
    for (const each of [one, other, third]) pace.begins(each)
    does(other, 4, 1)
    assert.isFalse(pace.isLate(one))
    does(other, 1, 1)
    assert.isTrue(pace.isLate(one))
    // What several do is shared out among them.
    does(third, 1, 1)
    assert.isFalse(pace.isLate(one))
    does(third, 3, 1)
    assert.isTrue(pace.isLate(one))
    pace.begins(one)
    assert.isFalse(pace.isLate(one))
  })

  it("allows the quick more before one is late", () => {
    const { does, pace } = paced()
    const [one, other] = [worker("a"), worker("b")]
    for (const each of [one, other]) pace.begins(each)
    does(other, 32, 0.01)
    assert.isFalse(pace.isLate(one))
    does(other, 1, 0.01)
    assert.isTrue(pace.isLate(one))
  })
})

describe("a worker that has ended", () => {
  it("does not count among those that others are compared with", () => {
    let now = 0
    const pace = new Pace({ least: 4, most: 32 }, () => now)
    const [slow, quick, ended] = [worker("slow"), worker("quick"), worker("ended")]
    for (const one of [slow, quick, ended]) pace.begins(one)
    for (const one of [quick, quick, quick, quick, quick, ended]) {
      now += 10
      pace.did(one)
    }
    // Two have done six.
    assert.isFalse(pace.isLate(slow))
    pace.drop(ended)
    assert.isTrue(pace.isLate(slow))
  })
})
