/** What the system knows of who reads, where it does not take more. */
import { assert, describe, it } from "@effect/vitest"
import { Acknowledged, type Unacknowledged } from "../src/internal/acknowledged.ts"

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                      \n"
const row = (sl: number, queue: number, inode: number) =>
  `${`${sl}`.padStart(4)}: 0100007F:1F90 0100007F:D2A4 01 ${queue.toString(16).toUpperCase().padStart(8, "0")}:00000000 00:00000000 00000000     0        0 ${inode} 1 00000000e24c4c2a 20 4 30 10 -1\n`

const scripted = () => {
  const reads: Array<{ readonly path: string; readonly done: (text: string | undefined) => void }> = []
  const clock = { now: 1_000 }
  const acknowledged = new Acknowledged(
    (path, done) => void reads.push({ path, done }),
    () => clock.now
  )
  return { acknowledged, clock, reads }
}
const socket = (inode: number): Unacknowledged => ({ inode, first: undefined, last: 0 })

describe("what peers have not acknowledged", () => {
  it("is read from the list of IPv4, then from that of IPv6, for all that were asked for", () => {
    const { acknowledged, reads } = scripted()
    const [four, six] = [socket(11), socket(22)]
    acknowledged.ask(four)
    acknowledged.ask(six)
    assert.deepStrictEqual(
      reads.map(({ path }) => path),
      ["/proc/self/net/tcp"]
    )
    reads[0]!.done(head + row(0, 7, 5) + row(1, 2_500_000, 11))
    assert.deepStrictEqual([four.first, four.last], [2_500_000, 2_500_000])
    // The second was asked for after the first look had begun.
    assert.strictEqual(reads.length, 1)
    assert.strictEqual(six.first, undefined)
  })

  it("is looked at again when it is asked for again, and at most twice a second", () => {
    const { acknowledged, clock, reads } = scripted()
    const [one, other] = [socket(11), socket(22)]
    const answer = (queue: number, other: number) => {
      reads.shift()!.done(head + row(0, queue, 11))
      if (reads.length > 0) reads.shift()!.done(head + row(10_000, other, 22))
    }
    acknowledged.ask(one)
    answer(100, 0)
    acknowledged.ask(one)
    acknowledged.ask(other)
    assert.strictEqual(reads.length, 0)
    clock.now += 500
    acknowledged.ask(one)
    answer(60, 50)
    assert.deepStrictEqual([one.first, one.last], [100, 60])
    assert.deepStrictEqual([other.first, other.last], [50, 50])
  })

  it("takes a hundredth of the time at most, however many sockets there are", () => {
    const { acknowledged, clock, reads } = scripted()
    acknowledged.ask(socket(11))
    // It has taken long, as on a busy machine, which does not count.
    clock.now += 400
    reads.shift()!.done(row(0, 1, 11).padEnd(150 * 20_000))
    clock.now += 1_599
    acknowledged.ask(socket(11))
    assert.strictEqual(reads.length, 0)
    clock.now += 1
    acknowledged.ask(socket(11))
    assert.strictEqual(reads.length, 1)
  })

  it("stays unknown where there is no such list", () => {
    const { acknowledged, clock, reads } = scripted()
    const one = socket(11)
    acknowledged.ask(one)
    reads.shift()!.done(undefined)
    reads.shift()!.done(undefined)
    assert.strictEqual(one.first, undefined)
    clock.now += 10_000
    acknowledged.ask(one)
    assert.strictEqual(reads.length, 1)
  })
})
