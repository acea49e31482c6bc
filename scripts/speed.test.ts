/** The page of measured figures and its picture, from results that nobody has measured: `fixtures/speed.json`. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { picture } from "./speedPicture.ts"
import type { Results } from "./speedResults.ts"
import { filled, pageBlocks, readmeBlock } from "./speedTables.ts"

const results = JSON.parse(readFileSync(new URL("fixtures/speed.json", import.meta.url), "utf8")) as Results

describe("the page of figures", () => {
  it("has a line for each server, and a column for each depth", () => {
    assert.include(
      pageBlocks(results)["lines"],
      [
        "| server | 1 outstanding | 16 | 128 |",
        "| --- | --: | --: | --: |",
        "| node:net, by hand | 1.00 | 1.00 | 1.00 |",
        "| **socketserver**, fiber | 1.10 (1.04–1.16) | 1.50 (1.43–1.57) | 2.00 (1.90–2.10) |"
      ].join("\n")
    )
  })
  it("says why a row could not be measured", () => {
    assert.include(pageBlocks(results)["lines"], "| Go, by hand | not measured: Go is not installed |")
  })
  it("says which rows are missing", () => {
    assert.include(pageBlocks(results)["transports"], "| unixgram |  |  |  | not measured |")
  })
  it("shows amounts in units that are read easily, a range only of several rounds, and who disturbed", () => {
    const { idle, python, transports } = pageBlocks(results)
    assert.include(idle, "| 1 | **socketserver** | node:net | 2.00 | 2000 B | 1000 B |")
    assert.include(python, "| 37,035/s | 12,345/s |")
    assert.include(transports, "| 7.5 µs | 5 µs | others used 0.3 cores |")
  })
  it("says which rows are of an earlier commit", () => {
    const rows = results.rows.map((row) => (row.row.startsWith("udp") ? { ...row, commit: "0123456" } : row))
    const { machine, transports } = pageBlocks({ ...results, rows })
    assert.include(transports, "| commit `0123456`; others used 0.3 cores |")
    assert.include(machine, `${rows.filter((row) => "commit" in row).length} rows are of an earlier commit`)
  })
  it("says that a short run is rough", () => {
    assert.include(pageBlocks({ ...results, mode: "quick" })["machine"], "A short run, whose figures are rough,")
  })
  it("names the programs beside with their numbers alone", () => {
    const card = { ...results.card, node: "v26.1.0", programs: { python: "3.11.7", go: "go1.19.8" } }
    assert.include(pageBlocks({ ...results, card })["machine"], "Node 26.1.0, Python 3.11.7, Go 1.19.8.")
  })
  it("fails for a row that no table has", () => {
    const rows = [{ ...results.rows[0]!, row: "carrier pigeons" }]
    assert.throws(() => pageBlocks({ ...results, rows }), "carrier pigeons")
  })
  it("says that nothing has been measured where there are no results", () => {
    for (const text of [...Object.values(pageBlocks(undefined)), readmeBlock(undefined)]) {
      assert.strictEqual(text, "Not measured yet.")
    }
  })
  it("has the four servers that most people ask for in the README", () => {
    const lines = readmeBlock(results).split("\n")
    assert.strictEqual(lines.length, 2 + 1 + 4)
  })
})

describe("a block", () => {
  const document = "before\n<!-- speed:a -->\nold\n<!-- /speed:a -->\nafter\n"

  it("stands between its markers, and the same again changes nothing", () => {
    const once = filled(document, { a: "new" })
    assert.strictEqual(once, "before\n<!-- speed:a -->\n\nnew\n\n<!-- /speed:a -->\nafter\n")
    assert.strictEqual(filled(once, { a: "new" }), once)
  })
  it("needs its place, and a place its block", () => {
    assert.throws(() => filled(document, { a: "new", b: "lost" }), "no place for b")
    assert.throws(() => filled(document, {}), "no block a")
  })
})

describe("the picture", () => {
  const light = picture(results, "light")
  const dark = picture(results, "dark")

  it("can stand in a file of its own", () => {
    assert.match(light, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    assert.notMatch(light, /NaN|undefined|Infinity/)
  })
  it("shows each measured ratio of the main table", () => {
    const shown = results.rows.filter(({ ratio, row }) => row === "lines" && ratio !== null)
    assert.strictEqual(light.match(/<circle /g)?.length, shown.length)
    assert.include(light, ">20.0</text>")
  })
  it("has another paper and other ink in the dark, and nothing else", () => {
    const bare = (svg: string) => svg.replace(/#[0-9a-f]{6}/g, "#")
    assert.notStrictEqual(light, dark)
    assert.strictEqual(bare(light), bare(dark))
  })
  it("is the same each time", () => {
    assert.strictEqual(picture(results, "light"), light)
  })
})
