import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Conformance from "@socketserver/testkit/Conformance"

Conformance.datagrams({ name: "MemoryServer.layerDatagrams", layer: MemoryServer.layerDatagrams, live: false })
