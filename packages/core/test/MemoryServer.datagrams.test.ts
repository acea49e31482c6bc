import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Conformance from "@socketserver/testkit/Conformance"

Conformance.datagrams({ name: "MemoryServer.datagrams", layer: MemoryServer.datagrams, live: false })
