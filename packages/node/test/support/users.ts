/** Tells who connects which process, user and group it is. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Users extends Server.Service<Users>()("Users", { protocol: Protocol.lines() }) {}

const UsersLive = Users.serve(({ peer: { credentials: of } }) =>
  Effect.succeed(Response.make(of === undefined ? "nobody" : `${of.pid} ${of.uid} ${of.gid}`))
)

Layer.mergeAll(UsersLive, Users.announce, Users.logOutcomes).pipe(
  Layer.provide(NodeServer.layerConfig(Users)),
  NodeServer.launch
)
