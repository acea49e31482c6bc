import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Conformance from "@socketserver/testkit/Conformance"

Conformance.suite({ name: "MemoryServer", layer: MemoryServer.layer, live: false })
