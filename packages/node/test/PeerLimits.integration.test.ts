/** A program with a limit for each peer, and one peer that wants more than all. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { directory, selfSigned } from "./support/certificates.ts"
import { example, missing, script } from "./support/programs.ts"

const own = selfSigned(directory(), "own")

/** Opens 600 connections from 127.0.0.2, the first 50 of which say something, and one from 127.0.0.1. */
const crowd = `
import select, socket, ssl, sys, time
port, cert = int(sys.argv[1]), sys.argv[2]
trust = ssl.create_default_context(cafile=cert) if cert else None
def connect(source, speaks):
    s = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
    if speaks and trust: s = trust.wrap_socket(s, server_hostname="localhost")
    if speaks:
        s.sendall(b"hello\\n")
        assert s.recv(6) == b"hello\\n"
    return s
all = [connect("127.0.0.2", i < 50) for i in range(600)]
open, end = len(all), time.monotonic() + 20
while open > 100 and time.monotonic() < end:
    open = len(all)
    for s in select.select(all, [], [], 1)[0]:
        # A ticket of TLS is something to be read, too.
        try: gone = isinstance(s, ssl.SSLSocket) is False and s.recv(1) == b""
        except ConnectionResetError: gone = True
        open -= gone
connect("127.0.0.1", True)
print("open", open, flush=True)
# Who leaves in a handshake is refused, too.
sys.stdin.read()
`

describe.skipIf(missing("python3"))("a peer with 600 connections where it may have 100", () => {
  it.live.each([
    { transport: "tcp", listen: "tcp://127.0.0.1:0", cert: "", admitted: 101 },
    { transport: "tls", listen: `tls://127.0.0.1:0?cert=${own.cert}&key=${own.key}`, cert: own.cert, admitted: 51 }
  ])("has 100 over $transport, handshakes included; others are served", ({ admitted, cert, listen }) =>
    Effect.gen(function* () {
      const server = yield* example("echo", { LISTEN: listen, MAX_CONNECTIONS_PER_PEER: "100" })
      const [, port = ""] = yield* server.prints(/^listening on t\w+:\/\/127\.0\.0\.1:(\d+)\n/)
      const client = yield* script(crowd, [port, cert])
      const [, open] = yield* client.prints(/open (\d+)/)
      assert.strictEqual(Number(open), 100)
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      const warnings = server.all.split("\n").filter((line) => line.includes("WARN"))
      assert.strictEqual(warnings.length, 1, server.all)
      assert.match(warnings[0]!, /maxConnectionsPerPeer \(100\).*127\.0\.0\.2/)
      assert.match(server.all, new RegExp(`51 completed, 0 interrupted, 500 refused, ${admitted} connections`))
    }).pipe(Effect.scoped)
  )
})
