/** Answers each line, after about a millisecond of CPU where `ITERATIONS` asks for it and it is not one to warm up with. Its policy is the environment's. */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { compute } from "../compute.ts"

class Work extends Server.Service<Work>()("Work", { protocol: Protocol.lines() }) {}

const iterations = Number(process.env["ITERATIONS"] ?? 0)

const WorkLive = Work.serve((request) =>
  Effect.sync(() => {
    if (iterations > 0 && !request.body.startsWith("warm")) compute(iterations)
    return Response.make(request.body)
  })
)

Layer.merge(WorkLive, Work.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Work, { listen: "tcp://127.0.0.1:0" })),
  NodeServer.launch
)
