import * as TcpServer from "@socketserver/node/TcpServer"
import * as Conformance from "@socketserver/testkit/Conformance"

Conformance.suite({ name: "TcpServer", layer: TcpServer.layer, live: true })
