// The packed packages on the lowest Node that is supported: the smallest TCP server answers a plain socket and a typed
// client, and stops; so does every other transport. Run by `pnpm packages` in a project that has nothing but the tarballs and their peers.
import { MemoryServer, Policy, Protocol, Response, Server } from "@socketserver/core"
import { NodeClient, NodeServer, TcpServer } from "@socketserver/node"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
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

// By URL, on several addresses: each transport is a module that is loaded when it is named.
const everywhere = Layer.provideMerge(
  EchoLive,
  NodeServer.layer(Echo, `udp://127.0.0.1:0,tcp://127.0.0.1:0?backlog=5,unix:@smoke-${process.pid},memory:smoke`)
)
const answers = Effect.gen(function* () {
  const { addresses } = yield* Echo
  return yield* Effect.forEach(addresses, (address) =>
    Effect.scoped(Effect.flatMap(NodeClient.connect(Echo, address), (client) => client.send(address._tag)))
  )
})
assert.deepEqual(await Effect.runPromise(Effect.provide(answers, everywhere)), ["Udp", "Tcp", "Unix", "Memory"])

// A certificate and its key in one file, which is what the client trusts as well.
const request =
  "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost -keyout -"
const names = ["-addext", "subjectAltName=IP:127.0.0.1"]
writeFileSync(
  "pair.pem",
  execFileSync("openssl", [...request.split(" "), ...names], { stdio: ["ignore", "pipe", "ignore"] })
)
const overTls = Layer.provideMerge(EchoLive, NodeServer.layer(Echo, "tls://127.0.0.1:0?cert=pair.pem&key=pair.pem"))
const encrypted = Effect.gen(function* () {
  const { address } = yield* Echo
  const client = yield* NodeClient.connect(Echo, `${address}?ca=pair.pem`)
  return [yield* client.send("encrypted"), client.peer.tls.protocol]
}).pipe(Effect.scoped)
assert.deepEqual(await Effect.runPromise(Effect.provide(encrypted, overTls)), ["encrypted", "TLSv1.3"])

// What needs an optional package says so where that is missing.
const missing = Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Echo, "unixgram:@smoke"))))
if (process.platform === "linux") assert.match((await Effect.runPromise(missing)).message, /npm install koffi/)

// The same program in threads, in processes, and as two copies of itself.
writeFileSync(
  "program.mjs",
  `
import { Protocol, Response, Server, Worker } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"
class Who extends Server.Service()("Who", { protocol: Protocol.lines() }) {}
const WhoLive = Who.serve(() => Effect.map(Worker.name, Response.make))
Layer.merge(WhoLive, Who.announce).pipe(Layer.provide(NodeServer.layerConfig(Who)), NodeServer.launch)
`
)
for (const [env, expected] of [
  [{ POLICY: "thread:1" }, /^thread-1\n$/],
  [{ POLICY: "pool:1" }, /^\d+\n$/],
  [{ PREFORK: "2" }, /^\d+\n$/]
]) {
  const server = spawn(process.execPath, ["program.mjs"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env, LISTEN: "tcp://127.0.0.1:0" }
  })
  const [said] = await once(server.stdout, "data")
  const who = await plain(Number(/:(\d+)\n/.exec(said)[1]))
  assert.match(who, expected)
  assert.notEqual(Number(who), server.pid)
  server.kill("SIGTERM")
  assert.deepEqual(await once(server, "exit"), [0, null])
}

console.log(
  `echo over TCP, TLS, UDP, a Unix socket and in memory, from threads, processes and copies on Node ${process.version}`
)
