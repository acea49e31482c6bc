/**
 * The behaviours that every transport owes its users, under every policy: ours
 * run these suites, and a transport or policy of your own can too. Transports
 * for connections run {@link suite}, those for datagrams {@link datagrams}.
 *
 * It talks to the server only through `Tag.client` and `Tag.rawClient`, so the
 * same bodies run in memory with virtual time and over sockets with real time.
 *
 * What policies owe on top (an order of work, a maximum) is in `PolicyLaws`.
 * What one transport has for itself (ports, paths, certificates) is its own test.
 *
 * @since 0.1.0
 */
import { describe } from "@effect/vitest"
import * as Policy from "@socketserver/core/Policy"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import type * as Layer from "effect/Layer"
import { datagramFacts } from "./internal/datagramFacts.ts"
import { datagramServing } from "./internal/datagramServing.ts"
import { conversing } from "./internal/conversing.ts"
import { direct } from "./internal/direct.ts"
import { faults } from "./internal/faults.ts"
import { leaving } from "./internal/leaving.ts"
import { limits } from "./internal/limits.ts"
import { ordering } from "./internal/ordering.ts"
import { pressure } from "./internal/pressure.ts"
import { serving } from "./internal/serving.ts"
import { stopping } from "./internal/stopping.ts"

/**
 * A transport, and the policies to run it under.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For the titles: `"TcpServer"`. */
  readonly name: string
  /** Makes the transport's layer. Each call listens on an address of its own, such as port 0. */
  readonly layer: <Self, In, Out>(
    tag: Server.Tag<Self, In, Out>,
    options?: Transport.ServerOptions
  ) => Layer.Layer<Self, ServerError>
  /** Default: {@link policies}. */
  readonly policies?: ReadonlyArray<Policy.Policy> | undefined
  /** Whether it needs real time, as sockets do. In memory, time is the test's. */
  readonly live: boolean
}

/**
 * The in-process policies.
 *
 * @category testing
 * @since 0.1.0
 */
export const policies: ReadonlyArray<Policy.Policy> = [
  Policy.sequential,
  Policy.fiber(),
  Policy.fiber({ max: 2 }),
  Policy.connection(),
  Policy.keyed()
]

/**
 * Registers the tests of a transport.
 *
 * **Details**
 *
 * Serving, stopping and leaving peers are tested under each policy. What does
 * not depend on a policy is tested once.
 *
 * **Gotchas**
 *
 * Call it from a test file of Vitest. Over sockets no test waits for a time to
 * pass, but the stop's deadline and the idle timeout are real, of 40 ms each.
 *
 * **Example** (Checking a transport)
 *
 * ```ts no-run
 * import { MemoryServer } from "@socketserver/core"
 * import { Conformance } from "@socketserver/testkit"
 *
 * Conformance.suite({ name: "MemoryServer", layer: MemoryServer.layer, live: false })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const suite = (options: Options): void => {
  describe(options.name, () => {
    for (const policy of options.policies ?? policies) {
      describe(`under ${policy.name}`, () => {
        serving(options, policy)
        stopping(options, policy)
        leaving(options, policy)
      })
    }
    describe("answering", () => ordering(options))
    describe("faults", () => faults(options))
    describe("back-pressure", () => pressure(options))
    describe("conversations", () => conversing(options))
    describe("limits", () => limits(options))
    describe("taking requests directly", () => direct(options))
  })
}

/**
 * Registers the tests of a transport whose requests are datagrams.
 *
 * **Example** (Checking a datagram transport)
 *
 * ```ts no-run
 * import { MemoryServer } from "@socketserver/core"
 * import { Conformance } from "@socketserver/testkit"
 *
 * Conformance.datagrams({ name: "MemoryServer", layer: MemoryServer.layerDatagrams, live: false })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const datagrams = (options: Options): void => {
  describe(options.name, () => {
    for (const policy of options.policies ?? policies) {
      describe(`under ${policy.name}`, () => datagramServing(options, policy))
    }
    describe("datagrams", () => datagramFacts(options))
  })
}
