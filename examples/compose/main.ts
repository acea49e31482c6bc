/**
 * Two servers of different protocols in one program, with one store between them.
 *
 *   KV_LISTEN=tcp://127.0.0.1:9000 ADMIN_LISTEN=tcp://127.0.0.1:9001 ADMIN_POLICY=sequential \
 *     node examples/compose/main.ts
 *
 * It announces the store's server first, then the administrator's. In another terminal:
 *
 *   printf 'SET name Ada\nGET name\n' | socat - tcp:127.0.0.1:9000    # OK, Ada
 *   echo '{"op":"count"}' | socat - tcp:127.0.0.1:9001                # {"keys":1}
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Admin, AdminLive, Kv, KvLive, StoreLive } from "./servers.ts"

const announce = Admin.announce.pipe(Layer.provide(Kv.announce))

Layer.mergeAll(KvLive, AdminLive, announce).pipe(
  Layer.provide([
    NodeServer.layerConfig(Kv, { prefix: "KV", listen: "tcp://127.0.0.1:9000" }),
    NodeServer.layerConfig(Admin, { prefix: "ADMIN", listen: "tcp://127.0.0.1:9001" }),
    StoreLive
  ]),
  NodeServer.launch
)
