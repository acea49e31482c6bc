/** DNS with `Dns.protocol()`: addresses of a table. */
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Dns from "@socketserver/protocols/Dns"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { addresses } from "../names.ts"

const table = new Map(
  addresses.map(([name, data]) => [name, [{ name, type: "A", ttl: 60, data }] satisfies ReadonlyArray<Dns.Record>])
)

class Names extends Server.Service<Names>()("Dns", { protocol: Dns.protocol() }) {}

const NamesLive = Names.serve(
  Dns.handler(({ question: { name, type } }) => {
    const answers = type === "A" ? table.get(name.toLowerCase()) : undefined
    return Effect.succeed(
      answers === undefined ? { rcode: "NXDOMAIN", authoritative: true } : { authoritative: true, answers }
    )
  }),
  { onUndecodable: Dns.onUndecodable }
)

NodeServer.launch(
  Layer.merge(NamesLive, Names.announce).pipe(
    Layer.provide(NodeServer.layerConfig(Names, { listen: "udp://127.0.0.1:0" }))
  )
)
