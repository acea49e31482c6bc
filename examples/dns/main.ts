/**
 * A name server for one zone, over UDP and TCP with one handler.
 *
 *   LISTEN=udp://127.0.0.1:5300,tcp://127.0.0.1:5300 ZONE=examples/dns/zone.json POLICY=fiber \
 *     node examples/dns/main.ts
 *
 * In another terminal:
 *
 *   dig @127.0.0.1 -p 5300 www.example                    # the alias, and the address of what it names
 *   dig @127.0.0.1 -p 5300 big.example TXT                # 4 KB: dig asks again over TCP, since the answer was truncated
 *   dig @127.0.0.1 -p 5300 +tcp +keepopen example MX host.example AAAA
 *   dig @127.0.0.1 -p 5300 nothing.example                # NXDOMAIN
 *   dig @127.0.0.1 -p 5300 example.org                    # REFUSED: it knows its zone, and asks nobody
 */
import { NodeServer } from "@socketserver/node"
import { Layer } from "effect"
import { Names, NamesLive } from "./server.ts"

Layer.mergeAll(NamesLive, Names.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Names, { listen: "udp://127.0.0.1:5300,tcp://127.0.0.1:5300" })),
  NodeServer.launch
)
