/** What a client writes once it has asked for encryption never leaves in clear. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import { ServerError } from "@socketserver/core/ServerError"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import * as net from "node:net"
import * as tls from "node:tls"
import { directory, selfSigned } from "./support/certificates.ts"

const home = directory()
const own = selfSigned(home, "own")
const protocol = Protocol.lines({ terminator: "\r\n" })

/** A server that says yes to the first command, then does something, and keeps all that came in clear. */
const server = (next: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly inClear: () => string; readonly close: () => void }>((resume) => {
      let inClear = ""
      const all = new Set<net.Socket>()
      const listening = net.createServer((socket) => {
        all.add(socket)
        socket.on("error", () => {}).on("data", (data) => (inClear += String(data)))
        socket.once("data", () => {
          socket.write("220 go\r\n")
          next(socket)
        })
      })
      listening.listen(0, "127.0.0.1", () => {
        const { port } = listening.address() as net.AddressInfo
        const close = () => {
          listening.close()
          for (const socket of all) socket.destroy()
        }
        resume(Effect.succeed({ url: `tcp://127.0.0.1:${port}`, inClear: () => inClear, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const secured = (socket: net.Socket): void => {
  socket.removeAllListeners("data")
  const encrypted = new tls.TLSSocket(socket, {
    isServer: true,
    cert: fs.readFileSync(own.cert),
    key: fs.readFileSync(own.key)
  })
  encrypted.on("error", () => {}).on("data", (data) => encrypted.write(data))
}

describe("what a client writes once it has asked for encryption", () => {
  const cases: ReadonlyArray<{ what: string; next: (socket: net.Socket) => void; isAnswered: boolean }> = [
    { what: "the server shakes hands", next: secured, isAnswered: true },
    { what: "it says nothing more", next: () => {}, isAnswered: false },
    {
      what: "it goes on in clear",
      next: (socket) => void setImmediate(() => socket.write("250 evil\r\n")),
      isAnswered: false
    },
    { what: "it leaves", next: (socket) => socket.end(), isAnswered: false }
  ]
  for (const { isAnswered, next, what } of cases) {
    it.live(`never leaves in clear, where ${what}`, () =>
      Effect.gen(function* () {
        const { inClear, url } = yield* server(next)
        const client = yield* NodeClient.connect({ protocol }, url)
        assert.strictEqual(yield* client.send("STARTTLS"), "220 go")
        const trust = { serverName: "localhost", ca: own.cert, handshakeTimeout: "300 millis" } as const
        const upgrading = yield* Effect.forkChild(Effect.exit(NodeClient.upgrade(client, trust)), {
          startImmediately: true
        })
        const secret = yield* Effect.forkChild(Effect.exit(client.send("SECRET")), { startImmediately: true })
        assert.strictEqual(Exit.isSuccess(yield* Fiber.join(upgrading)), isAnswered)
        const answer = yield* Fiber.join(secret)
        assert.strictEqual(Exit.isSuccess(answer), isAnswered)
        if (Exit.isSuccess(answer)) assert.strictEqual(answer.value, "SECRET")
        assert.notInclude(inClear(), "SECRET")
      }).pipe(Effect.scoped)
    )
  }

  it.live("nor where an option is wrong, which is said as such, and ends the connection", () =>
    Effect.gen(function* () {
      const { inClear, url } = yield* server(() => {})
      const client = yield* NodeClient.connect({ protocol }, url)
      yield* client.send("STARTTLS")
      const error = yield* Effect.flip(NodeClient.upgrade(client, { serverName: "127.0.0.1" }))
      assert(error instanceof ServerError, String(error))
      assert.match(error.message, /Invalid option serverName/)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(client.send("SECRET"))))
      assert.notInclude(inClear(), "SECRET")
    }).pipe(Effect.scoped)
  )
})
