/** Who has connected, or sent a datagram, when a stop begins and waits in the system's queue. */
import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as UdpServer from "@socketserver/node/UdpServer"
import * as UnixServer from "@socketserver/node/UnixServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as dgram from "node:dgram"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const serving = Lines.serve((request) => Effect.succeed(Response.make(request.body)))
const quiet = Logger.layer([])
const many = 40

/** What a socket receives until it ends. */
const asked = (options: net.NetConnectOpts): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let text = ""
    const socket = net.connect(options)
    socket.write("hello\n")
    socket.on("data", (chunk) => (text += String(chunk)))
    socket.on("error", (error) => resume(Effect.succeed(error.message)))
    socket.on("close", () => resume(Effect.succeed(text)))
  })

const optionsOf = ({ address }: { readonly address: Endpoint.Endpoint }): net.NetConnectOpts =>
  address._tag === "Tcp" ? { host: address.host, port: address.port } : { path: (address as Endpoint.Unix).path }

for (const [name, layer] of [
  ["tcp", () => TcpServer.layer(Lines)],
  ["unix", (directory: string) => UnixServer.layer(Lines, { path: path.join(directory, "s.sock") })]
] as const) {
  describe(name, () => {
    it.live("answers who has connected and was not accepted when the stop began", () => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "queue-"))
      return Effect.gen(function* () {
        const server = yield* Lines
        const options = optionsOf(server)
        // All of them connect in this turn of the event loop: the kernel has them, and Node takes one in a turn.
        const answers = yield* Effect.all(
          Array.from({ length: many }, () => Effect.forkChild(asked(options), { startImmediately: true }))
        )
        const report = yield* server.shutdown
        assert.deepStrictEqual(
          yield* Fiber.joinAll(answers),
          Array.from({ length: many }, () => "hello\n")
        )
        assert.strictEqual(report.completed, many)
        assert.strictEqual(report.connections, many)
        // Nobody comes in any more.
        assert.match(yield* asked(options), /ECONNREFUSED|ENOENT/)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(serving, layer(directory)).pipe(Layer.provide(quiet))),
        Effect.ensuring(Effect.sync(() => fs.rmSync(directory, { recursive: true })))
      )
    })
  })
}

describe("udp", () => {
  it.live("answers the datagrams that had arrived when the stop began", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const { host, port } = server.address as Endpoint.Udp
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => dgram.createSocket("udp4")),
        (socket) => Effect.sync(() => socket.close())
      )
      const sent = yield* Effect.callback<number>((resume) => {
        // Node reads some dozens of them in a turn; more than these do not fit into the usual buffer.
        let left = 200
        for (let i = 0; i < 200; i++) {
          client.send(`${i}`, port, host, () => {
            if (--left === 0) resume(Effect.succeed(200))
          })
        }
      })
      const report = yield* server.shutdown
      assert.strictEqual(report.completed, sent)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(serving, UdpServer.layer(Lines)).pipe(Layer.provide(quiet)))
    )
  )
})
