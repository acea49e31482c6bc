/** How copies start, are replaced and end: seen from their supervisor, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { ScriptedCopies, type ScriptedCopy } from "./support/scriptedCopies.ts"

describe("copies that start", () => {
  it("begin with one alone; the last one says where they listen, when all others do", () => {
    const copies = new ScriptedCopies(4)
    assert.deepStrictEqual(
      copies.all.map(({ standing }) => standing),
      ["silent"]
    )
    copies.at(0).ready()
    assert.deepStrictEqual(
      copies.all.map(({ standing }) => standing),
      ["silent", "silent", "silent"]
    )
    copies.at(2).ready()
    assert.lengthOf(copies.all, 3)
    copies.at(1).ready()
    assert.deepStrictEqual(
      copies.all.map(({ standing }) => standing),
      ["silent", "silent", "silent", "announces"]
    )
  })

  it.each([1, 2, 3])("end the program where copy %i of 3 cannot: in its words, and never in a loop", (which) => {
    const copies = new ScriptedCopies(3)
    for (let i = 0; i < which - 1; i++) copies.at(i).ready()
    copies.last.say({ problem: "Cannot bind it" })
    copies.last.ends({ exitCode: 7 })
    assert.deepStrictEqual(copies.said, ["Cannot bind it"])
    for (const copy of copies.all.slice(0, -1)) {
      assert.deepStrictEqual(copy.told, ["stop"])
      copy.ends({ exitCode: 0 })
    }
    assert.strictEqual(copies.status, 7)
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, which)
  })

  it("say what is known of one that has said nothing of its end", () => {
    const copies = new ScriptedCopies(1)
    copies.last.say({ uncaught: "listen EADDRINUSE: address already in use :::9090" })
    copies.last.ends({ exitCode: 1 })
    assert.match(
      copies.said.join("\n"),
      /^copy 1 exited with 1 \(listen EADDRINUSE: address already in use :::9090\. .*NodeServer\.onlyParent\(layer\)\)$/
    )
    assert.strictEqual(copies.status, 1)
  })

  it.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])(
    "are started again where %s from elsewhere has ended the first",
    (signal) => {
      const copies = new ScriptedCopies(2)
      copies.last.ends({ signal })
      assert.strictEqual(copies.status, undefined)
      copies.tick.advance(100)
      copies.last.ready()
      copies.last.ready()
      assert.deepStrictEqual(
        copies.all.map(({ standing }) => standing),
        ["silent", "silent", "announces"]
      )
    }
  )

  it("have so much time for it, and no more", () => {
    const copies = new ScriptedCopies(1, { startMillis: 5_000 })
    copies.last.listens()
    copies.tick.advance(4_999)
    assert.deepStrictEqual([copies.said, copies.last.told], [[], []])
    copies.tick.advance(1)
    assert.deepStrictEqual(copies.said, ["copy 1 was not ready within 5000 ms"])
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.last.ends({ exitCode: 0 })
    assert.strictEqual(copies.status, 1)
  })
})

describe("a copy that ends", () => {
  it("is followed by another after a while, a longer one each time; from the start where it had lived for long", () => {
    const copies = ScriptedCopies.serving(1)
    for (const delay of [100, 200, 400, 800]) {
      copies.last.ends({ exitCode: 9 })
      const count = copies.all.length
      assert.match(
        copies.said.at(-1) ?? "",
        new RegExp(`^copy ${count} exited with 9; another is started in ${delay} ms$`)
      )
      copies.tick.advance(delay - 1)
      assert.lengthOf(copies.all, count)
      copies.tick.advance(1)
      assert.strictEqual(copies.last.standing, "follows")
      copies.last.ready()
    }
    copies.tick.advance(10_001)
    copies.last.ends({ signal: "SIGSEGV" })
    assert.strictEqual(copies.said.at(-1), "copy 5 was ended by SIGSEGV; another is started in 100 ms")
  })

  it("is not to blame where somebody has killed it", () => {
    const copies = ScriptedCopies.serving(1)
    for (let i = 0; i < 4; i++) {
      copies.last.ends({ signal: "SIGKILL" })
      assert.match(copies.said.at(-1) ?? "", /another is started in 100 ms$/)
      copies.tick.advance(100)
      copies.last.ready()
    }
  })

  it("is tried again for as long as it takes, where it had served", () => {
    const copies = ScriptedCopies.serving(1)
    copies.last.ends({ exitCode: 1 })
    for (let i = 0; i < 20; i++) {
      copies.tick.advance(10_000)
      copies.last.say({ problem: "no database" })
      copies.last.ends({ exitCode: 1 })
      assert.match(copies.said.at(-1) ?? "", /^copy \d+ exited with 1 \(no database\); another is started in \d+ ms$/)
    }
    assert.strictEqual(copies.status, undefined)
  })
})

describe("a place without a copy", () => {
  it("is the next one's meanwhile, and its own again when it has one", () => {
    const copies = ScriptedCopies.serving(3)
    copies.at(1).ends({ signal: "SIGKILL" })
    assert.deepStrictEqual([copies.at(0).told, copies.at(2).told], [[], ["borrow 1"]])
    // It is started after a while, and fails.
    copies.tick.advance(100)
    copies.last.ends({ exitCode: 1 })
    assert.deepStrictEqual(copies.at(2).told, ["borrow 1"])
    copies.tick.advance(200)
    copies.last.listens()
    assert.deepStrictEqual(copies.at(2).told, ["borrow 1"])
    copies.last.ready()
    assert.deepStrictEqual(copies.at(2).told, ["borrow 1", "giveBack 1"])
    assert.deepStrictEqual(copies.at(0).told, [])
  })

  it("is another one's where that has none either, and nobody's where there is none at all", () => {
    const copies = ScriptedCopies.serving(3)
    copies.at(1).ends({ signal: "SIGKILL" })
    copies.at(2).ends({ signal: "SIGKILL" })
    assert.deepStrictEqual(copies.at(2).told, ["borrow 1"])
    assert.deepStrictEqual(copies.at(0).told.toSorted(), ["borrow 1", "borrow 2"])
    copies.at(0).ends({ signal: "SIGKILL" })
    copies.tick.advance(100)
    const [, , , ...next] = copies.all
    const [first, second, third] = next as [ScriptedCopy, ScriptedCopy, ScriptedCopy]
    first.ready()
    assert.lengthOf(first.told, 2)
    second.ready()
    third.ready()
    const lent = first.told.slice(0, 2)
    const given = lent.map((told) => told.replace("borrow", "giveBack"))
    assert.deepStrictEqual(first.told.slice(2).toSorted(), given.toSorted())
    assert.deepStrictEqual([...second.told, ...third.told], [])
  })

  it("is so as well where its copy gives no sign of life, and where the one that has it is replaced", () => {
    const copies = ScriptedCopies.serving(2)
    copies.at(0).lives = false
    copies.tick.advance(6_250)
    assert.deepStrictEqual(copies.at(1).told, ["borrow 0"])
    copies.supervisor.restart()
    const next = copies.last
    next.ready()
    assert.include(copies.at(1).told, "giveBack 0")
  })

  it("is nobody's at a stop", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.stop(143)
    copies.at(0).ends({ exitCode: 0 })
    assert.deepStrictEqual(copies.at(1).told, ["stop"])
  })
})

describe("a copy that hangs", () => {
  it("is replaced at half of its time, and killed at the end of it", () => {
    const copies = ScriptedCopies.serving(2)
    const [, hung] = copies.all as [unknown, ScriptedCopies["last"]]
    hung.lives = false
    copies.tick.advance(4_999)
    assert.lengthOf(copies.all, 2)
    copies.tick.advance(1_251)
    assert.deepStrictEqual(copies.said, [
      "copy 2 has given no sign of life for 5000 ms; another is started in its place"
    ])
    const next = copies.last
    assert.strictEqual(next.standing, "follows")
    next.ready()
    copies.tick.advance(2_500)
    assert.deepStrictEqual(hung.told, ["retire"])
    copies.tick.advance(2_500)
    assert.deepStrictEqual(hung.told, ["retire", "SIGKILL"])
    hung.ends({ signal: "SIGKILL" })
    assert.strictEqual(copies.said.at(-1), "copy 2 was ended by SIGKILL (its event loop has not turned for 10000 ms)")
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, 3)
  })

  it("loses nothing where it goes on in time: it drains, since another one is there", () => {
    const copies = ScriptedCopies.serving(1)
    const busy = copies.last
    busy.lives = false
    copies.tick.advance(6_250)
    copies.last.ready()
    copies.tick.advance(1_500)
    assert.deepStrictEqual(busy.told, ["retire"])
    busy.lives = true
    copies.tick.advance(2_500)
    assert.deepStrictEqual(busy.told, ["retire", "stop"])
    busy.ends({ exitCode: 0 })
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, 2)
  })

  it("is followed by another where the one for its place does not start", () => {
    const copies = ScriptedCopies.serving(1)
    const hung = copies.last
    hung.lives = false
    copies.tick.advance(6_250)
    copies.last.ends({ exitCode: 3 })
    assert.strictEqual(copies.said.at(-1), "copy 2 exited with 3")
    copies.tick.advance(5_000)
    assert.deepStrictEqual(hung.told, ["SIGKILL"])
    hung.ends({ signal: "SIGKILL" })
    copies.tick.advance(100)
    assert.lengthOf(copies.all, 3)
  })

  it.each([
    { way: "while a debugger holds it", limits: {}, debugged: true },
    { way: "where that is off", limits: { hangMillis: Infinity }, debugged: false }
  ])("is left alone $way", ({ debugged, limits }) => {
    const copies = ScriptedCopies.serving(1, limits)
    copies.last.debugged = debugged
    copies.tick.advance(2_500)
    copies.last.lives = false
    copies.tick.advance(600_000)
    assert.deepStrictEqual([copies.said, copies.last.told, copies.all.length], [[], [], 1])
  })

  it("is none while it gives signs of life", () => {
    const copies = ScriptedCopies.serving(2)
    copies.tick.advance(600_000)
    assert.deepStrictEqual([copies.said, copies.all.length], [[], 2])
  })
})

describe("a restart", () => {
  it("replaces one copy after the other, and lets each serve on for three seconds", () => {
    const copies = ScriptedCopies.serving(2)
    const [one, two] = copies.all
    copies.supervisor.restart()
    assert.lengthOf(copies.all, 3)
    copies.last.ready()
    assert.lengthOf(copies.all, 4)
    assert.deepStrictEqual([one?.told, two?.told], [["retire"], []])
    copies.tick.advance(3_000)
    assert.deepStrictEqual(one?.told, ["retire", "stop"])
    copies.last.ready()
    copies.tick.advance(3_000)
    assert.deepStrictEqual(two?.told, ["retire", "stop"])
    assert.deepStrictEqual(copies.said, [])
  })

  it("into a program that does not start leaves the old copies, and says why", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.restart()
    copies.last.say({ problem: "no database" })
    copies.last.ends({ exitCode: 1 })
    assert.deepStrictEqual(copies.said, [
      "copy 3 exited with 1 (no database); the restart ends here, and the old copies go on"
    ])
    assert.deepStrictEqual(copies.at(0).told, [])
    copies.supervisor.restart()
    assert.lengthOf(copies.all, 4)
  })

  it("into a program that hangs ends in time, and holds up no other", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.restart()
    copies.last.listens()
    copies.tick.advance(30_000)
    assert.deepStrictEqual(copies.said, [
      "copy 3 was not ready within 30000 ms; the restart ends here, and the old copies go on"
    ])
    assert.deepStrictEqual([copies.at(0).told, copies.at(2).told], [[], ["stop"]])
    copies.supervisor.restart()
    copies.last.ready()
    assert.deepStrictEqual(copies.at(0).told, ["retire"])
  })

  it("gives up the one before it that has not come to its end", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.restart()
    copies.last.ready()
    const hanging = copies.last
    assert.strictEqual(hanging.name, "4")
    copies.supervisor.restart()
    // It has not said that it can be told anything.
    assert.deepStrictEqual(hanging.told, ["SIGTERM"])
    hanging.ends({ signal: "SIGTERM" })
    assert.lengthOf(copies.all, 5)
    copies.last.ready()
    copies.last.ready()
    assert.lengthOf(copies.all, 6)
    assert.deepStrictEqual(copies.said, [])
  })

  it("gives up the one before it in the same place, too", () => {
    const copies = ScriptedCopies.serving(1)
    copies.supervisor.restart()
    const hanging = copies.last
    hanging.listens()
    copies.supervisor.restart()
    assert.deepStrictEqual([hanging.told, copies.all.length], [["stop"], 3])
    copies.last.ready()
    // It is late: another one has the place.
    hanging.ready()
    assert.deepStrictEqual([copies.at(0).told, copies.last.told], [["retire"], []])
  })

  it("waits until all copies are there", () => {
    const copies = new ScriptedCopies(2)
    copies.supervisor.restart()
    copies.last.ready()
    assert.lengthOf(copies.all, 2)
    copies.last.ready()
    assert.lengthOf(copies.all, 3)
    copies.last.ready()
    copies.last.ready()
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, 4)
  })

  it("has one copy in each place, though the old one has died meanwhile", () => {
    const copies = ScriptedCopies.serving(1)
    const [old] = copies.all
    copies.supervisor.restart()
    old?.ends({ signal: "SIGKILL" })
    copies.tick.advance(5_000)
    copies.last.ready()
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, 2)
    assert.deepStrictEqual(copies.last.told, [])
  })
})

describe("a stop", () => {
  it("ends with 0 when all copies have ended, whatever they do, and says what they have done", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.stop(143)
    for (const copy of copies.all) {
      assert.deepStrictEqual(copy.told, ["stop"])
      const counts = { Completed: 3, Drained: 0, Refused: 0 } as never
      copy.say({ stopped: [{ name: "Echo", connections: 2, counts, millis: 5 }] })
    }
    copies.tick.advance(120)
    copies.at(0).ends({ exitCode: 0 })
    assert.strictEqual(copies.status, undefined)
    copies.at(1).ends({ exitCode: 5 })
    assert.strictEqual(copies.status, 0)
    assert.deepStrictEqual(copies.said, [
      "stopped Echo in 120 ms: 6 completed, 0 interrupted, 0 refused, 4 connections"
    ])
  })

  it("during the start ends with 0", () => {
    const copies = new ScriptedCopies(2)
    copies.supervisor.stop(143)
    assert.deepStrictEqual(copies.last.told, ["SIGTERM"])
    copies.last.ends({ signal: "SIGTERM" })
    assert.deepStrictEqual([copies.status, copies.said], [0, []])
  })

  it("is told to a copy that began to listen as its signal came, and let that pass", () => {
    const copies = new ScriptedCopies(1)
    copies.supervisor.stop(143)
    assert.deepStrictEqual(copies.last.told, ["SIGTERM"])
    copies.last.listens()
    assert.deepStrictEqual(copies.last.told, ["SIGTERM", "stop"])
    copies.last.ends({ exitCode: 0 })
    assert.deepStrictEqual([copies.status, copies.said], [0, []])
  })

  it("kills a copy whose loop does not turn when its drain timeout is over", () => {
    const copies = new ScriptedCopies(1)
    copies.last.ready(3_000)
    copies.supervisor.stop(143)
    copies.last.lives = false
    copies.tick.advance(3_000)
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.tick.advance(250)
    assert.deepStrictEqual(copies.last.told, ["stop", "SIGKILL"])
  })

  it("kills one that turns and does not end three seconds after it", () => {
    const copies = new ScriptedCopies(1)
    copies.last.ready(3_000)
    copies.supervisor.stop(143)
    copies.tick.advance(5_999)
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.tick.advance(1)
    assert.deepStrictEqual(copies.last.told, ["stop", "SIGKILL"])
  })

  it.each([
    ["longer", 8_000],
    ["shorter", 1_000]
  ])("gives a copy the time that it says as it begins to stop: %s than when it has started", (_, millis) => {
    const copies = new ScriptedCopies(1)
    copies.last.ready(3_000)
    copies.supervisor.stop(143)
    copies.last.say({ stopMillis: millis })
    copies.tick.advance(millis + 2_999)
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.tick.advance(1)
    assert.deepStrictEqual(copies.last.told, ["stop", "SIGKILL"])
  })

  it("gives a copy that has not started yet the time of those that have", () => {
    const copies = new ScriptedCopies(1)
    copies.last.ready(1_000)
    copies.supervisor.restart()
    copies.last.listens()
    copies.supervisor.stop(143)
    copies.tick.advance(3_999)
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.tick.advance(1)
    assert.deepStrictEqual(copies.last.told, ["stop", "SIGKILL"])
  })

  it("gives a copy whose loop does not turn the time that it has said, too", () => {
    const copies = new ScriptedCopies(1)
    copies.last.ready(3_000)
    copies.supervisor.stop(143)
    copies.last.say({ stopMillis: 8_000 })
    copies.last.lives = false
    copies.tick.advance(8_000)
    assert.deepStrictEqual(copies.last.told, ["stop"])
    copies.tick.advance(250)
    assert.deepStrictEqual(copies.last.told, ["stop", "SIGKILL"])
  })

  it("ends at once when it is asked for a second time", () => {
    const copies = ScriptedCopies.serving(2)
    copies.supervisor.stop(143)
    copies.supervisor.stop(130)
    assert.deepStrictEqual(copies.at(0).told, ["stop", "SIGKILL"])
    assert.strictEqual(copies.status, 130)
  })

  it("starts no other copy for one that has ended, or is replaced", () => {
    const copies = ScriptedCopies.serving(1)
    copies.last.ends({ exitCode: 1 })
    copies.supervisor.stop(143)
    assert.strictEqual(copies.status, 0)
    copies.tick.advance(60_000)
    assert.lengthOf(copies.all, 1)
  })
})

describe("a service manager", () => {
  it("gets no sign of life of copies of which one hangs, until another has its place", () => {
    const copies = ScriptedCopies.serving(2)
    assert.isTrue(copies.isAlive())
    copies.at(1).lives = false
    copies.tick.advance(6_250)
    assert.isFalse(copies.isAlive())
    copies.last.ready()
    assert.isTrue(copies.isAlive())
  })

  it("gets one while a copy that has ended is started again", () => {
    const copies = ScriptedCopies.serving(2)
    copies.at(1).ends({ exitCode: 1 })
    assert.isTrue(copies.isAlive())
  })

  it("gets none where no copy is there", () => {
    const copies = ScriptedCopies.serving(1)
    copies.last.ends({ exitCode: 1 })
    assert.isFalse(copies.isAlive())
  })

  it("hears that all are there, begin anew and have begun, and stop", () => {
    const copies = new ScriptedCopies(2)
    copies.last.ready()
    assert.deepStrictEqual(copies.heard, [])
    copies.last.ready()
    assert.deepStrictEqual(copies.heard, ["ready"])
    copies.supervisor.restart()
    copies.last.ready()
    assert.deepStrictEqual(copies.heard, ["ready", "reloading"])
    copies.last.ready()
    assert.deepStrictEqual(copies.heard, ["ready", "reloading", "ready"])
    copies.supervisor.stop(143)
    assert.deepStrictEqual(copies.heard, ["ready", "reloading", "ready", "stopping"])
  })

  it("hears that a restart is over which has failed", () => {
    const copies = ScriptedCopies.serving(1)
    copies.supervisor.restart()
    copies.last.ends({ exitCode: 1 })
    assert.deepStrictEqual(copies.heard, ["ready", "reloading", "ready"])
  })
})

describe("what copies have counted", () => {
  const counter = (count: number) =>
    ({ id: "c_total", type: "Counter", description: "c", attributes: {}, state: { count, incremental: true } }) as const
  const gauge = (value: number) =>
    ({ id: "g", type: "Gauge", description: "g", attributes: {}, state: { value } }) as const

  /** The sums that somebody is told. */
  const asked = (copies: ScriptedCopies) => {
    const told: Array<Record<string, unknown>> = []
    copies.supervisor.measures.gather((all) => {
      const values = all.map(({ id, state }) => {
        const { count, value } = state as { readonly count?: number; readonly value?: number }
        return [id, count ?? value] as const
      })
      // What others in this process count is no matter.
      told.push(Object.fromEntries(values.filter(([id]) => ["c_total", "g", "socketserver_copies"].includes(id))))
    })
    return told
  }

  it("is added up once all have said it", () => {
    const copies = ScriptedCopies.serving(2)
    const told = asked(copies)
    copies.at(0).say({ measured: [counter(1), gauge(10)] })
    assert.deepStrictEqual(told, [])
    copies.at(1).say({ measured: [counter(2), gauge(20)] })
    assert.deepStrictEqual(told, [{ socketserver_copies: 2, c_total: 3, g: 30 }])
  })

  it("is told to a copy that asks, and to all who ask meanwhile", () => {
    const copies = ScriptedCopies.serving(2)
    copies.at(1).say({ gather: 7 })
    const told = asked(copies)
    for (const copy of copies.all) {
      assert.strictEqual(copy.told.filter((what) => what === "measure").length, 1)
      copy.say({ measured: [counter(4)] })
    }
    assert.deepInclude(told[0], { c_total: 8 })
    assert.deepStrictEqual(
      copies.all.map((copy) => copy.told.at(-1)),
      ["measure", "gathered"]
    )
  })

  it("counts as it was last known, of one that does not answer", () => {
    const copies = ScriptedCopies.serving(2)
    asked(copies)
    for (const copy of copies.all) copy.say({ measured: [counter(5), gauge(1)] })
    const told = asked(copies)
    copies.at(0).say({ measured: [counter(6), gauge(1)] })
    copies.tick.advance(999)
    assert.deepStrictEqual(told, [])
    copies.tick.advance(1)
    assert.deepInclude(told[0], { c_total: 11, g: 2 })
  })

  it("stays when one has ended, and what it had does not", () => {
    const copies = ScriptedCopies.serving(2)
    asked(copies)
    for (const copy of copies.all) copy.say({ measured: [counter(5), gauge(1)] })
    // It is asked with each sign of life, so that little is lost with it.
    copies.tick.advance(1_250)
    copies.at(1).say({ measured: [counter(9), gauge(1)] })
    copies.at(1).ends({ signal: "SIGKILL" })
    const told = asked(copies)
    copies.at(0).say({ measured: [counter(5), gauge(1)] })
    assert.deepStrictEqual(told, [{ socketserver_copies: 1, c_total: 14, g: 1 }])
  })

  it("is told at once where one ends that was waited for, and where there is none", () => {
    const copies = ScriptedCopies.serving(1)
    const told = asked(copies)
    copies.at(0).ends({ exitCode: 1 })
    assert.deepStrictEqual(told, [{ socketserver_copies: 0 }])
    assert.deepStrictEqual(asked(copies), [{ socketserver_copies: 0 }])
  })

  it("is asked for by nobody who does not want it", () => {
    const copies = ScriptedCopies.serving(2)
    copies.tick.advance(60_000)
    assert.isTrue(copies.all.every(({ told }) => !told.includes("measure")))
  })
})
