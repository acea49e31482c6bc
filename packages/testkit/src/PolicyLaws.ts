/**
 * The laws that every policy keeps, ours and yours, in virtual time over a
 * server in memory.
 *
 * A policy decides when handlers begin. What must not depend on it is here: the
 * responses, their order on each connection, and that each request ends once.
 * What it promises on top (an order of work, a maximum) is an option of the suite.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Policy from "@socketserver/core/Policy"
import type * as Request from "@socketserver/core/Request"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { echo, on } from "./internal/harness.ts"
import { answerTo, Lines, observe, type Observation, settle, type Span, type Work } from "./internal/workload.ts"

/**
 * A policy and what it promises.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly policy: Policy.Policy
  /** Default: the policy's name. */
  readonly name?: string | undefined
  /** Handlers at a time. */
  readonly max: number
  /**
   * Which requests begin only when the one before them has ended: all of them
   * (`"received"`), those of one connection, those with one key of the suite's server, or none.
   */
  readonly order: Order
}

/**
 * The order of work that a policy promises.
 *
 * @category models
 * @since 0.1.0
 */
export type Order = "received" | "connection" | "key" | "none"

/**
 * One law: it fails for a policy that breaks it, and ends for every policy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Law {
  readonly title: string
  readonly check: (options: Options) => Effect.Effect<void, unknown>
}

/**
 * Registers a test for each law.
 *
 * **Example** (Checking a policy of your own)
 *
 * ```ts no-run
 * import { Policy } from "@socketserver/core"
 * import { PolicyLaws } from "@socketserver/testkit"
 * import { Fiber, Stream } from "effect"
 *
 * const oneByOne: Policy.Policy = {
 *   ...Policy.sequential,
 *   name: "oneByOne",
 *   drain: (requests, begin) => Stream.runForEach(requests, (request) => Fiber.await(begin(request)))
 * }
 *
 * PolicyLaws.suite({ policy: oneByOne, max: 1, order: "received" })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const suite = (options: Options): void => {
  describe(options.name ?? options.policy.name, () => {
    for (const { check, title } of laws) it.effect(title, () => check(options))
  })
}

/**
 * All laws, to check a policy without registering tests.
 *
 * @category testing
 * @since 0.1.0
 */
export const laws: ReadonlyArray<Law> = [
  {
    title: "has the responses that every policy has, on each connection in the order of its requests",
    check: ({ policy }) =>
      Effect.map(observe(policy, mixed), ({ replies }) =>
        assert.deepStrictEqual(
          replies,
          mixed.map((lines) => lines.map(answerTo))
        )
      )
  },
  {
    title: "begins each request once and ends it in exactly one outcome",
    check: ({ policy }) =>
      Effect.map(observe(policy, mixed), (seen) => {
        endsOnce(seen, 24)
        assert.strictEqual(seen.counts.Completed, 24)
        assert.deepStrictEqual(requestsOf(seen.spans).toSorted(ascending), ids(24))
      })
  },
  {
    title: "begins nothing before its turn",
    check: ({ order, policy }) =>
      Effect.map(observe(policy, mixed), ({ spans }) => {
        for (const sent of Map.groupBy(spans, ({ connection }) => connection).values()) {
          for (const lane of Map.groupBy(sent, laneOf(order)).values()) {
            assert.deepStrictEqual(requestsOf(lane), requestsOf(lane).toSorted(ascending))
          }
        }
        if (order === "none") return
        for (const lanes of Map.groupBy(spans, laneOf(order)).values()) {
          for (const [i, span] of lanes.entries()) {
            if (i > 0) assert.isBelow(lanes[i - 1]!.endStep, span.beginStep)
          }
        }
      })
  },
  {
    title: "lets nobody wait until all that another has sent has begun",
    check: ({ policy }) =>
      Effect.map(observe(policy, [seconds("aaaaaaaaaaaa"), seconds("b")]), ({ spans }) => {
        const [loud, quiet] = [1, 2].map((c) => spans.filter(({ connection }) => connection === c))
        assert.isAtMost(quiet![0]!.begin, loud!.at(-1)!.begin)
      })
  },
  {
    title: "has as many handlers at work as it promises, and no more",
    check: ({ max, order, policy }) =>
      Effect.map(observe(policy, mixed), ({ peak }) => {
        const lanes = { received: 1, connection: mixed.length, key: keys.length, none: 24 }
        assert.strictEqual(peak, Math.min(max, lanes[order]))
      })
  },
  {
    title: "takes as long as it promises for six one-second requests of one connection",
    check: ({ max, order, policy }) =>
      Effect.map(observe(policy, [seconds("abcdef")]), ({ spans }) => {
        const atOnce = order === "received" || order === "connection" ? 1 : Math.min(max, 6)
        assert.deepStrictEqual(ends(spans), waves(6, atOnce))
      })
  },
  {
    title: "takes as long as it promises for six one-second requests of six connections",
    check: ({ max, order, policy }) =>
      Effect.map(
        observe(
          policy,
          seconds("aaaaaa").map((work) => [work])
        ),
        ({ spans }) => {
          const atOnce = order === "received" || order === "key" ? 1 : Math.min(max, 6)
          assert.deepStrictEqual(ends(spans), waves(6, atOnce))
        }
      )
  },
  {
    title: "serves handlers that answer at once",
    check: ({ policy }) => {
      const work = [0, 1, 2].map((c) =>
        Array.from({ length: 100 }, (_, n) => ({ key: keys[n % 3]!, millis: 0, n: c * 100 + n }))
      )
      return Effect.map(observe(policy, work), (seen) => {
        assert.deepStrictEqual(
          seen.replies,
          work.map((lines) => lines.map(answerTo))
        )
        endsOnce(seen, 300)
      })
    }
  },
  {
    title: "goes on after handlers that die",
    check: ({ policy }) => {
      const dying = Array.from({ length: 12 }, (_, n) => [{ key: "a", millis: n % 2, n, dies: true }])
      const after: ReadonlyArray<Work> = [{ key: "a", millis: 10, n: 12 }]
      return Effect.map(observe(policy, [...dying, after]), (seen) => {
        assert.deepStrictEqual(seen.replies[12], after.map(answerTo))
        endsOnce(seen, 13)
        assert.deepStrictEqual([seen.counts.Failed, seen.counts.Completed], [12, 1])
      })
    }
  },
  {
    title: "ends the requests of a peer that leaves in one outcome each, and the others as ever",
    check: ({ policy }) =>
      Effect.map(observe(policy, mixed, { connection: 1, millis: 120 }), (seen) => {
        endsOnce(seen, 24)
        for (const { connection, outcome } of seen.events) {
          if (connection.id !== 2) assert.strictEqual(outcome._tag, "Completed")
          else if (outcome._tag !== "Completed")
            assert.deepStrictEqual(outcome, { _tag: "Cancelled", reason: "PeerGone" })
        }
        assert.isAbove(seen.counts.Cancelled, 0)
        for (const { connection, exit } of seen.spans) {
          const cancelled = connection === 2 && policy.onPeerGone === "cancel"
          assert.include(cancelled ? ["Success", "Interrupt"] : ["Success"], exit)
        }
        // What was not begun when the peer left is not begun any more.
        const late = seen.spans.filter(({ begin, connection }) => connection === 2 && begin > 120)
        assert.deepStrictEqual(late, [])
      })
  },
  {
    title: "ends when the requests end",
    check: ({ policy }) =>
      Effect.gen(function* () {
        const server = yield* Lines
        const begin = (request: Request.Incoming<string, string>) => Effect.runFork(request.handle(echo))
        const drain = policy.drain(Stream.take(server.requests, 1), begin, { key: Lines.keyOf })
        const loop = yield* Effect.forkScoped(drain, { startImmediately: true })
        yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => Effect.andThen(client.write("a 0 0"), settle)))
        assert.isDefined(loop.pollUnsafe())
      }).pipe(on(MemoryServer.layer(Lines)))
  }
]

const keys: ReadonlyArray<string> = ["a", "b", "c"]

/** Four connections of six requests each, with keys and times that differ without a pattern that would hide a mistake. */
const mixed: ReadonlyArray<ReadonlyArray<Work>> = Array.from({ length: 4 }, (_, c) =>
  Array.from({ length: 6 }, (_, i) => {
    const n = c * 6 + i
    return { key: keys[(n * 5 + c) % 3]!, millis: 10 + ((n * 37) % 11) * 17, n }
  })
)

const seconds = (letters: string): ReadonlyArray<Work> => [...letters].map((key, n) => ({ key, millis: 1_000, n }))

const ascending = (a: number, b: number) => a - b
const ids = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const requestsOf = (spans: ReadonlyArray<Span>) => spans.map(({ request }) => request)
const ends = (spans: ReadonlyArray<Span>) => spans.map(({ end }) => end).toSorted(ascending)

/** When each of `count` one-second handlers ends if `atOnce` of them run at once. */
const waves = (count: number, atOnce: number) =>
  Array.from({ length: count }, (_, i) => (Math.floor(i / atOnce) + 1) * 1_000)

const laneOf =
  (order: Order) =>
  (span: Span): unknown =>
    order === "connection" ? span.connection : order === "key" ? span.key : "all"

const endsOnce = ({ counts, events }: Observation, requests: number): void => {
  assert.deepStrictEqual(events.map(({ request }) => request?.id ?? 0).toSorted(ascending), ids(requests))
  assert.strictEqual(
    Object.values(counts).reduce((sum, count) => sum + count, 0),
    requests
  )
}
