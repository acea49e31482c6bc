/** Python's xmlrpc.client talks to the example: every type of value there and back, faults, many calls in one. */
import { assert, describe, it } from "vitest"
import { spawn, spawnSync } from "node:child_process"
import { join } from "node:path"

const isMissing = spawnSync("python3", ["--version"]).error !== undefined
if (isMissing) {
  const reason = "examples/xmlrpc needs python3: apt-get install --no-install-recommends python3"
  if (process.env["CI"]) throw new Error(reason)
  console.warn(`skipped: ${reason}`)
}

const script = String.raw`
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

/** Runs a program to its end. */
const run = (command: string, args: ReadonlyArray<string>) =>
  new Promise<string>((resolve) => {
    const child = spawn(command, args)
    let said = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += String(text)))
    child.on("close", (code) => resolve(`${said}${code ?? "killed"}`))
  })

describe.skipIf(isMissing)("Python's xmlrpc.client", () => {
  it.each([{}, { PREFORK: "2" }])("is answered, with %j", async (env) => {
    const server = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
      env: { PATH: process.env["PATH"], LISTEN: "tcp://127.0.0.1:0", ...env },
      stdio: ["ignore", "pipe", "inherit"]
    })
    const ended = new Promise<number | null>((resolve) => server.on("close", resolve))
    const port = await new Promise<string>((resolve) => {
      let text = ""
      server.stdout.on("data", (more) => {
        text += String(more)
        const found = /listening on tcp:\/\/127.0.0.1:(\d+)\n/.exec(text)?.[1]
        if (found !== undefined) resolve(found)
      })
    })
    assert.strictEqual(await run("python3", ["-c", script, `http://127.0.0.1:${port}`]), "all answered\n0")
    server.kill("SIGTERM")
    assert.strictEqual(await ended, 0)
  })
})
