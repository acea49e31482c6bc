import { assert, describe, it } from "@effect/vitest"
import { Outcome } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  bytewise,
  copied,
  cut,
  decode,
  join,
  many,
  pieces,
  serverOf,
  sizes,
  text,
  utf8
} from "../../core/test/support/decoding.ts"

const server = serverOf(Resp.protocol())

/** What a server reads: the words of each command as text, and the fault. */
const read = (input: string | ReadonlyArray<string | Uint8Array>, codec = server) => {
  const { error, messages } = decode(codec, typeof input === "string" ? [input] : input)
  return { commands: messages.map((command) => command.words.map(text)), error }
}

/** How much memory is taken while `f` runs, in bytes. */
const taken = (f: () => void): number => {
  const allocate = Buffer.allocUnsafeSlow
  let total = 0
  Buffer.allocUnsafeSlow = (size) => {
    total += size
    return allocate(size)
  }
  try {
    f()
  } finally {
    Buffer.allocUnsafeSlow = allocate
  }
  return total
}

const array = (...words: ReadonlyArray<string>) =>
  `*${words.length}\r\n${words.map((word) => `$${utf8(word).length}\r\n${word}\r\n`).join("")}`

describe("A command", () => {
  it.each([
    ["an array of bulk strings", array("SET", "name", "ça va?"), [["SET", "name", "ça va?"]]],
    ["several in a row", array("PING") + array("GET", "a"), [["PING"], ["GET", "a"]]],
    ["words of no bytes", array("SET", "", ""), [["SET", "", ""]]],
    ["line ends within a word", array("SET", "a", "\r\n*1\r\n"), [["SET", "a", "\r\n*1\r\n"]]],
    [
      "a line",
      "SET name Ada\r\nGET name\n",
      [
        ["SET", "name", "Ada"],
        ["GET", "name"]
      ]
    ],
    ["spaces around the words of a line", " \t SET  a   b \r\n", [["SET", "a", "b"]]],
    ["quoted words", `SET "a b" 'c "d"' "\\x41\\n\\"" 'it\\'s' ""\r\n`, [["SET", "a b", 'c "d"', 'A\n"', "it's", ""]]],
    ["a quote within a word", 'SET a"b c"\r\n', [["SET", "ab c"]]],
    ["escapes that are none", `ECHO "\\q\\x4\\xzz" '\\n'\r\n`, [["ECHO", "qx4xzz", "\\n"]]],
    ["what says nothing", "\r\n\n  \r\n*0\r\n*-1\r\nPING\r\n", [["PING"]]]
  ])("is %s", (_, input, commands) => {
    assert.deepStrictEqual(read(input), { commands, error: undefined })
    assert.deepStrictEqual(read(bytewise(input)), { commands, error: undefined })
  })

  it.each([
    ["*abc\r\n", "invalid multibulk length"],
    ["*01\r\n", "invalid multibulk length"],
    ["*+1\r\n", "invalid multibulk length"],
    ["* 1\r\n", "invalid multibulk length"],
    ["*-0\r\n", "invalid multibulk length"],
    ["*1\n", "invalid multibulk length"],
    ["*1\r$", "invalid multibulk length"],
    ["*\r\n", "invalid multibulk length"],
    ["*1048577\r\n", "invalid multibulk length"],
    ["*99999999999999999999\r\n", "invalid multibulk length"],
    ["*1\r\n$-1\r\n", "invalid bulk length"],
    ["*1\r\n$abc\r\n", "invalid bulk length"],
    ["*1\r\n$04\r\n", "invalid bulk length"],
    ["*1\r\n$1048577\r\n", "invalid bulk length"],
    ["*1\r\n$2147483648\r\n", "invalid bulk length"],
    ["*1\r\n$4\r\nPINGXX", "invalid bulk length"],
    ["*1\r\n$4\r\nPING\rX", "invalid bulk length"],
    ["*1\r\n:1\r\n", "expected '$', got ':'"],
    ["*1\r\nPING\r\n", "expected '$', got 'P'"],
    ["*1\r\n\r\n", "expected '$', got ' '"],
    ["*1\r\n\u0007", "expected '$', got '\\x07'"],
    ['SET a "b\r\n', "unbalanced quotes in request"],
    ["SET a 'b'c\r\n", "unbalanced quotes in request"],
    ["x".repeat(65_537), "too big inline request"],
    [`${"x".repeat(65_537)}\r\n`, "too big inline request"]
  ])("%j is none, in Redis' own words", (input, problem) => {
    const before = array("PING")
    const expected = {
      commands: [["PING"]],
      error: Outcome.malformed(before.length, `Protocol error: ${problem}`)
    }
    assert.deepStrictEqual(read(before + input), expected)
    assert.deepStrictEqual(read(cut(utf8(before + input), [1])), expected)
    // What is wrong is wrong at once: nobody waits for the rest of it.
    assert.deepStrictEqual(decode(server, [before + input], { open: true }).error, expected.error)
  })

  it("may be as large as its limits say, and no larger", () => {
    const limits = { maxFrameBytes: 40, maxBulkBytes: 20, maxElements: 3, maxInlineBytes: 10 }
    const small = serverOf(Resp.protocol(limits))
    for (const chunked of [(input: string) => [input], bytewise]) {
      assert.lengthOf(read(chunked(array("GET", "x".repeat(18))), small).commands, 1)
      assert.deepStrictEqual(
        read(chunked(array("GET", "x".repeat(20), "y")), small).error,
        Outcome.frameTooLarge(40, 0)
      )
      assert.deepStrictEqual(
        read(chunked(array("x".repeat(21))), small).error,
        Outcome.malformed(0, "Protocol error: invalid bulk length")
      )
      assert.lengthOf(read(chunked(array("a", "b", "c")), small).commands, 1)
      assert.deepStrictEqual(
        read(chunked(array("a", "b", "c", "d")), small).error,
        Outcome.malformed(0, "Protocol error: invalid multibulk length")
      )
      assert.lengthOf(read(chunked("abcde fghi\r\n"), small).commands, 1)
      assert.deepStrictEqual(
        read(chunked("abcde fghij\r\n"), small).error,
        Outcome.malformed(0, "Protocol error: too big inline request")
      )
    }
  })

  it("that does not end is said to, and by how much", () => {
    const error = Outcome.malformed(14, "the input ended inside a frame (after 8 bytes of it)")
    assert.deepStrictEqual(read(`${array("PING")}*1\r\n$4\r\n`), { commands: [["PING"]], error })
  })

  const word = Arbitrary.map(
    Arbitrary.array(pieces(["a", "\r\n", "$1", "*", " ", '"', "\\", "é", Uint8Array.of(0), Uint8Array.of(255)], 6)),
    (parts) => join(parts)
  )
  const words = Arbitrary.array(word, { maxLength: 6 })

  it.effect.prop("comes back as it was sent, in any chunks", { sent: many(words), sizes }, ({ sent, sizes }) =>
    Effect.sync(() => {
      const commands = sent.map((words) => Resp.command("X", ...words))
      const input = join(commands.map((command) => Resp.protocol().client.encode(command) as Uint8Array))
      for (const chunks of [[input], cut(input, sizes)]) {
        const { error, messages } = decode(server, chunks)
        assert.isUndefined(error)
        assert.deepStrictEqual(
          messages.map(({ words }) => words),
          commands.map(({ words }) => words)
        )
        assert.deepStrictEqual(
          messages.map(({ frame }) => frame),
          commands.map(({ frame }) => frame)
        )
      }
    })
  )

  const hostile = pieces(
    [
      "*1\r\n",
      "*2\r\n",
      "*-1\r\n",
      "$1\r\n",
      "$3\r\n",
      "a",
      "abc",
      "\r\n",
      "\r",
      "\n",
      "*",
      "$",
      "-",
      "0",
      '"',
      "'",
      " ",
      "\\"
    ],
    24
  )
  const limits = { maxFrameBytes: 32, maxBulkBytes: 12, maxElements: 4, maxInlineBytes: 9 }

  for (const [title, codec] of [
    ["", server],
    [", limited", serverOf(Resp.protocol(limits))]
  ] as const) {
    it.effect.prop(
      `is the same in any chunks, and however many are read at once${title}`,
      { input: hostile, sizes },
      ({ input, sizes }) =>
        Effect.sync(() => {
          const shown = (decoded: ReturnType<typeof decode<Resp.Command>>) => ({
            ...decoded,
            messages: decoded.messages.map(String)
          })
          const whole = shown(decode(codec, [input]))
          assert.deepStrictEqual(shown(decode(codec, cut(input, sizes))), whole)
          assert.deepStrictEqual(shown(decode(codec, bytewise(input))), whole)
          assert.deepStrictEqual(shown(decode(codec, [input], { max: 1 })), whole)
          assert.deepStrictEqual(shown(decode(codec, cut(input, sizes), { max: 2, ahead: 2 })), whole)
        })
    )
  }

  it.each(["\r\n", "*0\r\n", "*-1\r\n"])("that says nothing has no more of a turn than others: %j", (frame) => {
    const decoder = server.decoder()
    const messages: Array<Resp.Command> = []
    assert.isUndefined(decoder.push(utf8(`${frame.repeat(1_000)}${array("PING")}`), messages, undefined, 100))
    let calls = 1
    for (; decoder.isBehind; calls++) {
      assert.lengthOf(messages, 0)
      assert.isUndefined(decoder.more(messages, undefined, 100))
    }
    assert.deepStrictEqual([calls, messages.length], [11, 1])
  })

  it("that is announced takes no memory before it comes", () => {
    const decoder = server.decoder()
    const messages: Array<Resp.Command> = []
    for (const bomb of ["*1048576\r\n", "$1048576\r\n", "x"]) {
      assert.isUndefined(decoder.push(utf8(bomb), messages))
    }
    assert.strictEqual(decoder.restBytes, 21)
    assert.isBelow(
      taken(() => void decoder.push(new Uint8Array(1_000), messages)),
      8_192
    )
  })

  it("is copied a few times at most, however it comes", () => {
    for (const input of [array("SET", "a", "x".repeat(65_536)), array(...Array.from({ length: 8_192 }, () => "xy"))]) {
      const bytes = utf8(input)
      for (const size of [1, 64, 16_384]) {
        const chunks = cut(bytes, [size])
        const total = copied(() => void decode(server, chunks))
        assert.isBelow(total, 4 * bytes.length + 65_536)
      }
    }
  })

  it("keeps what a program keeps of it, whatever becomes of the chunk", () => {
    const chunk = utf8(array("SET", "é", "value", "\xff"))
    const messages: Array<Resp.Command> = []
    server.decoder().push(chunk, messages)
    const [command] = messages
    const kept = [command!.copy.text(1), command!.keep(2), command!.keep(3)]
    chunk.fill(0)
    assert.deepStrictEqual(kept, ["é", "value", utf8("\xff")])
  })

  it("tells any two keys apart", () => {
    const keys = Array.from({ length: 256 }, (_, byte) => Resp.command("GET", Uint8Array.of(byte)).key(1))
    assert.strictEqual(new Set(keys).size, 256)
    assert.deepStrictEqual(
      [...keys].map((key) => key.charCodeAt(0)),
      keys.map((_, byte) => byte)
    )
  })

  it("has no bytes where it has no word", () => {
    const command = Resp.command("GET", "a")
    assert.deepStrictEqual([command.length, command.size(7), command.bytes(7).length, command.key(7)], [2, 0, 0, ""])
  })

  it("is a payload that another program can read", () => {
    const decoder = server.decoder()
    const payloads: Array<string | Uint8Array> = []
    decoder.push(utf8(`GET 'a b'\r\n${array("PING")}`), [], payloads)
    assert.deepStrictEqual(
      payloads.map((payload) => text(payload as Uint8Array)),
      [array("GET", "a b"), array("PING")]
    )
    const commands = payloads.map((payload) => Result.getOrThrow(server.payload.decode(payload)))
    assert.deepStrictEqual(commands.map(String), ['"GET" "a b"', '"PING"'])
  })

  it("is a datagram where it is all of it", () => {
    const { datagram } = server
    assert.strictEqual(String(Result.getOrThrow(datagram.decode(utf8("PING\r\n")))), '"PING"')
    for (const [input, reason] of [
      ["PING", "the datagram is not a whole frame (4 bytes)"],
      ["PING\r\n\n", "the datagram has 7 bytes, its frame 6"],
      ["\r\n", "it is empty"]
    ] as const) {
      assert.deepStrictEqual(datagram.decode(utf8(input)), Result.fail(Outcome.malformed(0, reason)))
    }
  })

  it("is found where an option is none", () => {
    assert.strictEqual(Resp.protocol({ maxDepth: 0 }).problem, "maxDepth must be a positive integer, not 0")
    assert.strictEqual(Resp.protocol({ maxBulkBytes: 1.5 }).problem, "maxBulkBytes must be a positive integer, not 1.5")
    assert.isUndefined(Resp.protocol({ maxBulkBytes: undefined }).problem)
  })
})
