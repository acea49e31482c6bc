import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Outcome, Policy, Response } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { children, descriptors, eventually } from "./support/marked.ts"
import { Restless } from "./support/restless.ts"
import { Keeper, keeper, Suspect, suspect } from "./support/suspect.ts"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("suspect.ts")

const quiet = Logger.layer([])

const on =
  (policy: Policy.Policy, options?: Parameters<typeof Suspect.serve>[1]) =>
  <A, E>(body: Effect.Effect<A, E, Suspect>) =>
    body.pipe(
      Effect.provide(Layer.provideMerge(Suspect.serve(suspect, { ...options, policy }), MemoryServer.layer(Suspect))),
      Effect.provide(quiet)
    )

const outcomes = Effect.gen(function* () {
  const server = yield* Suspect
  const events = yield* Queue.unbounded<Outcome.Event>()
  yield* Effect.forkScoped(
    Stream.runForEach(server.outcomes, (event) => Queue.offer(events, event)),
    { startImmediately: true }
  )
  return Effect.map(Queue.take(events), ({ outcome }) => outcome)
})

const ask = (line: string) => Effect.scoped(Effect.flatMap(Suspect.client, (client) => client.send(line)))
const whoOf = (answer: string) => answer.split(" ")[0]!

interface Way {
  readonly request: string
  readonly options?: WorkerPolicy.WorkerOptions
  readonly process: Partial<Outcome.WorkerCrashed>
  readonly thread?: Partial<Outcome.WorkerCrashed>
}

const ways: ReadonlyArray<Way> = [
  { request: "exit 3", process: { exitCode: 3, signal: undefined }, thread: { exitCode: 3 } },
  { request: "throw", process: { exitCode: 1 }, thread: { exitCode: 1, reason: "nobody catches this" } },
  { request: "kill SIGKILL", process: { exitCode: undefined, signal: "SIGKILL" } },
  {
    // A frame that is too short for its kind.
    request: "garble 000000002600000000",
    process: {
      signal: "SIGKILL",
      reason: "what it sent cannot be read: Attempt to access memory outside buffer bounds"
    }
  },
  {
    request: `garble ${Buffer.from("hello world\n").toString("hex")}`,
    process: { signal: "SIGKILL", reason: "what it sent cannot be read: there is no such frame" }
  },
  { request: "abort", process: { signal: "SIGABRT" } },
  {
    request: "fill",
    options: { memory: 48 },
    process: { signal: "SIGABRT", reason: "out of memory, of which it may have 48 MiB" },
    thread: { reason: "out of memory, of which it may have 48 MiB" }
  },
  {
    request: "spin",
    options: { deadline: "1 second" },
    process: { signal: "SIGKILL", reason: "it took longer than 1000 ms for a request" },
    thread: { signal: "termination", reason: "it took longer than 1000 ms for a request" }
  }
]

const places = [
  { name: "thread:1", kind: "thread", make: (o: WorkerPolicy.WorkerOptions) => WorkerPolicy.thread({ ...o, size: 1 }) },
  {
    name: "pool:1",
    kind: "process",
    make: (o: WorkerPolicy.WorkerOptions) => WorkerPolicy.pool({ ...o, size: 1 })
  },
  {
    name: "process",
    kind: "process",
    make: (o: WorkerPolicy.WorkerOptions) => WorkerPolicy.process({ ...o, max: 2, spares: 1 })
  }
] as const

describe.each(places)("under $name, a worker that is asked to", ({ kind, make }) => {
  const cases = ways.filter((way) => kind === "process" || way.thread !== undefined)
  it.live.each(cases.map((way) => [way.request, way] as const))("%s costs its request, and is replaced", ([, way]) =>
    Effect.gen(function* () {
      const next = yield* outcomes
      const before = whoOf(yield* ask("before"))
      assert.strictEqual((yield* next)._tag, "Completed")
      const client = yield* Suspect.client
      assert.strictEqual((yield* Effect.flip(client.send(way.request))).reason._tag, "Closed")
      const outcome = yield* next
      assert(outcome._tag === "WorkerCrashed", outcome._tag)
      const expected = way[kind]
      assert.deepStrictEqual({ ...outcome, ...expected }, outcome)
      const after = whoOf(yield* ask("after"))
      assert.notStrictEqual(after, before)
      assert.notStrictEqual(after, outcome.worker)
      // From a bundle they start in a fifth of the time. Ahead has the same program without one.
    }).pipe(Effect.scoped, on(make({ entry, bundle: true, ...way.options })))
  )
})

describe("a request whose worker crashes", () => {
  it.live("can be answered, and its connection goes on", () =>
    Effect.gen(function* () {
      const client = yield* Suspect.client
      assert.match(yield* client.send("before"), / before$/)
      assert.strictEqual(yield* client.send("exit 7"), "ERR worker exited with 7")
      assert.match(yield* client.send("after"), / after$/)
      assert.strictEqual((yield* Effect.flatMap(Suspect, (server) => server.counts)).WorkerCrashed, 1)
    }).pipe(
      Effect.scoped,
      on(WorkerPolicy.pool({ size: 1, entry }), {
        onWorkerCrashed: ({ exitCode }) => Response.make(`ERR worker exited with ${exitCode}`)
      })
    )
  )

  it.live.each([
    { idempotent: false, tries: 1 },
    { idempotent: true, tries: 3 }
  ])("is tried $tries times where it is idempotent: $idempotent", ({ idempotent, tries }) =>
    Effect.gen(function* () {
      const directory = mkdtempSync(join(tmpdir(), "crash-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
      const next = yield* outcomes
      yield* Effect.flip(ask(`note ${join(directory, "tries")}`))
      assert.strictEqual((yield* next)._tag, "WorkerCrashed")
      assert.strictEqual(readFileSync(join(directory, "tries"), "utf8").length, tries)
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 1, entry, idempotent })))
  )
})

describe("connections whose state is in a worker", () => {
  const on = (policy: Policy.Policy) => Layer.provideMerge(Keeper.serve(keeper, { policy }), MemoryServer.layer(Keeper))

  it.live("end with it, those without a request too, and only those", () =>
    Effect.gen(function* () {
      const clients: Array<Effect.Success<typeof Keeper.client>> = []
      const workers: Array<string> = []
      // The second worker may be ready a little later.
      while (clients.length < 4 || new Set(workers).size < 2) {
        const client = yield* Keeper.client
        clients.push(client)
        workers.push(whoOf(yield* client.send("who")))
      }
      yield* Effect.flip(clients[0]!.send("kill SIGKILL"))
      for (const [i, client] of clients.entries()) {
        if (workers[i] === workers[0]) yield* Effect.flip(client.take)
        else assert.deepStrictEqual([yield* client.send("count"), yield* client.send("count")], ["1", "2"])
      }
      const client = yield* Keeper.client
      assert.strictEqual(yield* client.send("count"), "1")
    }).pipe(Effect.scoped, Effect.provide(on(WorkerPolicy.pool({ size: 2, entry }))), Effect.provide(quiet))
  )

  it.live("keep it after its number of requests, and it takes others meanwhile", () =>
    Effect.gen(function* () {
      const ask = (line: string) => Effect.flatMap(Keeper.client, (client) => client.send(line))
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const who = whoOf(yield* ask("who"))
          for (let i = 0; i < 3; i++) assert.strictEqual(whoOf(yield* ask("who")), who)
          return who
        })
      )
      yield* Effect.scoped(ask("who")).pipe(Effect.repeat({ until: (who) => whoOf(who) !== first }))
    }).pipe(Effect.scoped, Effect.provide(on(WorkerPolicy.pool({ size: 1, entry, recycle: 2 }))), Effect.provide(quiet))
  )

  it.live("need a worker that stays", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(on(WorkerPolicy.process({ entry })))))
      assert.match(error.message, /a process for each request has none to keep it in; take pool or thread/)
    })
  )
})

describe("workers that end by themselves before they are used", () => {
  it.live("are started less and less often, and it is said why", () =>
    Effect.gen(function* () {
      const lines = yield* Queue.unbounded<string>()
      const logger = Logger.layer([
        Logger.make(({ message }) => void Queue.offerUnsafe(lines, [message].flat().join(" ")))
      ])
      const entry = entryOf("restless.ts")
      yield* Layer.build(
        Layer.provideMerge(
          Restless.serve(() => Effect.never, { policy: WorkerPolicy.pool({ size: 1, entry }) }),
          MemoryServer.layer(Restless)
        )
      ).pipe(Effect.provide(logger))
      for (const delay of [100, 200, 400]) {
        assert.match(
          yield* Queue.take(lines),
          new RegExp(`^Restless: worker \\d+ exited with 9 before it was used; the next start is in ${delay} ms$`)
        )
      }
    }).pipe(Effect.scoped)
  )
})

describe("requests that wait for a worker", () => {
  it.live("are refused by nobody when they are too many: they wait on their connections, and others are accepted", () =>
    Effect.gen(function* () {
      const server = yield* Suspect
      const stuck = yield* Suspect.client
      yield* stuck.write("never")
      const clients = yield* Effect.all(Array.from({ length: 5 }, () => Suspect.client))
      const asked = yield* Effect.forEach(clients, (client) => Effect.forkChild(client.send("compute 0")))
      yield* Effect.repeat(server.connections, {
        until: (all) => all.filter(({ inFlight }) => inFlight > 0).length === 6
      })
      yield* Suspect.rawClient
      yield* stuck.reset
      yield* Effect.forEach(asked, Fiber.join)
      const { Completed, Refused } = yield* server.counts
      assert.deepStrictEqual([Completed, Refused], [5, 0])
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 1, entry, queue: 1 })))
  )
})

describe("a timeout of a policy", () => {
  it.live("interrupts what can be interrupted, and kills a worker that cannot", () =>
    Effect.gen(function* () {
      const next = yield* outcomes
      const first = whoOf(yield* ask("one"))
      yield* next
      yield* Effect.flip(ask("never"))
      assert.deepStrictEqual(yield* next, Outcome.timedOut(1_000))
      assert.strictEqual(whoOf(yield* ask("two")), first)
      yield* next
      yield* Effect.flip(ask("spin"))
      assert.deepStrictEqual(yield* next, Outcome.timedOut(1_000))
      // The next one waits for the worker that replaces it, so that it has no time left.
      yield* Effect.exit(ask("three"))
      const after = yield* Effect.retry(ask("four"), { times: 20 })
      assert.notStrictEqual(whoOf(after), first)
    }).pipe(
      Effect.scoped,
      on(Policy.timeout(WorkerPolicy.pool({ size: 1, entry, gracePeriod: "1 second" }), "1 second"))
    )
  )
})

describe("a policy of workers", () => {
  const problem = (policy: Policy.Policy) =>
    Effect.map(Effect.flip(Effect.scoped(on(policy)(Effect.void))), (error) => error.message)

  it.live("says under a test runner that it needs an entry", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* problem(WorkerPolicy.pool({ size: 1 })),
        'Cannot run handlers of Suspect under the policy "pool:1": a worker is this program started again, and it is Vitest that runs it. Name a module that places the server: { entry: new URL("./worker.ts", import.meta.url) }'
      )
    })
  )

  it.live("says that its entry is not there", () =>
    Effect.gen(function* () {
      assert.match(
        yield* problem(WorkerPolicy.thread({ entry: "/nowhere/worker.ts" })),
        /there is no entry \/nowhere\/worker.ts/
      )
    })
  )

  it.live.each([
    {
      options: { entry: new URL("./fixtures/broken.ts", import.meta.url) },
      says: /exited with 1 before it was ready/
    },
    {
      // It never is, however long one waits.
      options: { entry: new URL("./fixtures/other.ts", import.meta.url), startTimeout: "100 millis" },
      says: /it was not ready within 100 ms/
    }
  ] as const)("says that its workers do not start: $says", ({ options, says }) =>
    Effect.gen(function* () {
      assert.match(yield* problem(WorkerPolicy.pool({ size: 1, ...options })), says)
      assert.match(yield* problem(WorkerPolicy.thread({ size: 1, ...options })), says)
    })
  )

  it.effect("waits for them as long as its server says, and no longer", () =>
    Effect.gen(function* () {
      const before = children()
      const policy = WorkerPolicy.pool({ size: 1, entry: new URL("./fixtures/other.ts", import.meta.url) })
      const served = Layer.provide(
        Suspect.serve(suspect, { policy }),
        MemoryServer.layer(Suspect, { startTimeout: "5 seconds" })
      )
      const building = yield* Effect.forkScoped(Effect.flip(Effect.scoped(Layer.build(Layer.provide(served, quiet)))), {
        startImmediately: true
      })
      yield* Effect.repeat(Effect.yieldNow, { until: () => children() > before })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(building.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.match((yield* Fiber.join(building)).message, /it was not ready within 5000 ms/)
    })
  )

  it.live("leaves no process and no descriptor behind", () =>
    Effect.gen(function* () {
      const one = on(WorkerPolicy.pool({ size: 2, entry }))(Effect.scoped(ask("hello")))
      yield* one
      const before = { children: children(), descriptors: descriptors() }
      for (let i = 0; i < 3; i++) yield* one
      yield* eventually(() => children() <= before.children && descriptors() <= before.descriptors)
    })
  )

  it.live("is at work when many ask at once", () =>
    Effect.gen(function* () {
      // It serves as soon as one worker is ready. Those that have nothing to do take turns.
      const ready = new Set<string>()
      while (ready.size < 2) ready.add(whoOf(yield* ask("hello")))
      const client = yield* Suspect.client
      const lines = Array.from({ length: 500 }, (_, i) => `line${i}`)
      const answers = yield* Stream.runCollect(Stream.take(client.exchange(Stream.fromIterable(lines)), 500))
      assert.deepStrictEqual(
        answers.map((answer) => answer.split(" ")[1]),
        lines
      )
      assert.strictEqual(new Set(answers.map(whoOf)).size, 2)
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 2, entry, recycle: 1_000_000 })))
  )

  it.live("counts its workers in metrics", () =>
    Effect.gen(function* () {
      const registry = new Map()
      yield* Effect.gen(function* () {
        yield* ask("hello")
        yield* Effect.flip(ask("exit 1"))
        for (let i = 0; i < 2; i++) yield* ask("hello")
      }).pipe(
        Effect.scoped,
        on(WorkerPolicy.pool({ size: 1, entry, recycle: 2 })),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      const snapshot = yield* Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry)
      const value = (id: string) => {
        const found = snapshot.find((metric) => metric.id === `socketserver_workers_${id}`)
        assert.deepStrictEqual(found?.attributes, { server: "Suspect", policy: "pool:1,recycle=2" })
        return found?.state as { readonly count?: number; readonly value?: number }
      }
      assert.strictEqual(value("crashed_total").count, 1)
      assert.strictEqual(value("recycled_total").count, 1)
      assert.isAtLeast(value("start_seconds").count ?? 0, 2)
      for (const gauge of ["alive", "starting", "queued"]) assert.isDefined(value(gauge).value)
    })
  )

  it.live("replaces a worker that has handled its number of requests", () =>
    Effect.gen(function* () {
      const who: Array<string> = []
      for (let i = 0; i < 6; i++) who.push(whoOf(yield* ask("hello")))
      assert.deepStrictEqual([who[0] === who[1], who[2] === who[3], who[4] === who[5]], [true, true, true])
      assert.strictEqual(new Set(who).size, 3)
    }).pipe(Effect.scoped, on(WorkerPolicy.pool({ size: 1, entry, recycle: 2 })))
  )
})

describe("a bundle", () => {
  /** A program that ends as the package `dep` says, which has two versions. */
  const program = Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "bundle-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    )
    const entry = join(directory, "main.mjs")
    const cache = join(directory, "node_modules", ".cache", "socketserver")
    writeFileSync(entry, 'import { code } from "dep"\nprocess.exit(code)\n')
    for (const version of [3, 4]) {
      const folder = join(directory, "store", String(version))
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, "package.json"), '{ "name": "dep", "type": "module", "exports": "./index.js" }')
      writeFileSync(join(folder, "index.js"), `export const code = ${version}\n`)
    }
    mkdirSync(join(directory, "node_modules"))
    const link = join(directory, "node_modules", "dep")
    const use = (version: number) => {
      rmSync(link, { force: true })
      symlinkSync(join(directory, "store", String(version)), link)
    }
    use(3)
    const run = Effect.map(
      Effect.flip(Effect.scoped(on(WorkerPolicy.pool({ size: 1, entry, bundle: true }))(Effect.void))),
      ({ message }) => message
    )
    return { cache, use, run }
  })
  const bundles = (cache: string) => readdirSync(join(cache, readdirSync(cache)[0]!)).toSorted()

  it.live("is kept, and made again where a package was exchanged", () =>
    Effect.gen(function* () {
      const { cache, run, use } = yield* program
      assert.match(yield* run, /exited with 3 before it was ready/)
      const made = bundles(cache)
      assert.match(yield* run, /exited with 3 before it was ready/)
      assert.deepStrictEqual(bundles(cache), made)
      use(4)
      assert.match(yield* run, /exited with 4 before it was ready/)
    }).pipe(Effect.scoped)
  )

  it.live("is made again where what is kept cannot be used", () =>
    Effect.gen(function* () {
      const { cache, run } = yield* program
      yield* run
      writeFileSync(join(cache, readdirSync(cache)[0]!, "manifest.json"), "{}")
      assert.match(yield* run, /exited with 3 before it was ready/)
    }).pipe(Effect.scoped)
  )

  it.live("says where it has no place", () =>
    Effect.gen(function* () {
      const { cache, run } = yield* program
      mkdirSync(join(cache, ".."))
      writeFileSync(cache, "")
      assert.match(
        yield* run,
        /there is no place for the bundle of .*main.mjs \(.*\). Start the program once as somebody who may write there$/
      )
    }).pipe(Effect.scoped)
  )
})
