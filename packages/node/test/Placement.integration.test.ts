import { Policy } from "@socketserver/core"
import { TcpServer, UdpServer, WorkerPolicy } from "@socketserver/node"
import * as PlacementLaws from "@socketserver/testkit/PlacementLaws"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("placementWorker.ts")

// They start some two hundred workers: from a bundle that takes a fifth of the time.
const pid = /^\d+$/
const policies: ReadonlyArray<Pick<PlacementLaws.Options, "policy" | "keepsState" | "workerName">> = [
  { policy: Policy.fiber(), workerName: /^fiber-\d+$/ },
  { policy: WorkerPolicy.thread({ size: 2, entry, bundle: true }), workerName: /^thread-\d+$/ },
  { policy: WorkerPolicy.pool({ size: 2, entry, bundle: true }), workerName: pid },
  { policy: WorkerPolicy.process({ max: 4, entry, bundle: true }), workerName: pid, keepsState: false }
]

// A transport stays in the parent, and what crosses is the protocol: one of each kind shows it.
for (const policy of policies) {
  PlacementLaws.suite({ ...policy, name: "TcpServer", layer: TcpServer.layer })
  PlacementLaws.datagrams({ ...policy, name: "UdpServer", layer: UdpServer.layer })
}
