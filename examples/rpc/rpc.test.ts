import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Layer, Result } from "effect"
import { socketTo } from "./connect.ts"
import { Calls, CallsLive } from "./server.ts"

const ask = (id: number, tag: "Add" | "WhoAmI", payload: unknown) =>
  Effect.gen(function* () {
    const client = yield* Calls.client
    const answer = yield* client.send({ _tag: "Request", id, tag, payload, headers: [] })
    return answer._tag === "Exit" && answer.exit._tag === "Success" ? answer.exit.value : answer
  })

describe("examples/rpc", () => {
  it.effect("adds, and says who asks", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask(1, "Add", { a: 1, b: 2 }), 3)
      assert.match(JSON.stringify(yield* ask(2, "WhoAmI", null)), /^\{"peer":"memory:\S+#2","worker":"fiber-\d+"\}$/)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(CallsLive, MemoryServer.layer(Calls))))
  )

  it.each([
    "127.0.0.1:9000",
    "[::1]:9000",
    "tcp://localhost:9000",
    "tls://localhost:9000",
    "unix:///run/a b",
    "/run/rpc"
  ])("has a client that connects to %s", (text) => assert.isTrue(Result.isSuccess(socketTo(text))))

  it.each([
    ["", /"" has no host and port; it is HOST:PORT, tcp:/],
    ["localhost", /has no host and port/],
    ["localhost:", /has no host and port/],
    ["::1:9000", /has no host and port/],
    ["tcp://127.0.0.1:9000/x", /has no host and port/],
    ["127.0.0.1:0", /has the port 0, which is not 1 to 65535/],
    ["tls://127.0.0.1:65536", /has the port 65536/],
    ["udp://127.0.0.1:9000", /has a scheme that this client does not know, "udp"/],
    ["tcp://127.0.0.1:9000?ca=x", /has options without tls/],
    ["tls://127.0.0.1:9000?key=x", /has the option "key", and there is only ca/],
    ["tls://127.0.0.1:9000?ca=/nowhere/ca.pem", /names a file that cannot be read: ENOENT/],
    ["unix://relative", /has no absolute path/],
    ["tcp://a\nb:9000", /"tcp:\/\/a\\nb:9000" has no host and port/]
  ])("has a client that cannot connect to %j, and says why", (text, why) => {
    const socket = socketTo(text)
    assert.isTrue(Result.isFailure(socket) && why.test(socket.failure), JSON.stringify(socket))
  })
})
