import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { read } from "@socketserver/node/ProxyProtocol"

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"))

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const binary = (command: number, family: number, payload: ReadonlyArray<number>) =>
  Uint8Array.from([...signature, command, family, payload.length >> 8, payload.length & 0xff, ...payload])

const ipv4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb]
const ipv6 = [
  0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0x01, 0xdc, 0x04, 0x01, 0xbb
]

describe("a PROXY header", () => {
  it.each([
    {
      what: "version 1 over IPv4",
      input: bytes("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"),
      source: { host: "192.0.2.1", port: 56_324 }
    },
    {
      what: "version 1 over IPv6",
      input: bytes("PROXY TCP6 2001:db8::17 2001:db8::1 56324 443\r\n"),
      source: { host: "2001:db8::17", port: 56_324 }
    },
    {
      what: "version 1 over IPv6, however its address is written",
      input: bytes("PROXY TCP6 2001:DB8:0:0:0::17 2001:db8::1 56324 443\r\n"),
      source: { host: "2001:db8::17", port: 56_324 }
    },
    {
      what: "version 1 of an address of IPv4 in one of IPv6",
      input: bytes("PROXY TCP6 ::FFFF:c000:0201 ::ffff:198.51.100.1 56324 443\r\n"),
      source: { host: "::ffff:192.0.2.1", port: 56_324 }
    },
    {
      what: "version 2 of an address of IPv4 in one of IPv6",
      input: binary(0x21, 0x21, [...Array.from({ length: 10 }, () => 0), 255, 255, 192, 0, 2, 1, ...ipv6.slice(16)]),
      source: { host: "::ffff:192.0.2.1", port: 56_324 }
    },
    { what: "version 1 of an unknown peer", input: bytes("PROXY UNKNOWN\r\n"), source: "unknown" },
    {
      what: "version 1 of an unknown peer with what is to be ignored",
      input: bytes("PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n"),
      source: "unknown"
    },
    { what: "version 2 over IPv4", input: binary(0x21, 0x11, ipv4), source: { host: "192.0.2.1", port: 56_324 } },
    { what: "version 2 over IPv6", input: binary(0x21, 0x21, ipv6), source: { host: "2001:db8::17", port: 56_324 } },
    {
      what: "version 2 with further fields",
      input: binary(0x21, 0x11, [...ipv4, 0x04, 0, 1, 0]),
      source: { host: "192.0.2.1", port: 56_324 }
    },
    { what: "version 2 of the balancer itself", input: binary(0x20, 0x00, []), source: "local" },
    { what: "version 2 over a Unix socket", input: binary(0x21, 0x31, Array(216).fill(0)), source: "unknown" },
    { what: "version 2 of what is not specified", input: binary(0x21, 0x00, [1, 2, 3]), source: "unknown" }
  ])("of $what is read, whatever the chunks, and no byte more", ({ input, source }) => {
    const followed = Uint8Array.from([...input, ...bytes("GET /\r\n")])
    for (let length = 0; length < input.length; length++) {
      assert.deepStrictEqual(read(followed.subarray(0, length)), { _tag: "More" }, `after ${length} bytes`)
    }
    for (const whole of [input, followed]) {
      assert.deepStrictEqual(read(whole), { _tag: "Header", source, size: input.length } as never)
    }
  })

  it.each([
    ["nothing like it", bytes("GET / HTTP/1.1\r\n")],
    ["lower case", bytes("proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n")],
    ["a family that there is not", bytes("PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n")],
    ["an address of the other family", bytes("PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n")],
    ["no address", bytes("PROXY TCP4 300.0.2.1 198.51.100.1 1 2\r\n")],
    ["a port too large", bytes("PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n")],
    ["a port with zeros before", bytes("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n")],
    ["two spaces", bytes("PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n")],
    ["a field too many", bytes("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n")],
    ["no carriage return", bytes("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n")],
    ["more than a line may have", bytes(`PROXY UNKNOWN ${"x".repeat(200)}`)],
    ["another version", binary(0x11, 0x11, ipv4)],
    ["a command that there is not", binary(0x22, 0x11, ipv4)],
    ["addresses cut short", binary(0x21, 0x11, ipv4.slice(0, 11))],
    ["IPv6 addresses cut short", binary(0x21, 0x21, ipv6.slice(0, 35))]
  ])("with %s is none", (_, input) => {
    assert.strictEqual(read(input)._tag, "Malformed")
  })

  const anyBytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  it.effect.prop("of any bytes is answered without a throw", [anyBytes], ([rest]) =>
    Effect.sync(() => {
      for (const start of [[], signature, [...bytes("PROXY ")]]) {
        assert.include(["Header", "More", "Malformed"], read(Uint8Array.from([...start, ...rest]))._tag)
      }
    })
  )
})
