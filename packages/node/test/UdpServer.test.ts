import * as UdpServer from "@socketserver/node/UdpServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import { policies } from "./support/policies.ts"

Conformance.datagrams({ name: "UdpServer", layer: UdpServer.layer, policies, live: true })

Conformance.datagrams({
  name: "UdpServer on IPv6",
  layer: (tag, options) => UdpServer.layer(tag, { ...options, host: "::1" }),
  policies: [],
  live: true
})
