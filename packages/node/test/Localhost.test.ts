/** What `localhost` is to those who listen on it: both families, on one port, where the machine has both. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import { BindFailed, ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { onLocalhost } from "../src/internal/localhost.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const echo = Echo.serve((request) => Effect.succeed(Response.make(`${request.connection.listener}: ${request.body}`)))

type Kind = BindFailed["kind"]

/** A machine whose sockets are in a list; `taken` says which address cannot be had, and why. */
const machine = (taken: (host: string, port: number) => Kind | undefined) => {
  const bound: Array<string> = []
  let next = 0
  const listen = (host: string, asked: number) =>
    Effect.suspend(() => {
      const port = asked === 0 ? ++next : asked
      const kind = taken(host, port)
      const name = `${host} ${port}`
      if (kind !== undefined) {
        const reason = new BindFailed({ endpoint: name, kind, cause: undefined })
        return Effect.fail(new ServerError({ reason }))
      }
      return Effect.acquireRelease(
        Effect.sync(() => {
          bound.push(name)
          return {
            address: Endpoint.tcp("localhost", port),
            close: () => void bound.push(`close ${name}`),
            connect: Effect.never
          } as Transport.Listening & { readonly address: Endpoint.Tcp }
        }),
        () => Effect.sync(() => bound.splice(bound.indexOf(name), 1))
      )
    })
  return { bound, listen }
}

describe("localhost", () => {
  it.live.each(["tcp", "udp"])("answers on both families, by one port: %s", (scheme) =>
    Effect.gen(function* () {
      const transport = NodeServer.layer(Echo, `${scheme}://localhost:0`)
      const server = Context.get(yield* Layer.build(Layer.provideMerge(echo, transport)), Echo)
      const address = String(server.address)
      assert.match(address, /:\/\/localhost:[1-9]\d*$/)
      for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
        const client = yield* NodeClient.connect(Echo, address.replace("localhost", host))
        assert.strictEqual(yield* client.send("a"), `${address}: a`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("fails as a whole where one family's port is taken, and leaves nothing bound", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const first = yield* Layer.buildWithScope(NodeServer.layer(Echo, "tcp://[::1]:0"), scope)
      const [, port] = /:(\d+)$/.exec(String(Context.get(first, Echo).address)) ?? []
      const both = NodeServer.layer(Echo, `tcp://localhost:${port}`)
      const error = yield* Effect.flip(Effect.scoped(Layer.build(both)))
      assert.include(error.message, `Cannot bind tcp://localhost:${port}: address in use`)
      yield* Scope.close(scope, Exit.void)
      yield* Layer.build(both)
    }).pipe(Effect.scoped)
  )

  it.effect.each([
    { has: "IPv4", lacks: "::1", bound: ["127.0.0.1 7"] },
    { has: "IPv6", lacks: "127.0.0.1", bound: ["::1 7"] }
  ])("is the one family that there is: $has", ({ bound, lacks }) =>
    Effect.gen(function* () {
      const one = machine((host) => (host === lacks ? "AddressNotAvailable" : undefined))
      yield* onLocalhost(7, one.listen)
      assert.deepStrictEqual(one.bound, bound)
    }).pipe(Effect.scoped)
  )

  it.effect("takes another port where the one that was free is taken of the other family", () =>
    Effect.gen(function* () {
      const one = machine((host, port) => (host === "::1" && port < 3 ? "AddressInUse" : undefined))
      const listening = yield* onLocalhost(0, one.listen)
      assert.deepStrictEqual(one.bound, ["127.0.0.1 3", "::1 3"])
      listening.close()
      assert.deepStrictEqual(one.bound.slice(2), ["close 127.0.0.1 3", "close ::1 3"])
    }).pipe(Effect.scoped)
  )

  it.effect("tries for a free port for a while, and no longer", () =>
    Effect.gen(function* () {
      const one = machine((host) => (host === "::1" ? "AddressInUse" : undefined))
      const error = yield* Effect.flip(onLocalhost(0, one.listen))
      assert.strictEqual(error.reason._tag, "BindFailed")
      assert.deepStrictEqual(one.bound, [])
    }).pipe(Effect.scoped)
  )
})
