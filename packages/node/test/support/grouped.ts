/** A server of datagrams that joins the group of `GROUP` on the interface of `ON`, by options and not by its URL, and prints what it handles. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"

class Grouped extends Server.Service<Grouped>()("Grouped", { protocol: Protocol.lines() }) {}

const GroupedLive = Grouped.serve(({ body }) =>
  Effect.as(
    Effect.sync(() => process.stdout.write(`handled ${body}\n`)),
    Response.make(body)
  )
)

const { GROUP = "", ON } = process.env

Layer.merge(GroupedLive, Grouped.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Grouped, { udp: { multicast: [GROUP], multicastInterface: ON } })),
  NodeServer.launch
)
