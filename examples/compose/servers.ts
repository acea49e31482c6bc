/** Two servers that share a service. Importing this starts nothing: tests and `main.ts` place the layers. */
import { Protocol, Response, Server } from "@socketserver/core"
import { Context, Effect, Layer, Schema } from "effect"

/** What both servers work on. */
export class Store extends Context.Service<Store, Map<string, string>>()("Store") {}

/** A new, empty store each time it is built. */
export const StoreLive = Layer.sync(Store, () => new Map())

/** For everyone: `SET key value`, `GET key`, a line each. */
export class Kv extends Server.Service<Kv>()("Kv", { protocol: Protocol.lines() }) {}

export const KvLive = Kv.serve((request) =>
  Effect.map(Store, (store) => {
    const [command, key, ...words] = request.body.split(" ")
    if (command === "GET" && key !== undefined) return Response.make(store.get(key) ?? "(nil)")
    if (command !== "SET" || key === undefined || words.length === 0) {
      return Response.make("ERR expected GET key or SET key value")
    }
    store.set(key, words.join(" "))
    return Response.make("OK")
  })
)

/** For operators: a JSON object each way, and nothing that its schema does not know. */
export class Admin extends Server.Service<Admin>()("Admin", {
  protocol: Protocol.schema(Protocol.ndjson(), {
    request: Schema.Struct({ op: Schema.Literals(["count", "clear"]) }),
    response: Schema.Struct({ keys: Schema.Int })
  })
}) {}

export const AdminLive = Admin.serve((request) =>
  Effect.map(Store, (store) => {
    if (request.body.op === "clear") store.clear()
    return Response.make({ keys: store.size })
  })
)
