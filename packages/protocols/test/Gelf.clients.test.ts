/** Python sends GELF as its clients do: whole, compressed, in chunks that come in any order, and over TCP. */
import { assert, describe, it } from "@effect/vitest"
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Gelf from "@socketserver/protocols/Gelf"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { missing } from "../../../examples/support/clients.ts"
import { printed, script } from "../../node/test/support/programs.ts"

class Log extends Server.Service<Log>()("Log", { protocol: Gelf.protocol() }) {}

describe.skipIf(missing("python3", "python3"))("GELF", () => {
  it.live("is collected over UDP and TCP", () =>
    Effect.gen(function* () {
      const seen = yield* Queue.unbounded<string>()
      const LogLive = Layer.unwrap(
        Effect.map(Gelf.assembler(), ({ handler }) =>
          Log.serve(
            handler(({ fields, fullMessage, shortMessage }) =>
              Queue.offer(seen, `${shortMessage} ${fullMessage?.length} ${fields["_user"]}`)
            ),
            { shares: "chunks" }
          )
        )
      )
      const told = yield* Effect.gen(function* () {
        const { addresses } = yield* Log
        const ports = addresses.map((address) => String(address).split(":").at(-1) ?? "")
        yield* printed(script(python, ports))
        return yield* Queue.takeN(seen, 6)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(LogLive, NodeServer.layer(Log, "udp://127.0.0.1:0,tcp://127.0.0.1:0")))
      )
      assert.deepStrictEqual([...told].sort(), [
        "chunks 20000 ada",
        "gzip 20000 ada",
        "gzip in chunks 20000 ada",
        "plain 10 ada",
        "tcp 100000 ada",
        "zlib 20000 ada"
      ])
    })
  )
})

const python = `
import gzip, json, os, random, socket, sys, zlib
udp, tcp = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def message(text, size):
    return json.dumps({"version": "1.1", "host": "vm", "short_message": text, "full_message": "x" * size, "_user": "ada"}).encode()
def send(data):
    s.sendto(data, ("127.0.0.1", udp))
def chunks(data, size):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    id = os.urandom(8)
    all = [b"\\x1e\\x0f" + id + bytes([i, len(pieces)]) + piece for i, piece in enumerate(pieces)]
    random.shuffle(all)
    for chunk in all: send(chunk)
    send(all[0])
send(message("plain", 10))
send(gzip.compress(message("gzip", 20000)))
send(zlib.compress(message("zlib", 20000)))
chunks(message("chunks", 20000), 1420)
chunks(gzip.compress(message("gzip in chunks", 20000)), 20)
with socket.create_connection(("127.0.0.1", tcp), 30) as c:
    c.sendall(message("tcp", 100000) + b"\\0")
    c.shutdown(socket.SHUT_WR)
    c.recv(1)
`
