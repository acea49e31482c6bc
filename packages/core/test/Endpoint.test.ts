import { assert, describe, it } from "@effect/vitest"
import { Endpoint } from "@socketserver/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const parsed = (value: string) => {
  const result = Endpoint.parse(value)
  return Result.isSuccess(result) ? String(result.success) : result.failure.message
}

const accepted = "Accepted: tcp://HOST:PORT, unix:///PATH, unix:@NAME, memory:NAME"

describe("Endpoint.parse", () => {
  it("reads what it is: scheme, host and port", () => {
    const result = Endpoint.parse("tcp://example.org:9000")
    assert(Result.isSuccess(result) && result.success._tag === "Tcp")
    assert.deepStrictEqual([result.success.host, result.success.port], ["example.org", 9000])
  })

  it("reads the host of an IPv6 address without its brackets", () => {
    const result = Endpoint.parse("tcp://[fe80::1%eth0]:0")
    assert(Result.isSuccess(result) && result.success._tag === "Tcp")
    assert.deepStrictEqual([result.success.host, result.success.port], ["fe80::1%eth0", 0])
  })

  it("reads the name of a server in memory", () => {
    const result = Endpoint.parse("memory:echo")
    assert(Result.isSuccess(result) && result.success._tag === "Memory")
    assert.strictEqual(result.success.name, "echo")
  })

  it.each([
    ["tcp://127.0.0.1:9000", "tcp://127.0.0.1:9000"],
    ["tcp://localhost:0", "tcp://localhost:0"],
    ["tcp://0.0.0.0:65535", "tcp://0.0.0.0:65535"],
    ["tcp://[::1]:9000", "tcp://[::1]:9000"],
    ["tcp://[::]:0", "tcp://[::]:0"],
    ["TCP://localhost:1", "tcp://localhost:1"],
    ["  tcp://localhost:1\n", "tcp://localhost:1"],
    ["tcp://localhost:1/", "tcp://localhost:1"],
    ["unix:///run/echo.sock", "unix:///run/echo.sock"],
    ["unix:///run/with space", "unix:///run/with space"],
    ["unix:@echo", "unix:@echo"],
    ["memory:echo", "memory:echo"],
    ["memory:a b#1", "memory:a b#1"]
  ])("accepts %j and formats it as %j", (value, formatted) => {
    assert.strictEqual(parsed(value), formatted)
  })

  it.each([
    ["", "it has no scheme"],
    ["unix:", "it must be an absolute path or an abstract name"],
    ["unix:///", "it must be an absolute path or an abstract name"],
    ["unix://run/echo.sock", "it must be an absolute path or an abstract name"],
    ["unix:echo.sock", "it must be an absolute path or an abstract name"],
    ["unix:@", "it must be an absolute path or an abstract name"],
    ["unix:///run/echo.sock?mode=660", "a path cannot have a zero byte, ? or #"],
    ["9000", "it has no scheme"],
    ["127.0.0.1:9000", "it has no scheme"],
    ["foo://x", 'unknown scheme "foo"'],
    ["localhost:9000", 'unknown scheme "localhost"'],
    ["memory:", "it has no name after memory:"],
    ["tcp://:9000", "it has no host; to listen everywhere, write tcp://0.0.0.0:PORT or tcp://[::]:PORT"],
    ["tcp://[]:9000", "it has no host; to listen everywhere, write tcp://0.0.0.0:PORT or tcp://[::]:PORT"],
    ["tcp://localhost", "it has no port; port 0 takes any free one"],
    ["tcp://localhost:", "it has no port; port 0 takes any free one"],
    ["tcp://[::1]", "it has no port; port 0 takes any free one"],
    ["tcp://localhost:65536", 'the port must be 0 to 65535, not "65536"'],
    ["tcp://localhost:-1", 'the port must be 0 to 65535, not "-1"'],
    ["tcp://localhost:http", 'the port must be 0 to 65535, not "http"'],
    ["tcp://localhost:1e3", 'the port must be 0 to 65535, not "1e3"'],
    ["tcp://localhost:1/path", 'nothing may follow the port, but "/path" does'],
    ["tcp://localhost:1?backlog=5", 'nothing may follow the port, but "?backlog=5" does']
  ])("refuses %j: %s", (value, problem) => {
    assert.strictEqual(parsed(value), `Invalid endpoint ${JSON.stringify(value)}: ${problem}. ${accepted}`)
  })

  it.each(["tcp://::1:9000", "tcp://fe80::1:9000", "tcp://::"])(
    "says of %j that an IPv6 host is written in brackets",
    (value) => {
      const problem = "an IPv6 host is written in brackets, as in tcp://[::1]:9000"
      assert.strictEqual(parsed(value), `Invalid endpoint ${JSON.stringify(value)}: ${problem}. ${accepted}`)
    }
  )

  it("says nothing of IPv6 where there is none", () => {
    assert.notInclude(parsed("tcp:127.0.0.1:9000"), "IPv6")
  })

  it("carries the value, the problem and what is accepted, for programs", () => {
    const result = Endpoint.parse("foo://x")
    assert(Result.isFailure(result) && result.failure.reason._tag === "InvalidEndpoint")
    const { accepted, problem, value } = result.failure.reason
    assert.deepStrictEqual(
      { accepted, problem, value },
      { accepted: Endpoint.forms, problem: 'unknown scheme "foo"', value: "foo://x" }
    )
  })

  const port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))
  const hosts = Schema.Literals(["localhost", "127.0.0.1", "::1", "2001:db8::7:0", "a-b.example.org"])
  it.effect.prop("parses what it formats", [hosts, port], ([host, port]) =>
    Effect.sync(() => {
      const result = Endpoint.parse(String(Endpoint.tcp(host, port)))
      assert(Result.isSuccess(result) && result.success._tag === "Tcp")
      assert.deepStrictEqual([result.success.host, result.success.port], [host, port])
    })
  )

  it.effect.prop(
    "answers any text with an endpoint or an error that shows the text",
    [Arbitrary.schema(Schema.String)],
    ([text]) =>
      Effect.sync(() => {
        for (const value of [text, `tcp://${text}`, `tcp://[${text}`, `tcp://h:${text}`]) {
          const result = Endpoint.parse(value)
          if (Result.isFailure(result)) assert.include(result.failure.message, JSON.stringify(value))
          else assert.deepStrictEqual(parsed(String(result.success)), String(result.success))
        }
      })
  )
})

describe("Endpoint", () => {
  it("brackets only IPv6 hosts", () => {
    assert.strictEqual(String(Endpoint.tcp("::", 1)), "tcp://[::]:1")
    assert.strictEqual(String(Endpoint.tcp("host", 1)), "tcp://host:1")
    assert.strictEqual(`${Endpoint.memory("m")}`, "memory:m")
  })
})
