/** Python speaks netstrings to a server, by hand: they are a line of code. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { missing } from "../../../examples/support/clients.ts"
import { printed, script } from "../../node/test/support/programs.ts"

class Reverse extends Server.Service<Reverse>()("Reverse", { protocol: Protocol.netstring() }) {}

const ReverseLive = Reverse.serve(({ body }) => Effect.succeed(Response.make(body.toReversed())))

describe.skipIf(missing("python3", "python3"))("netstrings", () => {
  it.live("are answered in their order, over TCP and over UDP without their lengths", () =>
    Effect.gen(function* () {
      const { addresses } = yield* Reverse
      const ports = addresses.map((address) => String(address).split(":").at(-1) ?? "")
      assert.strictEqual(yield* printed(script(python, ports)), "ok\n")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(ReverseLive, NodeServer.layer(Reverse, "tcp://127.0.0.1:0,udp://127.0.0.1:0")))
    )
  )
})

const python = `
import os, socket, sys
tcp, udp = map(int, sys.argv[1:])
messages = [b"", b"hello", b",:1", os.urandom(60000)]
wrap = lambda data: b"%d:%s," % (len(data), data)
with socket.create_connection(("127.0.0.1", tcp), 30) as s:
    s.sendall(b"".join(map(wrap, messages)))
    s.shutdown(socket.SHUT_WR)
    heard = b"".join(iter(lambda: s.recv(65536), b""))
assert heard == b"".join(wrap(data[::-1]) for data in messages)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
s.sendto(b"hello", ("127.0.0.1", udp))
assert s.recv(1024) == b"olleh"
print("ok")
`
