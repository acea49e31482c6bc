/** Requests that a busy worker is given ahead of their turn. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, type Policy } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hasEnded, stateOf, eventually } from "./support/marked.ts"
import { Quitter, quitter } from "./support/quitter.ts"
import { seeded } from "./support/random.ts"
import { Suspect, suspect } from "./support/suspect.ts"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("suspect.ts")

const on =
  (policy: Policy.Policy) =>
  <A, E>(body: Effect.Effect<A, E, Suspect>) =>
    body.pipe(
      Effect.provide(Layer.provideMerge(Suspect.serve(suspect, { policy }), MemoryServer.layer(Suspect))),
      Effect.provide(Logger.layer([]))
    )

/** On a connection of its own; it is under way when this returns. */
const asked = (line: string) =>
  Effect.gen(function* () {
    const client = yield* Suspect.client
    const fiber = yield* Effect.forkScoped(client.send(line), { startImmediately: true })
    return { client, fiber }
  })

/** Until the server has the request of the connection that was opened last. */
const arrived = Effect.flatMap(Suspect, (server) => server.connections).pipe(
  Effect.map((all) => all.toSorted((a, b) => b.id - a.id)[0]?.inFlight),
  Effect.repeat({ until: (inFlight) => inFlight === 1 })
)

const ask = (line: string) => Effect.scoped(Effect.flatMap(Suspect.client, (client) => client.send(line)))

/** Nothing else happens in this program until it is so. What does not come fails the test, instead of holding up all others. */
const block = (until: () => boolean) => {
  const end = performance.now() + 20_000
  while (!until()) if (performance.now() > end) throw new Error("what is waited for has not come in twenty seconds")
}

const count = (tag: "Completed" | "WorkerCrashed" | "Cancelled") =>
  Effect.map(
    Effect.flatMap(Suspect, (server) => server.counts),
    (counts) => counts[tag]
  )

/** The counts of the server, once they are so. */
const counted = (tag: "WorkerCrashed" | "Cancelled", expected: number) =>
  Effect.repeat(count(tag), { until: (now) => now === expected })

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ahead-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

/** A file that requests write into when they are run. */
const file = Effect.map(directory, (directory) => {
  const path = join(directory, "runs")
  return {
    path,
    runs: () => (existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [])
  }
})

/** A request that computes until it is released, however long that is. */
const held = Effect.gen(function* () {
  const path = join(yield* directory, "release")
  const { fiber } = yield* asked(`hold ${path}`)
  const release = Effect.sync(() => writeFileSync(path, ""))
  // Also where the test fails, or its worker would not end.
  yield* Effect.addFinalizer(() => release)
  return { fiber, hasBegun: () => existsSync(`${path}.begun`), release }
})

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const kinds = [
  { kind: "thread", make: WorkerPolicy.thread },
  { kind: "process", make: WorkerPolicy.pool }
] as const

describe.each(kinds)("what a $kind is given ahead", ({ make }) => {
  it.live("is taken back while it computes, as soon as another has nothing to do", () =>
    Effect.gen(function* () {
      const { path, runs } = yield* file
      for (const worker of ["one", "two"]) yield* asked(`write ${path} 100 ${worker}`)
      const long = yield* held
      // Each worker has one to do; these go ahead to both of them, and the rest waits.
      const others = yield* Effect.forEach(Array.from({ length: 20 }), (_, i) => asked(`write ${path} 1 ${i}`))
      yield* Effect.forEach(others, ({ fiber }) => Fiber.join(fiber))
      assert.isUndefined(long.fiber.pollUnsafe(), "the long one is still at it")
      assert.strictEqual(new Set(runs()).size, 22)
      assert.strictEqual(runs().length, 22)
      yield* Effect.andThen(long.release, Fiber.join(long.fiber))
    }).pipe(Effect.scoped, on(make({ size: 2, entry })))
  )

  it.live("is taken back while it computes, also if the others always have something to do", () =>
    Effect.gen(function* () {
      yield* Effect.forEach([1, 2], () => ask("compute 100"), { concurrency: 2 })
      const long = yield* held
      const done = Array.from({ length: 8 }, () => 0)
      // All go on until everyone has had twenty answers, so that there is always something that waits.
      const load = (i: number) =>
        ask("compute 1").pipe(
          Effect.tap(() => Effect.sync(() => done[i]!++)),
          Effect.repeat({ while: () => done.some((n) => n < 20) })
        )
      yield* Effect.forEach(done, (_, i) => load(i), { concurrency: "unbounded" })
      assert.isUndefined(long.fiber.pollUnsafe(), "the long one is still at it")
      yield* Effect.andThen(long.release, Fiber.join(long.fiber))
    }).pipe(Effect.scoped, on(make({ size: 2, entry })))
  )

  it.live("is handled by another when it crashes, which costs one request", () =>
    Effect.gen(function* () {
      const { path, runs } = yield* file
      yield* asked("compute 200")
      const crash = yield* asked("exit 3")
      const others = yield* Effect.forEach(Array.from({ length: 6 }), (_, i) => asked(`write ${path} 1 ${i}`))
      assert(Exit.isFailure(yield* Fiber.await(crash.fiber)))
      yield* Effect.forEach(others, ({ fiber }) => Fiber.join(fiber))
      assert.deepStrictEqual(
        runs(),
        others.map((_, i) => `write ${path} 1 ${i}`)
      )
      assert.strictEqual(yield* count("WorkerCrashed"), 1)
    }).pipe(Effect.scoped, on(make({ size: 1, entry })))
  )

  it.live("has its deadline from when it begins", () =>
    Effect.gen(function* () {
      // Together they take longer than one may, and each far less.
      const all = yield* Effect.forEach(Array.from({ length: 12 }), () => asked("compute 100"))
      yield* Effect.forEach(all, ({ fiber }) => Fiber.join(fiber))
      assert.strictEqual(yield* count("WorkerCrashed"), 0)
      const last = yield* held
      assert(Exit.isFailure(yield* Fiber.await(last.fiber)))
      assert.strictEqual(yield* count("WorkerCrashed"), 1)
    }).pipe(Effect.scoped, on(make({ size: 1, entry, deadline: "1 second" })))
  )

  it.live("never begins when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const { path, runs } = yield* file
      let before = yield* held
      // More than can be given ahead at a time: each of them makes room for the next.
      for (let i = 1; i <= 40; i++) {
        const gone = yield* asked(`write ${path} 0 ${i}`)
        // Its worker has it, too.
        yield* Effect.andThen(arrived, turn)
        yield* gone.client.reset
        yield* counted("Cancelled", i)
        const next = yield* held
        yield* arrived
        yield* Effect.andThen(before.release, Fiber.join(before.fiber))
        before = next
      }
      const last = yield* asked(`write ${path} 0 last`)
      yield* before.release
      yield* Fiber.join(last.fiber)
      assert.deepStrictEqual(runs(), [`write ${path} 0 last`])
      assert.strictEqual(yield* count("Cancelled"), 40)
    }).pipe(Effect.scoped, on(make({ size: 1, entry })))
  )

  it.live("is answered when the server stops meanwhile", () =>
    Effect.gen(function* () {
      const all = yield* Effect.forEach(Array.from({ length: 8 }), (_, i) => asked(`compute 50 ${i}`))
      yield* arrived
      yield* Effect.flatMap(Suspect, (server) => server.shutdown)
      for (const [i, { fiber }] of all.entries())
        assert.match(yield* Fiber.join(fiber), new RegExp(` compute 50 ${i}$`))
    }).pipe(Effect.scoped, on(make({ size: 1, entry })))
  )

  it.live.each(["stop", "stop later"])("is answered when the handler before it stops the server: %s", (stop) =>
    Effect.gen(function* () {
      const lines = ["one", stop, "three", "four", "five"]
      const all = yield* Effect.forEach(lines, (line) =>
        Effect.flatMap(Quitter.client, (client) => Effect.forkScoped(client.send(line), { startImmediately: true }))
      )
      assert.deepStrictEqual(yield* Effect.forEach(all, Fiber.join), lines)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Quitter.serve(quitter, {
            policy: make({ size: 1, entry: entryOf("quitter.ts") })
          }),
          MemoryServer.layer(Quitter)
        )
      ),
      Effect.provide(Logger.layer([]))
    )
  )

  it.live("is not charged with the deadline of another, of which this program hears late", () =>
    Effect.gen(function* () {
      yield* ask("compute 1")
      const first = yield* asked("compute 40")
      const second = yield* held
      // Both have left, which takes more turns than one now and then.
      yield* Effect.andThen(arrived, Effect.repeat(turn, { times: 20 }))
      const start = performance.now()
      // The second has begun, and the deadline of the first is over, when this program hears of either.
      yield* Effect.sync(() => block(() => second.hasBegun() && performance.now() - start > 500))
      yield* Fiber.join(first.fiber)
      yield* Effect.andThen(second.release, Fiber.join(second.fiber))
      assert.strictEqual(yield* count("WorkerCrashed"), 0)
    }).pipe(Effect.scoped, on(make({ size: 1, entry, deadline: "500 millis" })))
  )

  it.live("counts as waiting, and what is too much waits on its connection", () =>
    Effect.gen(function* () {
      const long = yield* held
      const waiting = yield* Effect.forEach(Array.from({ length: 6 }), () => asked("compute 0"))
      yield* arrived
      assert.isUndefined(long.fiber.pollUnsafe())
      yield* long.release
      yield* Effect.forEach([long, ...waiting], ({ fiber }) => Fiber.join(fiber))
      assert.strictEqual(yield* count("Completed"), 7)
    }).pipe(Effect.scoped, on(make({ size: 1, entry, queue: 3 })))
  )

  it.live("is replaced with a worker that has handled its number", () =>
    Effect.gen(function* () {
      const all = yield* Effect.forEach(Array.from({ length: 9 }), (_, i) => asked(`compute 5 ${i}`))
      const who = yield* Effect.forEach(all, ({ fiber }) => Fiber.join(fiber))
      const names = who.map((answer) => answer.split(" ")[0])
      for (const name of names) assert.strictEqual(names.filter((other) => other === name).length, 3)
    }).pipe(Effect.scoped, on(make({ size: 1, entry, recycle: 3 })))
  )
})

describe("a process that answers, and then crashes over what it had ahead", () => {
  it.live("costs one request, though this program was busy and writes to it before it reads", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 4; i++) {
        const pid = Number((yield* ask("compute 1")).split(" ")[0])
        const first = yield* asked("compute 50")
        const crash = yield* asked("exit 3")
        // Both have left.
        yield* Effect.andThen(arrived, turn)
        const client = yield* Suspect.client
        // In the turn in which what follows is sent, or in one of the next.
        const later = (turns: number): void =>
          void (turns === 0 ? block(() => hasEnded(pid)) : setImmediate(() => later(turns - 1)))
        setImmediate(() => later(i))
        const next = yield* Effect.forkScoped(client.send("compute 1"), { startImmediately: true })
        yield* Fiber.join(first.fiber)
        assert(Exit.isFailure(yield* Fiber.await(crash.fiber)))
        yield* Fiber.join(next)
      }
      assert.strictEqual(yield* count("WorkerCrashed"), 4)
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 1, entry })))
  )
})

describe("an idle process that is killed", () => {
  it.live("costs no request, though one is sent to it before this program hears of its end", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) {
        const pid = Number((yield* ask("compute 1")).split(" ")[0])
        // It has said all that it has to say.
        yield* eventually(() => stateOf(pid) === "asleep")
        yield* turn
        process.kill(pid, "SIGKILL")
        assert.notStrictEqual(Number((yield* ask("compute 1")).split(" ")[0]), pid)
      }
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 1, entry })))
  )
})

describe("workers that are killed at random", () => {
  it.live("cost one request each, and run none twice", () =>
    Effect.gen(function* () {
      const { path, runs } = yield* file
      const random = yield* seeded
      const pids = new Set<number>()
      let kills = 0
      const kill = () => {
        const all = [...pids]
        const pid = all[Math.floor(random() * all.length)] as number
        pids.delete(pid)
        // It may have been killed before what it had said was read.
        if (!hasEnded(pid) && process.kill(pid, "SIGKILL")) kills++
      }
      let answered = 0
      let failed = 0
      let asked = 0
      const one = Effect.suspend(() => ask(`write ${path} 2 ${asked++}`))
      const load = one.pipe(
        Effect.match({
          onSuccess: (answer) => {
            pids.add(Number(answer.split(" ")[0]))
            // At any moment: some of what its workers have is begun, and some is ahead.
            if (++answered % 25 === 0) setTimeout(kill, random() * 4)
          },
          onFailure: () => void failed++
        }),
        Effect.repeat({ while: () => kills < 12 })
      )
      yield* Effect.all(
        Array.from({ length: 16 }, () => load),
        { concurrency: "unbounded" }
      )
      assert.isAtMost(failed, kills)
      assert.strictEqual(yield* count("WorkerCrashed"), failed)
      assert.strictEqual(new Set(runs()).size, runs().length, "none is run twice")
      assert.isAtLeast(runs().length, answered)
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 3, entry })))
  )
})
