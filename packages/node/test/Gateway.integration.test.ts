import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHmac } from "node:crypto"
import { interpreter, missing, printed, python, serving, start } from "./support/programs.ts"

const policies = ["sequential", "fiber", "connection", "keyed", "thread:2", "pool:2", "process"]

/** Under these an answer leaves before that to an earlier request of the device, in this process and at once. */
const overtakes: Readonly<Record<string, boolean>> = { sequential: false, fiber: true, connection: false, keyed: false }

/**
 * Prints every byte of four connections, a line each: two that log in wrongly or not at all, one that waits for each
 * answer, and one that asks three things at once, whose frames are sorted. The last line is their order.
 */
const devices = `
import json, struct

def tell(s, **message):
    payload = json.dumps({"device": "pump-7", **message}).encode()
    s.sendall(struct.pack(">I", len(payload)) + payload)

def exactly(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more: raise EOFError(data)
        data += more
    return data

def frame(s):
    head = exactly(s, 4)
    return head + exactly(s, *struct.unpack(">I", head))

def show(data): print(data.hex())

s = connect()
tell(s, id=1, op="login", password="wrong")
show(rest(s))
s = connect()
tell(s, id=2, op="commands", token="guessed")
show(rest(s))

s = connect()
heard = b""
def ask(**message):
    global heard
    tell(s, **message)
    while True:
        more = frame(s)
        heard += more
        if "id" in json.loads(more[4:]): return json.loads(more[4:])
token = ask(id=3, op="login", password="open sesame")["token"]
ask(id=4, op="commands", token=token)
ask(id=5, op="average", token=token, of=[0.5, 1])
s.shutdown(socket.SHUT_WR)
show(heard + rest(s))

# In one piece, and the token is that of another connection.
s = connect()
asked = []
for id, of in ((6, [1, 2, 4, 8]), (7, []), (8, [-3])):
    payload = json.dumps({"id": id, "device": "pump-7", "op": "average", "token": token, "of": of}).encode()
    asked.append(struct.pack(">I", len(payload)) + payload)
s.sendall(b"".join(asked))
s.shutdown(socket.SHUT_WR)
frames = [frame(s) for _ in asked]
show(b"".join(sorted(frames)) + rest(s))
print(*(json.loads(f[4:])["id"] for f in frames))
`

/** Messages as they have to be on the wire, in hexadecimal digits: what each policy is compared with. */
const wire = (...messages: ReadonlyArray<object>): string =>
  messages
    .map((message) => {
      const payload = Buffer.from(JSON.stringify(message))
      const head = Buffer.alloc(4)
      head.writeUInt32BE(payload.length)
      return Buffer.concat([head, payload]).toString("hex")
    })
    .join("")

const secret = "only the test's"
const token = createHmac("sha256", secret).update("token of pump-7").digest("base64url")

const expected = [
  wire({ id: 1, error: "wrong device or password" }),
  wire({ id: 2, error: "log in first" }),
  wire(
    { id: 3, token },
    { command: "valve 2 open" },
    { command: "report at 12:00" },
    { id: 4, sent: 2 },
    { id: 5, average: 0.75 }
  ),
  // The shorter frame is sorted first.
  wire({ id: 7, average: 0 }, { id: 8, average: -3 }, { id: 6, average: 3.75 })
]

describe.skipIf(missing("python3"))("examples/gateway", () => {
  it.live.each(policies)("answers Python with the same bytes under %s", (policy) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("gateway", { POLICY: policy, GATEWAY_SECRET: secret })
      const lines = (yield* printed(python(port, devices))).trimEnd().split("\n")
      const order = lines.pop()
      assert.deepStrictEqual(lines, expected)
      if (overtakes[policy] !== undefined) assert.strictEqual(order, overtakes[policy] ? "7 8 6" : "6 7 8")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
      // By `logOutcomes`: nothing but the two that did not log in.
      assert.deepStrictEqual(server.stderr.match(/(?<=127\.0\.0\.1:\d+ ended: )refused: [^=]*(?= \w+=)/g), [
        "refused: wrong device or password",
        "refused: log in first"
      ])
    })
  )

  it.live("is spoken to by the device beside it", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("gateway", { POLICY: "sequential", GATEWAY_SECRET: "another" })
      const said = yield* printed(start(interpreter(), ["examples/gateway/device.py", port]))
      assert.deepStrictEqual(said.split("\n").slice(1), [
        "{'command': 'valve 2 open'}",
        "{'command': 'report at 12:00'}",
        "{'id': 2, 'sent': 2}",
        "{'id': 3, 'average': 21.25}",
        "{'id': 4, 'average': 0}",
        ""
      ])
    })
  )
})
