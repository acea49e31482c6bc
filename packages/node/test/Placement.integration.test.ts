import { MemoryServer, Policy } from "@socketserver/core"
import { TcpServer, TlsServer, UdpServer, UnixDatagramServer, UnixServer, WorkerPolicy } from "@socketserver/node"
import * as PlacementLaws from "@socketserver/testkit/PlacementLaws"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { directory as certificates, selfSigned } from "./support/certificates.ts"

const entry = new URL("./support/placementWorker.ts", import.meta.url)
const directory = mkdtempSync(join(tmpdir(), "placement-"))
afterAll(() => rmSync(directory, { recursive: true }))
let paths = 0

const certificate = selfSigned(certificates(), "placement")

const transports: ReadonlyArray<Pick<PlacementLaws.Options, "name" | "layer">> = [
  { name: "MemoryServer", layer: MemoryServer.layer },
  { name: "TcpServer", layer: TcpServer.layer },
  { name: "TlsServer", layer: (tag, options) => TlsServer.layer(tag, { ...options, ...certificate }) },
  {
    name: "UnixServer",
    layer: (tag, options) => UnixServer.layer(tag, { ...options, path: join(directory, `${++paths}.sock`) })
  }
]

// A process for each request of some hundred tests: from a bundle they take a fifth of the time.
const pid = /^\d+$/
const policies: ReadonlyArray<Pick<PlacementLaws.Options, "policy" | "keepsState" | "workerName">> = [
  { policy: Policy.fiber(), workerName: /^fiber-\d+$/ },
  { policy: WorkerPolicy.thread({ size: 2, entry }), workerName: /^thread-\d+$/ },
  { policy: WorkerPolicy.pool({ size: 2, entry }), workerName: pid },
  { policy: WorkerPolicy.process({ max: 4, entry, bundle: true }), workerName: pid, keepsState: false }
]

for (const policy of policies) for (const transport of transports) PlacementLaws.suite({ ...policy, ...transport })

const ofDatagrams: typeof transports = [
  { name: "MemoryServer.datagrams", layer: MemoryServer.datagrams },
  { name: "UdpServer", layer: UdpServer.layer },
  {
    name: "UnixDatagramServer",
    layer: (tag, options) => UnixDatagramServer.layer(tag, { ...options, path: join(directory, `${++paths}.sock`) })
  }
]

for (const policy of policies) for (const transport of ofDatagrams) PlacementLaws.datagrams({ ...policy, ...transport })
