/** In which order calls that wait are taken. */
import { assert, describe, it } from "@effect/vitest"
import { Turns } from "../src/internal/worker/parent/turns.ts"
import { Asked, AskedConnection } from "./support/askedPool.ts"

type Places = ReadonlyArray<readonly [connection: string, peer: string]>

const setup = (...places: Places) => setupWith(new Turns(), places)

const setupWith = (turns: Turns, places: Places) => {
  const connections = new Map(places.map(([name, peer], i) => [name, new AskedConnection(i + 1, peer)]))
  let arrived = 0
  const calls = new Map<string, Asked>()
  return {
    turns,
    calls,
    /** Each word is a connection and a number. */
    wait: (words: string) => {
      for (const word of words.split(" ")) {
        const call = new Asked(word, connections.get(word[0] as string))
        call.arrive(++arrived)
        calls.set(word, call)
        turns.add(call)
      }
    },
    order: () =>
      turns
        .takeAll()
        .map((call) => (call as Asked).text)
        .join(" ")
  }
}

describe("calls that wait", () => {
  it("are taken peer by peer, of a peer connection by connection, of a connection as they came", () => {
    const test = setup(["a", "one"], ["b", "one"], ["c", "two"])
    test.wait("a1 a2 a3 b1 b2 c1")
    assert.strictEqual(test.order(), "a1 c1 b1 a2 b2 a3")
    assert.strictEqual(test.turns.connections, 0)
  })

  it("are passed over while they may not begin, and keep their turn", () => {
    const test = setup(["a", "one"], ["b", "two"])
    test.wait("a1 b1 a2 b2")
    assert.strictEqual((test.turns.next((call) => (call as Asked).text !== "a1") as Asked).text, "b1")
    assert.strictEqual(test.order(), "a1 b2 a2")
  })

  it("come before all others when they come back, as they came", () => {
    const test = setup(["a", "one"], ["b", "two"], ["c", "two"])
    test.wait("a1 b1 b2 c1")
    const [first, second] = [test.turns.next(), test.turns.next()] as [Asked, Asked]
    test.wait("a2")
    test.turns.putBack([second, first])
    assert.strictEqual(test.order(), "a1 b1 c1 a2 b2")
  })

  it("that were given ahead come back as if they had not been: their peer waits where it does", () => {
    const test = setup(["a", "one"], ["b", "two"])
    test.wait("a1 a2 a3")
    const given = [test.turns.next(), test.turns.next()] as [Asked, Asked]
    test.wait("b1")
    test.turns.restore(given, "first")
    assert.strictEqual(test.order(), "a1 b1 a2 a3")
  })

  it("that were given ahead come back first or last where nothing else of theirs waits", () => {
    for (const [place, order] of [
      ["first", "a1 b1 c1 c2"],
      ["last", "c1 a1 c2 b1"]
    ] as const) {
      const test = setup(["a", "one"], ["b", "two"], ["c", "three"], ["d", "one"])
      test.wait("a1 b1 c1 c2")
      const given = [test.turns.next(), test.turns.next()] as [Asked, Asked]
      test.turns.restore(given, place)
      assert.strictEqual(test.turns.connections, 3)
      assert.strictEqual(test.order().replace("c1 b1 a1 c2", "c1 a1 c2 b1"), order)
    }
  })

  it("are let go of when nobody waits for them", () => {
    const test = setup(["a", "one"], ["b", "two"])
    test.wait("a1 a2 b1")
    for (const name of ["a1", "b1"]) test.calls.get(name)?.finish()
    test.turns.sweep()
    assert.strictEqual(test.turns.connections, 1)
    assert.strictEqual(test.order(), "a2")
  })
})

describe("calls that wait where a turn is the start of a process", () => {
  const begin = (test: ReturnType<typeof setupWith>) => (test.turns.next() as Asked | undefined)?.text

  it("are taken before others of their peer if their connection has had none, three times in a row at most", () => {
    const test = setupWith(
      new Turns("firstTimersFirst"),
      [..."abcwxyz"].map((name) => [name, "one"] as const)
    )
    test.wait("a1 b1 c1")
    assert.deepStrictEqual([begin(test), begin(test), begin(test)], ["a1", "b1", "c1"])
    test.wait("a2 b2 c2 w1 x1 y1 z1")
    assert.deepStrictEqual(
      Array.from({ length: 4 }, () => begin(test)),
      ["w1", "x1", "y1", "a2"]
    )
    test.wait("a3 x2")
    assert.strictEqual(test.order(), "z1 b2 c2 a3 x2")
  })

  it("are taken peer by peer, whoever is new", () => {
    const test = setupWith(new Turns("firstTimersFirst"), [
      ["a", "one"],
      ["b", "two"],
      ["c", "two"],
      ["d", "two"]
    ])
    test.wait("a1 b1")
    assert.deepStrictEqual([begin(test), begin(test)], ["a1", "b1"])
    test.wait("a2 a3 b2 c1 d1")
    assert.strictEqual(test.order(), "a2 c1 a3 d1 b2")
  })

  it("are passed over while they may not begin, and when nobody waits for them", () => {
    const test = setupWith(new Turns("firstTimersFirst"), [
      ["a", "one"],
      ["b", "one"],
      ["c", "one"]
    ])
    test.wait("a1")
    assert.strictEqual(begin(test), "a1")
    test.wait("a2 b1 c1")
    test.calls.get("c1")?.finish()
    assert.strictEqual((test.turns.next((call) => (call as Asked).text !== "b1") as Asked).text, "a2")
    test.turns.sweep()
    assert.strictEqual(test.order(), "b1")
    assert.strictEqual(test.turns.connections, 0)
  })
})
