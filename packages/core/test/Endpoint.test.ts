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

const accepted = `Accepted: ${Endpoint.forms.join(", ")}`

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
    ["udp://[fe80::1%25eth0]:53", "udp://[fe80::1%eth0]:53"],
    ["TCP://localhost:1", "tcp://localhost:1"],
    ["  tcp://localhost:1\n", "tcp://localhost:1"],
    ["tcp://localhost:1/", "tcp://localhost:1"],
    ["unix:///run/echo.sock", "unix:///run/echo.sock"],
    ["unix:///run/with space", "unix:///run/with space"],
    ["unix:@echo", "unix:@echo"],
    ["unix:///run/a%3Fb?mode=660", "unix:///run/a%3Fb?mode=660"],
    ["unixgram:///dev/log", "unixgram:///dev/log"],
    ["unixgram:@log?mode=666", "unixgram:@log?mode=666"],
    ["tls://[::]:443?cert=/a%26b.pem&key=/k", "tls://[::]:443?cert=/a%26b.pem&key=/k"],
    ["udp://[::1]:53", "udp://[::1]:53"],
    ["fd://3", "fd://3"],
    ["fd://echo.socket", "fd://echo.socket"],
    ["memory:echo", "memory:echo"],
    ["memory:a b#1", "memory:a b#1"]
  ])("accepts %j and formats it as %j", (value, formatted) => {
    assert.strictEqual(parsed(value), formatted)
  })

  it.each([
    ["", "it is empty"],
    ["tcp://127.0.0.1:0;udp://127.0.0.1:0", "a comma stands between several endpoints, not a semicolon"],
    [
      "unix:",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    [
      "unix:///",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    [
      "unix://run/echo.sock",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    [
      "unix:echo.sock",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    [
      "unix:@",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    ["unix:///run/a%00b", "a path cannot have a zero byte"],
    ["unix:///run/a#b", "a # in a path is written as %23"],
    [
      "unix:///run/100%",
      '"/run/100%" has a % that is not followed by two hexadecimal digits of a UTF-8 text; write % as %25'
    ],
    [
      "unixgram:echo",
      "it must be an absolute path after two slashes, as in unix:///run/echo.sock, or an abstract name, as in unix:@echo"
    ],
    ["fd://", "it must be the number or the name of a descriptor, as in fd://3"],
    ["fd:3", "it must be the number or the name of a descriptor, as in fd://3"],
    ["fd://99999999999", "no descriptor has the number 99999999999"],
    ["memory:echo?a=b", "memory: has no options"],
    ["tcp://h:1?", 'an option is written as name=value, not ""'],
    ["tcp://h:1?backlog", 'an option is written as name=value, not "backlog"'],
    ["tcp://h:1?a=1&a=2", "the option a is given twice"],
    ["udp://h", "it has no port; port 0 takes any free one"],
    ["tls://:1", "it has no host; to listen everywhere, write tls://0.0.0.0:PORT or tls://[::]:PORT"],
    ["tcp://h:1 udp://h:1", "it is several endpoints; where there may be several, they are separated by commas"],
    ["tcp://h:1,udp://h:1", "it is several endpoints; where there may be several, they are separated by commas"],
    ["nonsense", "it has no scheme"],
    ["9000", "it has no scheme; write tcp://127.0.0.1:9000"],
    [":9000", "it has no scheme; write tcp://127.0.0.1:9000"],
    ["127.0.0.1:9000", "it has no scheme; write tcp://127.0.0.1:9000"],
    ["[::1]:9000", "it has no scheme; write tcp://[::1]:9000"],
    ["localhost:9000", "it has no scheme; write tcp://localhost:9000"],
    ["example.org:9000?backlog=1", "it has no scheme; write tcp://example.org:9000"],
    ["/run/echo.sock", "it has no scheme; write unix:///run/echo.sock"],
    ["@echo", "it has no scheme; write unix:@echo"],
    ["tpc://h:1", 'unknown scheme "tpc"'],
    ["unixgarm:@a", 'unknown scheme "unixgarm"; did you mean "unixgram"?'],
    ["udpp://h:1", 'unknown scheme "udpp"; did you mean "udp"?'],
    ["foo://x", 'unknown scheme "foo"'],
    ["constructor:x", 'unknown scheme "constructor"'],
    ["tcp://h:1?__proto__=1&__proto__=2", "the option __proto__ is given twice"],
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
    ["tcp://localhost:1/path", 'nothing but options may follow the port, but "/path" does']
  ])("refuses %j: %s", (value, problem) => {
    const dot = problem.endsWith("?") ? "" : "."
    assert.strictEqual(parsed(value), `Invalid endpoint ${JSON.stringify(value)}: ${problem}${dot} ${accepted}`)
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

  it.each(["tcp", "tls", "udp"])("has no place in %s for a name or a password, and says what to write", (scheme) => {
    const result = Endpoint.parse(`${scheme}://user:secret@127.0.0.1:9`)
    assert(Result.isFailure(result) && result.failure.reason._tag === "InvalidEndpoint")
    const problem = `a name or a password has no place in it; write ${scheme}://HOST:PORT`
    assert.strictEqual(result.failure.reason.problem, problem)
    assert.include(result.failure.message, `Invalid endpoint "${scheme}://***@127.0.0.1:9": ${problem}. Accepted: `)
  })

  it.each([
    ["tcp://bob:hunter2@127.0.0.1:9", "tcp://***@127.0.0.1:9"],
    ["tcp://:hunter2@127.0.0.1:9", "tcp://***@127.0.0.1:9"],
    ["tcp://hunter2@127.0.0.1:9", "tcp://***@127.0.0.1:9"],
    ["tcp://bob:hunter2/a?b#c@d@127.0.0.1:9?backlog=1", "tcp://***@127.0.0.1:9?backlog=1"],
    ["tls://bob:hunter2 and 9@[::1]:9?cert=a&key=b", "tls://***@[::1]:9?cert=a&key=b"],
    ["redis://bob:hunter2@h:1", "redis://***@h:1"],
    ["bob:hunter2@h:1", "***@h:1"],
    ["tcp://h:1 udp://bob:hunter2@h:1", "tcp://h:1 udp://***@h:1"],
    ["tcp://bob:hunter2@h:1 udp://h:1", "tcp://***@h:1 udp://h:1"],
    ["tls://h:x?passphrase=hunter2&cert=a", "tls://h:x?passphrase=***&cert=a"],
    ["tls://h:x?cert=a&PassWord=hunter2, or so", "tls://h:x?cert=a&PassWord=***"],
    ["tls://h:x?token=hunter2&client_secret=hunter2", "tls://h:x?token=***&client_secret=***"],
    ["tls://h:x?key=-----BEGIN PRIVATE KEY-----hunter2&cert=a", "tls://h:x?key=***&cert=a"],
    // What is no secret stays, however it looks.
    ["tcp://[::1]:9?ca=a@b&ca=a@b", "tcp://[::1]:9?ca=a@b&ca=a@b"],
    ["tcp://h:99999?allow=a@b", "tcp://h:99999?allow=a@b"],
    ["tcp://h?ca=a:b@c", "tcp://h?ca=a:b@c"],
    ["unix://a@b:c", "unix://***@b:c"],
    ["unix:@a:b@c?x", "unix:@a:b@c?x"],
    ["unix:///a:b@c#", "unix:///a:b@c#"],
    ["tls://h:x?key=/etc/key.pem", "tls://h:x?key=/etc/key.pem"],
    ["tcp://h:x\n\u001b[2J", "tcp://h:x\n\u001b[2J"]
  ])("shows of %j what may be shown", (value, shown) => {
    const result = Endpoint.parse(value)
    assert(Result.isFailure(result) && result.failure.reason._tag === "InvalidEndpoint")
    assert.strictEqual(result.failure.reason.value, shown)
    assert.isTrue(result.failure.message.startsWith(`Invalid endpoint ${JSON.stringify(shown)}: `))
    assert.notInclude(JSON.stringify(result.failure) + result.failure.message, "hunter2")
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
        for (const value of [
          text,
          `tcp://${text}`,
          `tcp://[${text}`,
          `tcp://h:${text}`,
          `unix:///${text}`,
          `udp://h:1?${text}`
        ]) {
          const result = Endpoint.parse(value)
          if (Result.isFailure(result)) {
            const { message, reason } = result.failure
            assert(reason._tag === "InvalidEndpoint")
            assert.include(message, JSON.stringify(reason.value))
            // But for what nobody should read all of it is shown.
            const shown = reason.value
              .split("***")
              .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&"))
              .join("[^]+")
            assert.match(value, new RegExp(`^${shown}$`))
          } else assert.deepStrictEqual(parsed(String(result.success)), String(result.success))
        }
      })
  )
})

describe("Endpoint.parseAll", () => {
  const all = (value: string) => {
    const result = Endpoint.parseAll(value)
    return Result.isSuccess(result) ? result.success.map(String) : result.failure.message
  }

  it("reads endpoints that are separated by commas", () => {
    assert.deepStrictEqual(all("tcp://h:1"), ["tcp://h:1"])
    assert.deepStrictEqual(all("tcp://h:1,unix:@a , memory:m,fd://3"), ["tcp://h:1", "unix:@a", "memory:m", "fd://3"])
  })

  it("leaves a comma to the option that it is in", () => {
    assert.deepStrictEqual(all("tcp://h:1?allow=10.0.0.0/8,fe80::/10,unixgram:@a"), [
      "tcp://h:1?allow=10.0.0.0/8,fe80::/10",
      "unixgram:@a"
    ])
  })

  it("refuses what is empty", () => {
    assert.strictEqual(all(""), `Invalid endpoint "": it is empty. ${accepted}`)
  })

  it.each([
    [",", 1, 2],
    ["tcp://h:1,", 2, 2],
    [",tcp://h:1", 1, 2],
    ["tcp://h:1,,tcp://h:2", 2, 3],
    ["tcp://h:1, memory:a , ", 3, 3]
  ])("refuses %j: the entry %i of %i is empty", (value, position, entries) => {
    const problem = `the list has an empty entry at position ${position} of ${entries}; leave out its comma`
    assert.strictEqual(all(value), `Invalid endpoint ${JSON.stringify(value)}: ${problem}`)
  })

  it("says which of them is wrong", () => {
    assert.strictEqual(all("tcp://h:1,foo://x"), `Invalid endpoint "foo://x": unknown scheme "foo". ${accepted}`)
  })
})

describe("Endpoint", () => {
  it("keeps the options of its URL, decoded", () => {
    const result = Endpoint.parse("unix:///run/a%20b%3F?mode=660&name=a%3Db=c")
    assert(Result.isSuccess(result) && result.success._tag === "Unix")
    assert.strictEqual(result.success.path, "/run/a b?")
    assert.deepStrictEqual(result.success.query, { mode: "660", name: "a=b=c" })
  })

  it("keeps an option whatever its name, so that the transport can refuse it", () => {
    const result = Endpoint.parse("tcp://h:1?__proto__=1")
    assert(Result.isSuccess(result))
    assert.deepStrictEqual(Object.entries(result.success.query), [["__proto__", "1"]])
  })

  it.each([
    Endpoint.unix("/run/a,tcp://h:1"),
    Endpoint.unix("/run/a, memory:b,"),
    Endpoint.unix("/run/a unix:@b"),
    Endpoint.tcp("h", 1, { name: "a,fd://3", other: "b,,c," })
  ])("formats %s so that it stays one, among several", (endpoint) => {
    for (const result of [Endpoint.parseAll(String(endpoint)), Endpoint.parseAll(`memory:a,${endpoint},fd://3`)]) {
      assert(Result.isSuccess(result))
      const [one] = result.success.filter(({ _tag }) => _tag === endpoint._tag)
      assert.deepStrictEqual({ ...one, toString: null }, { ...endpoint, toString: null } as never)
      assert.strictEqual(String(one), String(endpoint))
    }
  })

  it("brackets only IPv6 hosts", () => {
    assert.strictEqual(String(Endpoint.tcp("::", 1)), "tcp://[::]:1")
    assert.strictEqual(String(Endpoint.tcp("host", 1)), "tcp://host:1")
    assert.strictEqual(`${Endpoint.memory("m")}`, "memory:m")
  })
})
