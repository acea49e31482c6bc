/** What the demo's threads and processes run. In a worker, the server takes its requests from its parent. */
import { MemoryServer, Policy } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Threaded, ThreadedLive } from "./servers.ts"

NodeServer.launch(Layer.provide(ThreadedLive(Policy.sequential), MemoryServer.layer(Threaded)))
