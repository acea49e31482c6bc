// The packed packages on the lowest Node that is supported: the smallest TCP server answers a plain socket and a typed
// client, and stops. Run by `pnpm packages` in a project that has nothing but the tarballs and their peers.
import { MemoryServer, Policy, Protocol, Response, Server } from "@socketserver/core"
import { NodeClient, TcpServer } from "@socketserver/node"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import net from "node:net"

class Echo extends Server.Service()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

const plain = (port) =>
  new Promise((resolve, reject) => {
    let received = ""
    net
      .connect({ host: "127.0.0.1", port, allowHalfOpen: true }, function () {
        this.end("Hello, world\n")
      })
      .on("data", (chunk) => (received += chunk))
      .on("end", () => resolve(received))
      .on("error", reject)
  })

const program = Effect.gen(function* () {
  const server = yield* Echo
  assert.equal(yield* Effect.promise(() => plain(server.address.port)), "Hello, world\n")
  const client = yield* NodeClient.connect(Echo, server.address)
  assert.equal(yield* client.send("typed"), "typed")
  return (yield* server.counts).Completed
}).pipe(Effect.scoped)

const overTcp = Layer.provideMerge(EchoLive, TcpServer.layer(Echo)).pipe(Layer.provide(Policy.layer(Policy.sequential)))
assert.equal(await Effect.runPromise(Effect.provide(program, overTcp)), 2)

const inMemory = Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))
const answer = Effect.flatMap(Echo.client, (client) => client.send("in memory")).pipe(Effect.scoped)
assert.equal(await Effect.runPromise(Effect.provide(answer, inMemory)), "in memory")

console.log(`echo over TCP and in memory on Node ${process.version}`)
