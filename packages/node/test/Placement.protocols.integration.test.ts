import { Policy, Protocol } from "@socketserver/core"
import { NodeClient, NodeServer, WorkerPolicy } from "@socketserver/node"
import * as PlacementLaws from "@socketserver/testkit/PlacementLaws"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("placementWorker.ts")

// One worker for each server, which handles several requests at a time as `fiber` does: a reply can then overtake another.
const one = { size: 1, each: 8, entry, bundle: true }

const policies: ReadonlyArray<Pick<PlacementLaws.ProtocolsOptions, "policy" | "keepsState" | "brief">> = [
  { policy: Policy.fiber() },
  { policy: WorkerPolicy.thread(one) },
  { policy: WorkerPolicy.pool(one) },
  { policy: WorkerPolicy.process({ entry, bundle: true, spares: 0 }), keepsState: false, brief: true }
]

for (const policy of policies) {
  PlacementLaws.protocols({
    ...policy,
    name: "tcp and udp",
    layer: (tag, options) => NodeServer.layer(tag, "tcp://127.0.0.1:0,udp://127.0.0.1:0", options),
    connect: (url) => NodeClient.connect({ protocol: Protocol.bytes() }, url)
  })
}
