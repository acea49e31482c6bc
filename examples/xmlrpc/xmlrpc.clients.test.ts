/** Python's xmlrpc.client talks to the example: every type of value there and back, faults, many calls in one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { example, printed, script, serving } from "../../packages/node/test/support/programs.ts"
import { beside } from "../support/adversaries.ts"
import { missing } from "../support/clients.ts"

const everything = String.raw`
import datetime, sys, http.client
from xmlrpc.client import ServerProxy, Fault, Binary, DateTime, MultiCall, dumps, loads

def fault(call, *args):
    try: call(*args)
    except Fault as fault: return fault.faultCode
    raise SystemExit("no fault of " + repr(args))

url = sys.argv[1]
for path in ["", "/", "/RPC2"]:
    server = ServerProxy(url + path, allow_none=True)
    assert server.add(2, 3) == 5

assert server.add(0.5, 2) == 2.5
assert server.add(2147483647, 1) == 2147483648
assert server.divide(1, 4) == 0.25
assert fault(server.divide, 1, 0) == 1

values = [
    0, -2147483648, 2147483647, True, False, 1.5, -0.0, 1e-7, 1e16, 1.7976931348623157e308, 5e-324,
    "", "a <b> & 'c' ]]>", "\u00e9\u4e16\U0001f600", " spaces ", "line\nline\ttab", None,
    [], [1, ["two", [3.0]]], {}, {"a": 1, "": 2, "b": {"c": [None]}, "<&>": "x"},
    Binary(b""), Binary(bytes(range(256)) * 40), DateTime("19980717T14:08:55"),
]
for value in values:
    back = server.echo(value)
    assert back == value and type(back) == type(value), (value, back)

# What the client has no words for.
def raw(body, headers={}):
    connection = http.client.HTTPConnection(url.split("//")[1])
    connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml", **headers})
    return connection.getresponse().read()

eight = b"<methodCall><methodName>echo</methodName><params><param><value><i8>-9223372036854775808</i8></value></param></params></methodCall>"
assert loads(raw(eight)) == ((-9223372036854775808,), None)

def code(body):
    try: loads(raw(body))
    except Fault as fault: return fault.faultCode
    raise SystemExit("no fault of " + repr(body[:80]))

assert code(b"what") == -32700
assert code(b"<methodCall>") == -32700
assert code(b"<methodCall/>") == -32600
bomb = b'<!DOCTYPE b [<!ENTITY a "' + b"x" * 1000 + b'">' + b"".join(
    b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 100) for i in range(1, 9)) + b"]>" + eight.replace(b"-9", b"&a8;")
assert code(bomb) == -32600
assert code(b"<?xml version='1.0' encoding='EBCDIC-US'?><methodCall/>") == -32701
assert code(b"\xff\xff") == -32702
deep = b"<value><array><data>" * 200_00
assert code(b"<methodCall><methodName>echo</methodName><params><param>" + deep) == -32600
assert code(b"x" * 2_000_000) == -32600

assert fault(server.nothing) == -32601
assert fault(server.add, 1) == -32602
assert fault(server.add, "1", "2") == -32602

names = ["add", "divide", "echo"] + ["system." + n for n in ["listMethods", "methodHelp", "methodSignature", "multicall"]]
assert server.system.listMethods() == names, server.system.listMethods()
assert "sum" in server.system.methodHelp("add")
assert server.system.methodSignature("add") == [["int"] * 3, ["double"] * 3]
calls = MultiCall(server)
calls.add(1, 2); calls.divide(1, 0); calls.echo([1])
answers = calls()
assert answers[0] == 3 and answers[2] == [1]
try: answers[1]; raise SystemExit("no fault")
except Fault as fault: assert fault.faultCode == 1
print("all answered")
`

describe.skipIf(missing("python3", "python3"))("Python's xmlrpc.client", () => {
  it.live.each([{}, { PREFORK: "2" }])("is answered, with %j", (env) =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("xmlrpc", env as never)
      assert.strictEqual(yield* printed(script(everything, [`http://127.0.0.1:${port}`])), "all answered\n")
      yield* server.signal("SIGTERM")
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("is answered beside those who say nothing, too much, or do not read", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("xmlrpc")
      const call = post("<value><int>1</int></value>")
      yield* beside({
        server,
        port,
        half: call.slice(0, -30),
        request: call,
        large: post("<value><array><data>".repeat(50_000)),
        served: () => Effect.scoped(Effect.asVoid(printed(script(adds, [port]))))
      })
    })
  )
})

const post = (value: string): string => {
  const body = `<methodCall><methodName>echo</methodName><params><param>${value}</param></params></methodCall>`
  return `POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const adds = `
import sys
from xmlrpc.client import ServerProxy
assert ServerProxy("http://127.0.0.1:" + sys.argv[1]).add(2, 3) == 5
`

describe("examples/xmlrpc", () => {
  it.live("answers a call whose body was on its way when a stop came", () =>
    Effect.gen(function* () {
      const { port, server } = yield* serving("xmlrpc")
      const call = post("<value><string>late</string></value>")
      const got = yield* Effect.callback<string>((resume) => {
        let text = ""
        const socket = net.connect(Number(port), "127.0.0.1")
        // What is asked first is answered: by then the beginning of the second has been read.
        socket.write(call + call.slice(0, -20))
        socket.setEncoding("utf8").on("data", (more) => {
          if (text === "") {
            process.kill(server.pid, "SIGTERM")
            // It goes on when the stop has begun: nobody else is let in any more.
            const look = (): void => {
              const other = net.connect(Number(port), "127.0.0.1")
              other.on("connect", () => {
                other.destroy()
                setImmediate(look)
              })
              other.on("error", () => socket.write(call.slice(-20)))
            }
            look()
          }
          text += String(more)
        })
        socket.on("close", () => resume(Effect.succeed(text)))
        socket.on("error", (error) => resume(Effect.die(error)))
        return Effect.sync(() => socket.destroy())
      })
      assert.lengthOf([...got.matchAll(/^HTTP\/1\.1 200 /gm)], 2)
      assert.lengthOf([...got.matchAll(/<string>late<\/string>/g)], 2)
      assert.deepStrictEqual(yield* server.end, { code: 0, signal: null })
    })
  )

  it.live("ends the start with one line under a policy of workers", () =>
    Effect.gen(function* () {
      const server = yield* example("xmlrpc", { POLICY: "pool:2" })
      assert.deepStrictEqual(yield* server.end, { code: 1, signal: null })
      assert.strictEqual(server.stdout, "")
      assert.match(server.all, /^POLICY: Cannot run handlers of Calls under the policy "pool:2"[^\n]*\n$/)
    })
  )
})
