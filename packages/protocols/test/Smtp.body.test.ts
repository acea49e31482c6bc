import { assert, describe, it } from "@effect/vitest"
import { Random } from "../../core/src/internal/random.ts"
import { Body, type BodyFault } from "../src/internal/smtp/body.ts"
import { Lines } from "../src/internal/smtp/lines.ts"
import { bytes, latin1 } from "./support/mail.ts"

interface Read {
  readonly text: string
  readonly rest: string
  readonly done: boolean
  readonly fault: BodyFault | undefined
}

/** What a message is read as, in pieces that end where `cut` says. */
const read = (input: string, cuts: ReadonlyArray<number>, most = 1_000, line = 100): Read => {
  const body = new Body(most, line)
  let text = ""
  let rest = ""
  const ends = [...cuts, input.length].toSorted((a, b) => a - b)
  let from = 0
  for (const end of ends) {
    const chunk = bytes(input.slice(from, Math.max(from, end)))
    from = Math.max(from, end)
    if (body.done) rest += latin1(chunk)
    else {
      const used = body.push(chunk)
      text += latin1(body.output)
      rest += latin1(chunk.subarray(used))
    }
  }
  return { text: body.fault === undefined ? text : "", rest, done: body.done, fault: body.fault }
}

/** The same, by what RFC 5321 says of a whole message. */
const reference = (input: string, most = 1_000, line = 100): Omit<Read, "fault"> & { readonly good: boolean } => {
  const end = `\r\n${input}`.indexOf("\r\n.\r\n")
  const done = end !== -1
  const raw = done ? input.slice(0, end) : input
  const lines = raw.split("\r\n").map((text) => (text.startsWith(".") ? text.slice(1) : text))
  const text = lines.join("\r\n")
  // What is not whole may go on.
  const last = done ? "" : (lines.pop() ?? "")
  const good =
    !/\r(?!\n|$)|(?<!\r)\n|\0/.test(raw) && text.length <= most && lines.every(({ length }) => length + 2 <= line)
  return { text, rest: done ? input.slice(end + 3) : "", done, good: good && last.length <= line }
}

/** Inputs of some parts each, and where they are cut, by seed. */
const drawn = (
  times: number,
  parts: ReadonlyArray<string>,
  see: (input: string, cuts: ReadonlyArray<number>) => void
) => {
  for (let seed = 1; seed <= times; seed++) {
    const random = new Random(seed)
    const input = Array.from({ length: random.int(0, 12) }, () => random.pick(parts)).join("")
    see(
      input,
      Array.from({ length: random.int(0, 6) }, () => random.int(0, input.length))
    )
  }
}

const texts = [".", "\r\n", "\r\n.", "\r\n.\r\n", "\r", "\n", "a", "bc", "\0", "..", "\r\n..\r\n"]

describe("the text of a message", () => {
  it("is what RFC 5321 says, whatever the pieces are", () => {
    drawn(5_000, texts, (input, cuts) => {
      const expected = reference(input)
      const whole = read(input, [])
      assert.deepStrictEqual(read(input, cuts), whole)
      const bytewise = Array.from(input, (_, at) => at)
      assert.deepStrictEqual(read(input, bytewise), whole)
      assert.strictEqual(whole.done, expected.done, JSON.stringify(input))
      assert.strictEqual(whole.rest, expected.rest, JSON.stringify(input))
      assert.strictEqual(whole.fault === undefined, expected.good, JSON.stringify(input))
      if (expected.good && expected.done) assert.strictEqual(whole.text, expected.text)
    })
  })

  it.each([
    ["\n.\n", "BareLf"],
    ["\n.\r\n", "BareLf"],
    ["\r\n.\n", "BareLf"],
    ["\r.\r", "BareCr"],
    ["\r\n.\r", "BareCr"],
    ["\r.\r\n", "BareCr"],
    ["\r\r\n.\r\n", "BareCr"],
    ["\r\n\0.\r\n", "Nul"],
    ["\r\n.\0\r\n", "Nul"]
  ] as const)("does not end with %j", (end, fault) => {
    const whole = read(`a${end}MAIL FROM:<evil@example.com>\r\n.\r\nQUIT\r\n`, [])
    if (end === "\r\r\n.\r\n" || end === "\r\n\0.\r\n") {
      // A line before it was wrong: it does end there, and is refused.
      assert.strictEqual(whole.fault, fault)
      return
    }
    assert.deepStrictEqual(whole, { text: "", rest: "QUIT\r\n", done: true, fault })
  })

  it("may be as large as it may be, and no larger", () => {
    for (const cuts of [[], [3], [9, 10, 11, 12]]) {
      assert.strictEqual(read("12345678\r\n.\r\n", cuts, 10).text, "12345678\r\n")
      assert.strictEqual(read("..345678\r\n.\r\n", cuts, 9).text, ".345678\r\n")
      assert.strictEqual(read("123456789\r\n.\r\n", cuts, 10).fault, "TooLarge")
      assert.strictEqual(read("12345678\r\n.\r\n", cuts, 100, 10).text, "12345678\r\n")
      assert.strictEqual(read("..2345678\r\n.\r\n", cuts, 100, 10).text, ".2345678\r\n")
      assert.strictEqual(read("123456789\r\n.\r\n", cuts, 100, 10).fault, "LineTooLong")
    }
  })
})

const linesOf = (input: string, cuts: ReadonlyArray<number>, most = 20): ReadonlyArray<string> => {
  const lines = new Lines(most)
  const found: Array<string> = []
  let from = 0
  for (const end of [...cuts, input.length].toSorted((a, b) => a - b)) {
    lines.push(bytes(input.slice(from, Math.max(from, end))))
    from = Math.max(from, end)
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      found.push(line._tag === "Line" ? line.text : `!${line._tag}`)
    }
  }
  return found
}

describe("a line of a command", () => {
  it("ends with CR LF and with nothing else, whatever the pieces are", () => {
    drawn(5_000, ["\r\n", "\r", "\n", "a", "\0", "0123456789", "MAIL ", "\xff"], (input, cuts) => {
      const whole = linesOf(input, [])
      assert.deepStrictEqual(linesOf(input, cuts), whole)
      const bytewise = Array.from(input, (_, at) => at)
      assert.deepStrictEqual(linesOf(input, bytewise), whole)
      const ended = input.split("\r\n").slice(0, -1)
      const isGood = (line: string) =>
        !/[\r\n\0\xff]/.test(line) && line.length + 2 <= (line.startsWith("MAIL") ? 84 : 20)
      const good = ended.filter(isGood)
      const found = whole.filter((line) => !line.startsWith("!"))
      assert.deepStrictEqual(found, good, JSON.stringify(input))
      // One that is bad is said once; the last one may be bad before it has ended.
      const more = whole.length - ended.length
      assert.isTrue(more === 0 || more === 1, JSON.stringify(input))
    })
  })

  it("has as many bytes as it may have, and those with parameters 64 more", () => {
    assert.deepStrictEqual(linesOf(`${"a".repeat(18)}\r\n`, []), ["a".repeat(18)])
    assert.deepStrictEqual(linesOf(`${"a".repeat(19)}\r\n`, []), ["!TooLong"])
    assert.deepStrictEqual(linesOf(`rcpt${"a".repeat(78)}\r\n`, []), [`rcpt${"a".repeat(78)}`])
    assert.deepStrictEqual(linesOf(`rcpt${"a".repeat(79)}\r\n`, []), ["!TooLong"])
  })

  it("is given up, once, when 64 KiB of a bad one are passed over", () => {
    assert.deepStrictEqual(linesOf("a".repeat(70_000), [1, 3, 40_000]), ["!TooLong", "!Endless"])
  })
})
