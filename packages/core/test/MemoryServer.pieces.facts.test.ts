import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import * as Policy from "@socketserver/core/Policy"
import * as Conformance from "@socketserver/testkit/Conformance"

const link = Network.link({ chunk: [1, 700], window: 4_096, joins: true, resetsOnClose: false })

Conformance.suite({
  name: "MemoryServer over a link that cuts everything in pieces",
  layer: (tag, options) => MemoryServer.layer(tag, { ...options, link }),
  policies: [Policy.fiber()],
  live: false
})
