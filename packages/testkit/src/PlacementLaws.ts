/**
 * What must not depend on where a policy runs handlers: in process, in threads,
 * in processes, the answers, outcomes and their order are the same.
 *
 * A worker cannot be given a closure of the test, so the handlers here do what
 * their requests say. They are the suite's own, and the program that is started
 * as a worker has them from `PlacementServers`.
 *
 * @since 0.1.0
 */
import { describe } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Policy from "@socketserver/core/Policy"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { placing, placingOfDatagrams } from "./internal/placing.ts"
import { placingProtocols } from "./internal/placingProtocols.ts"

/**
 * A policy, and a transport to check it over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For the titles: `"TcpServer"`. */
  readonly name: string
  /** Makes the transport's layer. Each call listens on an address of its own. */
  readonly layer: <Self, In, Out>(
    tag: Server.Tag<Self, In, Out>,
    options?: Transport.ServerOptions
  ) => Layer.Layer<Self, ServerError>
  readonly policy: Policy.Policy
  /** Whether a handler may keep state for each connection. Default: `true`. */
  readonly keepsState?: boolean | undefined
  /** What a worker's name looks like. Default: anything. */
  readonly workerName?: RegExp | undefined
}

/**
 * Registers the tests. They need real time.
 *
 * **Example** (Checking a policy of workers)
 *
 * ```ts no-run
 * import { MemoryServer } from "@socketserver/core"
 * import { WorkerPolicy } from "@socketserver/node"
 * import { PlacementLaws } from "@socketserver/testkit"
 *
 * // worker.ts: `NodeServer.launch(PlacementServers.layer)`
 * PlacementLaws.suite({
 *   name: "MemoryServer",
 *   layer: MemoryServer.layer,
 *   policy: WorkerPolicy.thread({ size: 2, entry: new URL("./worker.ts", import.meta.url) })
 * })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const suite = (options: Options): void => {
  const { keepsState = true, layer, policy, workerName = /^/ } = options
  describe(`${policy.name} over ${options.name}`, () => {
    placing({ subject: { live: true, layer }, policy, keepsState, names: (name) => workerName.test(name) })
  })
}

/**
 * Registers the tests for a transport of datagrams. They need real time.
 *
 * @category testing
 * @since 0.1.0
 */
export const datagrams = (options: Options): void => {
  const { keepsState = true, layer, policy, workerName = /^/ } = options
  describe(`${policy.name} over ${options.name}`, () => {
    placingOfDatagrams({ subject: { live: true, layer }, policy, keepsState, names: (name) => workerName.test(name) })
  })
}

/**
 * A policy, and two ways to listen to check it over.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtocolsOptions extends Pick<Options, "name" | "policy" | "keepsState"> {
  /** Makes the layer of a server with two listeners: for connections, and then for datagrams. Each call listens on addresses of its own. */
  readonly layer: Options["layer"]
  /** Connects to one of them. */
  readonly connect: (
    address: Endpoint.Endpoint
  ) => Effect.Effect<Connection.Connection<Uint8Array, Uint8Array>, unknown, Scope.Scope>
  /** Whether one request over each listener has to do, where each starts a process. Default: `false`. */
  readonly brief?: boolean | undefined
}

/**
 * Registers the tests of every framing and codec: a server must put the same
 * bytes on the wire wherever its handlers run. They need real time.
 *
 * **Details**
 *
 * Each protocol has a server of its own, and so workers of its own: give a policy
 * with one. It has to handle two requests at a time, so that a reply can overtake
 * another.
 *
 * **Example** (Checking the bytes of a policy)
 *
 * ```ts no-run
 * import { Protocol } from "@socketserver/core"
 * import { NodeClient, NodeServer, WorkerPolicy } from "@socketserver/node"
 * import { PlacementLaws } from "@socketserver/testkit"
 *
 * // worker.ts: `NodeServer.launch(PlacementServers.layer)`
 * PlacementLaws.protocols({
 *   name: "tcp and udp",
 *   layer: (tag, options) => NodeServer.layer(tag, "tcp://127.0.0.1:0,udp://127.0.0.1:0", options),
 *   connect: (url) => NodeClient.connect({ protocol: Protocol.bytes() }, url),
 *   policy: WorkerPolicy.thread({ size: 1, each: 2, entry: new URL("./worker.ts", import.meta.url) })
 * })
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const protocols = (options: ProtocolsOptions): void => {
  const { brief = false, connect, keepsState = true, layer, policy } = options
  describe(`${policy.name} over ${options.name}`, () => {
    placingProtocols({ layer, connect, policy, keepsState, brief })
  })
}
