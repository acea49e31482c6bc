/**
 * The servers of `PlacementLaws` with their handlers, for the program that is
 * started as a worker. It is apart from the laws so that a worker loads no test
 * runner.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import { workers } from "./internal/scripted.ts"

/**
 * All of them. In a worker, one gets requests.
 *
 * **Example** (The program of a worker)
 *
 * ```ts no-run
 * import { NodeServer } from "@socketserver/node"
 * import { PlacementServers } from "@socketserver/testkit"
 *
 * NodeServer.launch(PlacementServers.layer)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, unknown> = workers
