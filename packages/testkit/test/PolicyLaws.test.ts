import { assert, describe, it } from "@effect/vitest"
import * as Policy from "@socketserver/core/Policy"
import * as PolicyLaws from "@socketserver/testkit/PolicyLaws"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"

const oneByOne: Policy.Policy = {
  ...Policy.sequential,
  name: "oneByOne",
  drain: (requests, begin) => Stream.runForEach(requests, (request) => Fiber.await(begin(request)))
}

PolicyLaws.suite({ name: "a policy of four lines", policy: oneByOne, max: 1, order: "received" })

/** Which laws a policy breaks. */
const broken = (options: PolicyLaws.Options) =>
  Effect.map(
    Effect.forEach(PolicyLaws.laws, ({ check, title }) =>
      Effect.map(Effect.exit(check(options)), (exit) => (Exit.isFailure(exit) ? [title] : []))
    ),
    (titles) => titles.flat()
  )

const everySecond: Policy.Policy = {
  ...oneByOne,
  drain: (requests, begin) => {
    let taken = 0
    return Stream.runForEach(requests, (request) => (++taken % 2 === 0 ? Effect.void : Fiber.await(begin(request))))
  }
}

const deaf: Policy.Policy = {
  ...oneByOne,
  drain: (requests, begin) =>
    Stream.runForEach(requests, (request) =>
      Effect.flatMap(Fiber.await(begin(request)), (exit) => (Exit.isFailure(exit) ? Effect.never : Effect.void))
    )
}

const endless: Policy.Policy = {
  ...oneByOne,
  drain: (requests, begin, server) => Effect.andThen(oneByOne.drain(requests, begin, server), Effect.never)
}

const forgetful: Policy.Policy = {
  ...oneByOne,
  drain: (requests, begin) =>
    Stream.runForEach(requests, (request) =>
      Effect.suspend(() => {
        const fiber = begin(request)
        return fiber.pollUnsafe() === undefined ? Fiber.await(fiber) : Effect.never
      })
    )
}

describe("the laws", () => {
  it.effect("hold for a policy that keeps its promises", () =>
    Effect.map(broken({ policy: oneByOne, max: 1, order: "received" }), (titles) => assert.deepStrictEqual(titles, []))
  )

  it.effect.each([
    {
      what: "drops every second request",
      policy: everySecond,
      max: 1,
      order: "received",
      breaks: "has the responses that"
    },
    {
      what: "drops every second request",
      policy: everySecond,
      max: 1,
      order: "received",
      breaks: "begins each request once"
    },
    {
      what: "stops after a handler that dies",
      policy: deaf,
      max: 1,
      order: "received",
      breaks: "goes on after handlers"
    },
    {
      what: "runs more at once than it says",
      policy: Policy.fiber({ max: 3 }),
      max: 2,
      order: "none",
      breaks: "has as many"
    },
    { what: "runs fewer at once than it says", policy: oneByOne, max: 2, order: "none", breaks: "has as many" },
    {
      what: "overlaps in a connection",
      policy: Policy.fiber(),
      max: 1024,
      order: "connection",
      breaks: "begins nothing"
    },
    { what: "overlaps in a key", policy: Policy.connection(), max: 1024, order: "key", breaks: "begins nothing" },
    { what: "overlaps at all", policy: Policy.fiber({ max: 2 }), max: 1, order: "received", breaks: "begins nothing" },
    {
      what: "is slower than it says",
      policy: Policy.fiber({ max: 2 }),
      max: 3,
      order: "none",
      breaks: "takes as long"
    },
    { what: "never ends", policy: endless, max: 1, order: "received", breaks: "ends when the requests end" },
    {
      what: "forgets a handler that answers at once",
      policy: forgetful,
      max: 1,
      order: "received",
      breaks: "serves handlers"
    }
  ] as const)("catch a policy that $what ($breaks …)", ({ breaks, max, order, policy }) =>
    Effect.map(broken({ policy, max, order }), (titles) => assert.include(titles.join("\n"), breaks))
  )
})
