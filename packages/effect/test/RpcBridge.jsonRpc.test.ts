/** How messages of RPC are said and read. JSON-RPC is read as Effect reads it, whatever is escaped in it, and whatever others have sent before. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Result from "effect/Result"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import type * as RpcMessages from "../src/internal/rpcMessages.ts"

// Not exported, as it should be: a test alone looks at them.
const { messages } = await vi.importActual<typeof RpcMessages>("../src/internal/rpcMessages.ts")

const { client, server } = messages({ serialization: "json-rpc" })
const utf8 = new TextEncoder()
const read = { server: server.datagram, client: client!.datagram }

/** Each has something escaped. */
const fromClients = [
  `{"jsonrpc":"2.0","id":1,"method":"Add","params":{"a":"x\\ny"}}`,
  `{"jsonrpc":"2.0","id":"1","method":"Add","params":["\\u00e9",null,1.5,{"n":[]}],"headers":[["a","b\\"c"]]}`,
  `{"jsonrpc":"2.0","id":1,"method":"Add\\n"}`,
  `{"jsonrpc":"2.0","method":"Note","params":"\\\\"}`,
  `{"jsonrpc":"2.0","id":null,"method":"Note","params":"\\\\"}`,
  `{"jsonrpc":"2.0","id":7,"method":"Add","params":"\\t","traceId":"t\\n","spanId":"s","sampled":true,"discard":true}`,
  `{"jsonrpc":"2.0","method":"@effect/rpc/Interrupt","params":{"requestId":"1\\n"}}`,
  `{"jsonrpc":"2.0","method":"@effect/rpc/Ack","params":{"requestId":1,"more":"\\n"}}`,
  `{"jsonrpc":"2.0","method":"@effect/rpc/Ping","params":null,"more":"\\n"}`,
  `{"jsonrpc":"2.0","id":1,"method":"Add","params":{"__proto__":"\\n"}}`
]
const fromServers = [
  `{"jsonrpc":"2.0","id":1,"result":"x\\ny"}`,
  `{"jsonrpc":"2.0","id":1,"result":{"\\u0061":1}}`,
  `{"jsonrpc":"2.0","id":1,"chunk":true,"result":["\\n",1]}`,
  `{"jsonrpc":"2.0","id":1,"error":{"_tag":"Cause","code":1,"message":"m","data":[{"_tag":"Die","defect":"\\n"}]}}`,
  `{"jsonrpc":"2.0","id":1,"error":{"_tag":"Defect","code":1,"message":"m","data":{"text":"\\n"}}}`,
  `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"none\\n"}}`,
  `{"jsonrpc":"2.0","id":1,"error":null,"result":"\\n"}`,
  `{"jsonrpc":"2.0","result":"\\n"}`
]

describe("a line of JSON-RPC with something escaped", () => {
  for (const [side, lines] of [
    ["server", fromClients],
    ["client", fromServers]
  ] as const) {
    it.each(lines)(`is to a ${side} what it is to Effect: %s`, (line) => {
      const parser = RpcSerialization.ndJsonRpc({ maxBufferSize: "unbounded" }).makeUnsafe()
      const [expected] = parser.decode(`${line}\n`)
      assert.deepStrictEqual(Result.getOrThrow(read[side].decode(utf8.encode(line))) as unknown, expected)
    })
  }

  it.each([`"\\n"`, `{"a":"\\n"`, `null\\n`, `{"jsonrpc":"2.0","id":1,"method":"A","params":{"\\q":1}}`])(
    "is none where it is no message: %s",
    (line) => {
      assert.isTrue(Result.isFailure(read.server.decode(utf8.encode(line))))
    }
  )

  it("has the names that it says, whatever was said before", () => {
    const of = (name: string) => `{"jsonrpc":"2.0","id":1,"method":"Keys","params":{"a":1,"${name}":2}}`
    for (let i = 0; i < 3; i++) {
      for (const [name, is] of [
        ["\\\\", "\\"],
        [`\\"`, `"`],
        ["\\u0062", "b"],
        ["\\u0063", "c"]
      ] as const) {
        const message = Result.getOrThrow(read.server.decode(utf8.encode(of(name)))) as { readonly payload: object }
        assert.deepStrictEqual(Object.keys(message.payload), ["a", is])
      }
    }
  })
})

describe.each(["ndjson", "json-rpc"] as const)("an answer that a line cannot carry, as %s", (serialization) => {
  const { encode } = messages({ serialization }).server.payload
  let deep: unknown = []
  for (let i = 0; i < 100_000; i++) deep = [deep]
  const cyclic: Record<string, unknown> = {}
  cyclic["self"] = cyclic
  const bad: Record<string, unknown> = { cyclic, "a big integer": 1n }
  // Effect's JSON-RPC sends these as `JSON.stringify` does.
  if (serialization === "ndjson") Object.assign(bad, { deep, "no number": Number.NaN, "a date": new Date(0) })

  it.each(Object.keys(bad))("is one that its call died of: %s", (name) => {
    const said = encode({ _tag: "Exit", requestId: "7", exit: { _tag: "Success", value: bad[name] } } as never)
    assert.isString(said, String(said))
    const { cause, error, exit, id, requestId } = JSON.parse(said as string)
    assert.strictEqual(requestId ?? id, "7")
    assert.include(JSON.stringify(exit ?? error ?? cause), "Die")
  })

  it("is as it is otherwise", () => {
    for (const value of ["x", 1.5, null, true, [[], {}], { a: { b: ["c"] } }, Object.create(null)]) {
      const said = JSON.parse(
        encode({ _tag: "Exit", requestId: "7", exit: { _tag: "Success", value } } as never) as string
      )
      assert.strictEqual(JSON.stringify(said.exit === undefined ? said.result : said.exit.value), JSON.stringify(value))
    }
  })
})

describe("an id of a call", () => {
  it.each(["1e400", "null", "true", "{}"])("is refused where it is none: %s", (id) => {
    const line = `{"_tag":"Request","id":${id},"tag":"Add","payload":null,"headers":[]}`
    assert.isTrue(Result.isFailure(messages().server.datagram.decode(utf8.encode(line))))
  })
})
