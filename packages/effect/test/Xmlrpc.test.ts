/** XML-RPC: what is read and written, what is none, and what hostile documents cost. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Server from "@socketserver/core/Server"
import * as HttpBridge from "@socketserver/effect/HttpBridge"
import * as Xmlrpc from "@socketserver/effect/Xmlrpc"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import { SaxesParser } from "saxes"
import { readCall } from "../src/internal/xmlrpc/read.ts"
import { decimal } from "../src/internal/xmlrpc/scalars.ts"
import { textOf } from "../src/internal/xmlrpc/document.ts"
import type { Value } from "../src/internal/xmlrpc/values.ts"
import { writeResponse } from "../src/internal/xmlrpc/write.ts"

const bounds = { maxDepth: 64, maxValues: 65_536 }

const call = (params: string, method = "m") =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params}</params></methodCall>`
const param = (value: string) => call(`<param><value>${value}</value></param>`)

const read = (text: string) => {
  const result = readCall(SaxesParser, text, bounds)
  return Result.isSuccess(result) ? result.success : result.failure
}

/** The one parameter of a call. */
const valueIn = (text: string): unknown => {
  const result = read(param(text))
  return "params" in result ? result.params[0] : `${result.code} ${result.text}`
}

/** Chances that come again with the same seed. */
const chances = (seed: number) => {
  let state = seed
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  const pick = <A>(all: ReadonlyArray<A>): A => all[int(all.length)] as A
  return { next, int, pick }
}
type Chances = ReturnType<typeof chances>

const texts = ["", " ", "plain", "\r\n", "]]>", "&amp;", "<b>", "\t x ", "\u00e9\u4e16\u{1f600}", "\u0085\u2028"]

/** A double of any size. */
const double = ({ int, next }: Chances): number => {
  const bits = new DataView(new ArrayBuffer(8))
  for (let i = 0; i < 8; i++) bits.setUint8(i, int(256))
  const value = next() < 0.3 ? int(1_000) / 8 - 50 : bits.getFloat64(0)
  return Number.isFinite(value) ? value : -0
}

const valueOf = (chance: Chances, depth: number): Value => {
  const { int, next, pick } = chance
  const some = <A>(make: () => A): Array<A> => Array.from({ length: int(4) }, make)
  switch (int(depth > 0 ? 10 : 8)) {
    case 0:
      return { _tag: "Int", value: pick([0, -(2 ** 31), 2 ** 31 - 1, int(1_000) - 500]) }
    case 1:
      return { _tag: "I8", value: BigInt.asIntN(64, BigInt(int(2 ** 32)) << BigInt(int(40))) }
    case 2:
      return { _tag: "Boolean", value: next() < 0.5 }
    case 3:
      return { _tag: "Double", value: double(chance) }
    case 4:
      return { _tag: "String", value: some(() => pick(texts)).join("") }
    case 5:
      return { _tag: "Base64", value: Uint8Array.from({ length: int(20) }, () => int(256)) }
    case 6:
      return { _tag: "DateTime", value: pick(["19980717T14:08:55", "2026-01-31T00:00:00Z"]) }
    case 7:
      return { _tag: "Nil" }
    case 8:
      return { _tag: "Array", value: some(() => valueOf(chance, depth - 1)) }
    default: {
      const members = some(() => [pick(["a", "", "__proto__", "<&>"]), valueOf(chance, depth - 1)] as const)
      return { _tag: "Struct", value: new Map(members) }
    }
  }
}

/** What was written, as the one parameter of a call. */
const asCall = (response: string): string =>
  response
    .replace("<methodResponse>", "<methodCall><methodName>m</methodName>")
    .replace("</methodResponse>", "</methodCall>")

describe("a value", () => {
  it("is read as it was written", () => {
    for (let seed = 0; seed < 2_000; seed++) {
      const value = valueOf(chances(seed), 4)
      assert.deepStrictEqual(read(asCall(writeResponse(value))), { method: "m", params: [value] }, `seed ${seed}`)
    }
  })

  it.each([
    ["<i4>-5</i4>", { _tag: "Int", value: -5 }],
    ["<i4>-0</i4>", { _tag: "Int", value: 0 }],
    ["<int> +7 </int>", { _tag: "Int", value: 7 }],
    ["<i8>9007199254740993</i8>", { _tag: "I8", value: 9_007_199_254_740_993n }],
    ["<double>-.5</double>", { _tag: "Double", value: -0.5 }],
    ["<double>1e+16</double>", { _tag: "Double", value: 1e16 }],
    ["plain &lt;&#65;&amp;", { _tag: "String", value: "plain <A&" }],
    ["", { _tag: "String", value: "" }],
    ["<string/>", { _tag: "String", value: "" }],
    ["<string><![CDATA[<b>]]></string>", { _tag: "String", value: "<b>" }],
    ["<base64>\n aGVs\n bG8=\n</base64>", { _tag: "Base64", value: new Uint8Array(Buffer.from("hello")) }],
    ["\n <array> <data> </data> </array>\n", { _tag: "Array", value: [] }],
    ["<struct/>", { _tag: "Struct", value: new Map() }],
    ["<ex:nil/>", { _tag: "Nil" }]
  ])("reads %s", (text, expected) => {
    assert.deepStrictEqual(valueIn(text), expected)
  })

  it.each([
    "<int>2147483648</int>",
    "<int></int>",
    "<int>1.5</int>",
    "<i8>9223372036854775808</i8>",
    "<boolean>true</boolean>",
    "<double>Infinity</double>",
    "<double>1e999</double>",
    "<double>0x10</double>",
    "<base64>a=b</base64>",
    "<dateTime.iso8601>yesterday</dateTime.iso8601>",
    "<nil>x</nil>",
    "<date>1</date>",
    "text <int>1</int>",
    "<int>1</int> text",
    "<int>1</int><int>2</int>",
    "<int><b/></int>",
    "<array/><array/>",
    "<array><value/></array>",
    "<array><data/><data/></array>",
    "<struct><member><name>a</name></member></struct>",
    "<struct><member><value/></member></struct>",
    "<struct><value/></struct>"
  ])("refuses %s", (text) => {
    assert.match(String(valueIn(text)), /^-32600 /)
  })

  it("is a number without an exponent", () => {
    for (let seed = 0; seed < 2_000; seed++) {
      const value = double(chances(seed))
      const text = decimal(value)
      assert.match(text, /^-?\d+\.\d+$/)
      assert.isTrue(Object.is(Number(text), value), text)
    }
    assert.deepStrictEqual(
      [1, 1e21, -1.5e-7, 5e-324].map(decimal).map((text) => text.slice(0, 12)),
      ["1.0", "100000000000", "-0.00000015", "0.0000000000"]
    )
  })

  it("is not written where XML cannot express it, and is a fault", () => {
    const values: Array<Value> = [
      { _tag: "String", value: "\u0000" },
      { _tag: "String", value: "\ud800" },
      { _tag: "Struct", value: new Map([["\u0001", { _tag: "Nil" }]]) },
      { _tag: "Double", value: NaN },
      { _tag: "Int", value: 2 ** 31 },
      { _tag: "DateTime", value: "<b/>" }
    ]
    for (const value of values) assert.match(writeResponse({ _tag: "Array", value: [value] }), /<fault>.*-32603/)
  })
})

describe("a document", () => {
  it.each([
    ["", -32_700],
    ["what", -32_700],
    ["<methodCall>", -32_700],
    ["<methodCall><methodName>a</methodName></methodCall><b/>", -32_700],
    ["<methodResponse/>", -32_600],
    ["<methodCall/>", -32_600],
    ["<methodCall><methodName> </methodName></methodCall>", -32_600],
    ["<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>", -32_600],
    ["<methodCall>text<methodName>a</methodName></methodCall>", -32_600],
    [call("<param/>"), -32_600],
    [call("&undeclared;"), -32_700],
    [`<!DOCTYPE a [<!ENTITY b "c">]>${param("&b;")}`, -32_600],
    [`<!DOCTYPE a SYSTEM "file:///etc/passwd">${param("")}`, -32_600],
    [param("\u0000"), -32_700],
    [param("&#0;"), -32_700]
  ])("that is none is a fault: %s", (text, code) => {
    const result = read(text)
    assert.strictEqual("code" in result ? result.code : undefined, code)
  })

  it("is bounded in depth and in values", () => {
    const nested = (depth: number) =>
      param(`${"<array><data><value>".repeat(depth - 1)}1${"</value></data></array>".repeat(depth - 1)}`)
    assert.property(read(nested(64)), "params")
    assert.deepInclude(read(nested(65)), { code: -32_600, text: "the call has values deeper than 64" })
    const wide = (values: number) => param(`<array><data>${"<value/>".repeat(values - 1)}</data></array>`)
    assert.property(read(wide(65_536)), "params")
    assert.deepInclude(read(wide(65_537)), { code: -32_600, text: "the call has more than 65536 values" })
    // Any other element is none, however deep.
    assert.deepInclude(read("<a>".repeat(300_000)), { code: -32_600 })
  })

  it("is read in time that grows with its size", () => {
    const time = (text: string) => {
      const start = process.cpuUsage()
      read(text)
      const { system, user } = process.cpuUsage(start)
      return user + system
    }
    const hostile: ReadonlyArray<(n: number) => string> = [
      (n) => param(`<base64>${" ".repeat(n)}!</base64>`),
      (n) => param(`<int>${" ".repeat(n)}</int>`),
      (n) => param(`<double>${"1".repeat(n)}e</double>`),
      (n) => param(`<dateTime.iso8601>${" ".repeat(n)}</dateTime.iso8601>`),
      (n) => param("&lt;".repeat(n / 4)),
      (n) => param(`<![CDATA[${"]".repeat(n)}]]>`),
      (n) => `<${"a".repeat(n)}`,
      (n) => `<!--${"-".repeat(n)}`,
      (n) => `<!DOCTYPE ${"[".repeat(n)}`,
      (n) => param(`<int ${'a="" '.repeat(n / 5)}>1</int>`)
    ]
    for (const document of hostile) {
      time(document(20_000))
      // A hundred times as long would take ten thousand times as long.
      assert.isBelow(time(document(1_000_000)), 2_000_000, document(20).slice(0, 150))
    }
  })

  it("is in the encoding that it says, or HTTP does", () => {
    const text = (bytes: Uint8Array, charset?: string) => {
      const result = textOf(bytes, charset)
      return Result.isSuccess(result) ? result.success : result.failure.code
    }
    const latin1 = Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?>\u00e9', "latin1")
    assert.match(String(text(latin1)), /\u00e9$/)
    assert.strictEqual(text(latin1, "utf-8"), -32_702)
    assert.strictEqual(text(Buffer.from("\ufeff\u00e9")), "\u00e9")
    assert.strictEqual(text(Buffer.from("\ufeff\u00e9", "utf16le")), "\u00e9")
    assert.strictEqual(text(Buffer.from('<?xml version="1.0" encoding="EBCDIC"?>')), -32_701)
  })

  it("that is mutated is read, or a fault", () => {
    const start = param(
      "<struct><member><name>a</name><value><array><data><value><i8>5</i8></value><value><![CDATA[x]]></value></data></array>" +
        "</value></member><member><name>b</name><value><base64>aGVsbG8=</base64></value></member></struct>"
    )
    const pieces = [
      "<",
      ">",
      "&",
      "/",
      "<value>",
      "</value>",
      "<array>",
      "<data>",
      "]]>",
      "<!--",
      "<?x ?>",
      "&#x110000;",
      "\u0000"
    ]
    let readAgain = 0
    for (let seed = 0; seed < 20_000; seed++) {
      const { int, pick } = chances(seed)
      let text = start
      for (let i = int(4); i >= 0; i--) {
        const at = int(start.length)
        text = text.slice(0, at) + pick(["", ...pieces]) + text.slice(at + int(20))
      }
      const result = read(text)
      if ("params" in result) readAgain++
      else assert.isAtMost(result.code, -32_600, text)
    }
    assert.isAbove(readAgain, 0)
  })
})

class Calls extends Server.Service<Calls>()("Calls", { protocol: HttpBridge.protocol }) {}

class Greeting extends Context.Service<Greeting, string>()("Greeting") {}

const methods = {
  add: Xmlrpc.method({
    params: [Xmlrpc.int, Xmlrpc.int],
    returns: Xmlrpc.int,
    help: "adds",
    handle: (a, b) => Effect.succeed(a + b)
  }),
  greet: Xmlrpc.method({
    params: [Xmlrpc.struct({ name: Xmlrpc.string, often: Xmlrpc.array(Xmlrpc.boolean) })],
    returns: Xmlrpc.string,
    handle: ({ name, often }) => Effect.map(Greeting, (greeting) => `${greeting} ${name} ${often.length}`)
  }),
  refuse: Xmlrpc.method({
    params: [],
    returns: Xmlrpc.nil,
    handle: () => Effect.fail(new Xmlrpc.Fault({ code: 7, message: "no <b>" }))
  }),
  die: Xmlrpc.method({ params: [], returns: Xmlrpc.nil, handle: () => Effect.die(new Error("a secret")) })
}

const served = HttpRouter.serve(Xmlrpc.layer(methods, { maxBytes: 20_000 }), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  Layer.provide(HttpBridge.layer(Calls)),
  Layer.merge(HttpBridge.layerClient(Calls)),
  Layer.provide(MemoryServer.layer(Calls)),
  Layer.provide(Layer.succeed(Greeting)("hello")),
  Layer.provide(Logger.layer([]))
)

const post = (body: string | Uint8Array, path = "/RPC2") =>
  Effect.flatMap(
    HttpClient.execute(
      HttpClientRequest.post(path).pipe(
        HttpClientRequest.bodyUint8Array(typeof body === "string" ? new TextEncoder().encode(body) : body, "text/xml")
      )
    ),
    (response) => response.text
  )

/** What a response has as its value, or as its fault. */
const answerIn = (response: string): string =>
  /<(?:param|fault)>(.*)<\/(?:param|fault)>/s.exec(response)?.[1] ?? response
const int = (value: number) => `<param><value><int>${value}</int></value></param>`

describe("a server", () => {
  it.live("answers at both paths, with services, faults, and what it knows of itself", () =>
    Effect.gen(function* () {
      const ask = (text: string, path?: string) => Effect.map(post(text, path), answerIn)
      assert.strictEqual(yield* ask(call(int(2) + int(3), "add"), "/"), "<value><int>5</int></value>")
      const struct =
        "<param><value><struct><member><name>name</name><value>you</value></member><member><name>often</name>" +
        "<value><array><data><value><boolean>1</boolean></value></data></array></value></member></struct></value></param>"
      assert.strictEqual(yield* ask(call(struct, "greet")), "<value><string>hello you 1</string></value>")
      assert.match(yield* ask(call("", "refuse")), /<int>7<\/int>.*no &lt;b&gt;/)
      const died = yield* ask(call("", "die"))
      assert.match(died, /-32603/)
      assert.notMatch(died, /secret/)
      assert.match(yield* ask(call(int(1), "add")), /-32602.*it takes \(int, int\)/)
      assert.match(yield* ask(call("", "toString")), /-32601/)
      assert.match(yield* ask("<methodCall>"), /-32700/)
      assert.match(yield* ask(param("x".repeat(30_000))), /-32600.*at most 20000 bytes/)
      const names = yield* ask(call("", "system.listMethods"))
      assert.deepStrictEqual(
        [...names.matchAll(/<string>([^<]*)/g)].map(([, name]) => name),
        [
          "add",
          "die",
          "greet",
          "refuse",
          "system.listMethods",
          "system.methodHelp",
          "system.methodSignature",
          "system.multicall"
        ]
      )
      const of = (method: string) => call("<param><value>add</value></param>", method)
      assert.match(yield* ask(of("system.methodHelp")), /<string>adds</)
      assert.strictEqual([...(yield* ask(of("system.methodSignature"))).matchAll(/<string>int</g)].length, 3)
    }).pipe(Effect.provide(served))
  )

  it.live("makes several calls in one, each with its answer or fault", () =>
    Effect.gen(function* () {
      const one = (name: string, params: string) =>
        `<value><struct><member><name>methodName</name><value>${name}</value></member><member><name>params</name>` +
        `<value><array><data>${params}</data></array></value></member></struct></value>`
      const many = (...calls: ReadonlyArray<string>) =>
        call(`<param><value><array><data>${calls.join("")}</data></array></value></param>`, "system.multicall")
      const two = "<value><int>1</int></value><value><int>2</int></value>"
      const answer = answerIn(
        yield* post(many(one("add", two), one("system.multicall", ""), one("refuse", ""), "<value/>"))
      )
      assert.deepStrictEqual(
        [...answer.matchAll(/<int>(-?\d+)<\/int>/g)].map(([, number]) => number),
        ["3", "-32600", "7", "-32602"]
      )
      assert.match(answerIn(yield* post(call("", "system.multicall"))), /-32602/)
    }).pipe(Effect.provide(served))
  )
})
