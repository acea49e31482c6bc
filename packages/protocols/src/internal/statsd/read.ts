import * as Result from "effect/Result"
import { shortTextOf, textOf } from "../text.ts"
import { letters, longestText, type Metric, mostMetrics, mostTags, type Packet } from "./model.ts"

/** From the bytes of a packet to its metrics. One that is none costs no other. Time is linear: each part is looked at once. */
export const read = (payload: Uint8Array): Result.Result<Packet, string> => {
  const metrics: Array<Metric> = []
  const malformed: Array<string> = []
  const whole = textOf(payload)
  for (const line of whole === undefined ? linesOf(payload) : linesIn(whole)) {
    const problem = line === undefined ? notText : line === "" ? undefined : readLine(line, metrics)
    if (problem !== undefined) malformed.push(problem)
  }
  return Result.succeed({ metrics, malformed })
}

function* linesIn(text: string): Iterable<string> {
  for (let at = 0; at <= text.length;) {
    const newline = text.indexOf("\n", at)
    const end = newline === -1 ? text.length : newline
    yield text.slice(at, text[end - 1] === "\r" && end > at ? end - 1 : end)
    at = end + 1
  }
}

/** The lines of a packet of which some are no text. */
function* linesOf(bytes: Uint8Array): Iterable<string | undefined> {
  for (let at = 0; at <= bytes.length;) {
    const newline = bytes.indexOf(10, at)
    const end = newline === -1 ? bytes.length : newline
    yield shortTextOf(bytes.subarray(at, bytes[end - 1] === 13 && end > at ? end - 1 : end))
    at = end + 1
  }
}

const notText = "it is not valid UTF-8"

/** What of a metric its sections say, after its value and its type. */
interface Sections {
  rate: number
  tags: ReadonlyArray<string>
}

/** `NAME:VALUE[:VALUE…]|TYPE[|@RATE][|#TAG,…]`: adds the metrics of a line, or says why it has none. */
const readLine = (line: string, metrics: Array<Metric>): string | undefined => {
  const colon = line.indexOf(":")
  const bar = line.indexOf("|")
  if (colon < 1 || bar < colon) return "it is not NAME:VALUE|TYPE"
  const name = line.slice(0, colon)
  if (!isName(name)) return `a name has at most ${longestText} characters, and no spaces or controls`
  const typeEnd = line.indexOf("|", bar + 1)
  const type = types.get(line.slice(bar + 1, typeEnd === -1 ? line.length : typeEnd))
  if (type === undefined) return "its type is none of c, g, ms, h, d, s"
  const sections: Sections = { rate: 1, tags: none }
  const problem = typeEnd === -1 ? undefined : readSections(line, typeEnd + 1, sections)
  if (problem !== undefined) return problem
  const { rate, tags } = sections
  // What is in a set may have colons.
  const values = type === "set" ? [line.slice(colon + 1, bar)] : line.slice(colon + 1, bar).split(":", mostMetrics + 1)
  if (metrics.length + values.length > mostMetrics) return `a packet has at most ${mostMetrics} metrics`
  const found: Array<Metric> = []
  for (const text of values) {
    if (type === "set") {
      if (!isText(text)) return `a value of a set has 1 to ${longestText} characters, and no controls`
      found.push({ type, name, tags, value: text })
      continue
    }
    const value = numberOf(text)
    if (value === undefined) return "its value is no number"
    if (type === "gauge") found.push({ type, name, tags, value, isChange: text[0] === "+" || text[0] === "-" })
    else found.push({ type, name, tags, value, rate })
  }
  for (const metric of found) metrics.push(metric)
  return undefined
}

/** Newer clients send sections of which nothing is known here (`c:CONTAINER`, `T1656581400`): they start with a letter. */
const readSections = (line: string, start: number, sections: Sections): string | undefined => {
  for (let at = start; at <= line.length;) {
    const bar = line.indexOf("|", at)
    const end = bar === -1 ? line.length : bar
    const code = line.charCodeAt(at)
    if (end > at && code === 64) {
      const rate = numberOf(line.slice(at + 1, end))
      if (rate === undefined || rate <= 0 || rate > 1) return "its rate is not from above 0 to 1"
      sections.rate = rate
    } else if (end > at && code === 35) {
      const tags = line
        .slice(at + 1, end)
        .split(",", mostTags + 1)
        .filter((tag) => tag !== "")
      if (tags.length > mostTags) return `a metric has at most ${mostTags} tags`
      if (!tags.every(isName)) return `a tag has at most ${longestText} characters, and no spaces or controls`
      sections.tags = tags
    } else if (end === at || !letter.test(line[at] as string)) return "it has a section that is neither a rate nor tags"
    at = end + 1
  }
  return undefined
}

const types = new Map(Object.entries(letters).map(([type, letter]) => [letter as string, type as Metric["type"]]))

const none: ReadonlyArray<string> = []
const letter = /[A-Za-z]/
const odd = /[\s\p{Cc}]/u
const control = /\p{Cc}/u

const isName = (text: string): boolean => text.length <= longestText && !odd.test(text)

const isText = (text: string): boolean => text !== "" && text.length <= longestText && !control.test(text)

const numberOf = (text: string): number | undefined => {
  if (text.length > longestNumber || !decimal.test(text)) return undefined
  const number = Number(text)
  // There is one zero.
  return Number.isFinite(number) ? number + 0 : undefined
}

const longestNumber = 32
const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/
