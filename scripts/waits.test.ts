/**
 * `docs/reference/limits.md` says who waits for whom, and for how long, as the code does.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { type Wait, waits } from "../packages/core/src/internal/waits.ts"

const page = readFileSync("docs/reference/limits.md", "utf8")

describe("who waits, and for how long", () => {
  it("is bounded by a limit that the reference names, or by something that is no limit", () => {
    const others: ReadonlyArray<string> = ["turns", "author", "room", "rate", "opening"]
    for (const { atMost, bound } of waits as ReadonlyArray<Wait>) {
      if (others.includes(bound)) continue
      assert.include(page, `\`${bound}\``)
      // One row says that it is as the one before.
      if (atMost !== "the same" && !atMost.startsWith("as long as its connection"))
        assert.include(atMost, `\`${bound}\``)
    }
  })

  it("is said in the reference as it is in the code", () => {
    const [, section = ""] = page.split("## Who waits for whom\n")
    const rows = section
      .split("\n## ", 1)[0]!
      .split("\n")
      .filter((line) => line.startsWith("| "))
    assert.deepStrictEqual(
      rows.slice(2),
      waits.map(({ atMost, holds, waitsFor, who }) => `| ${who} | ${holds} | ${nouns[waitsFor]} | ${atMost} |`)
    )
  })
})

const nouns: Readonly<Record<Wait["waitsFor"], string>> = {
  place: "a place",
  handler: "its handler",
  turn: "its turn",
  reader: "its reader",
  peer: "its peer",
  rate: "its rate",
  setUp: "its set-up",
  opening: "a header, a verification, a handshake",
  everything: "all that was received"
}
