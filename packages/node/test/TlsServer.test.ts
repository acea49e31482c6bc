import * as TlsServer from "@socketserver/node/TlsServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import { directory, selfSigned } from "./support/certificates.ts"
import { policies } from "./support/policies.ts"

const own = selfSigned(directory(), "conformance")

Conformance.suite({
  name: "TlsServer",
  layer: (tag, options) => TlsServer.layer(tag, { ...options, ...own }),
  policies,
  live: true
})
