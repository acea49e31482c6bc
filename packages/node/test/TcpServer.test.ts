import * as TcpServer from "@socketserver/node/TcpServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import { policies } from "./support/policies.ts"

Conformance.suite({ name: "TcpServer", layer: TcpServer.layer, policies, live: true })
