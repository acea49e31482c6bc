/**
 * Reads the text format of Prometheus (0.0.4), written from its specification, and
 * says what `promtool check metrics` would of names. It throws at whatever is wrong.
 */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string | undefined
  readonly samples: ReadonlyArray<Sample>
}

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"]
}

export const parse = (text: string): ReadonlyMap<string, Family> => {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line is not ended")
  const families = new Map<string, { help: string | undefined; type: string | undefined; samples: Array<Sample> }>()
  const closed = new Set<string>()
  let current: string | undefined
  const enter = (name: string) => {
    if (name === current) return families.get(name)!
    if (closed.has(name) || families.has(name)) throw new Error(`the lines of ${name} are not together`)
    if (current !== undefined) closed.add(current)
    current = name
    const family = { help: undefined, type: undefined, samples: [] }
    families.set(name, family)
    return family
  }
  for (const line of text.split("\n").slice(0, -1)) {
    const [, kind, about, rest = ""] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/.exec(line) ?? []
    if (about !== undefined) {
      const family = enter(about)
      if (kind === "HELP") {
        if (family.help !== undefined) throw new Error(`a second HELP of ${about}`)
        family.help = unescape(rest, false)
      } else {
        if (family.type !== undefined || family.samples.length > 0) throw new Error(`a late TYPE of ${about}`)
        if (!/^(counter|gauge|histogram|summary|untyped)$/.test(rest)) throw new Error(`no type: ${rest}`)
        family.type = rest
      }
      continue
    }
    if (line.startsWith("#")) continue
    const sample = sampleOf(line)
    const type = current === undefined ? undefined : families.get(current)?.type
    const isMember = (suffixes[type ?? ""] ?? [""]).some((suffix) => sample.name === `${current}${suffix}`)
    enter(isMember ? (current as string) : sample.name).samples.push(sample)
  }
  const read = new Map<string, Family>()
  for (const [name, { help, samples, type = "untyped" }] of families) {
    const seen = new Set<string>()
    for (const { labels, name } of samples) {
      const key = JSON.stringify([name, Object.entries(labels).sort()])
      if (seen.has(key)) throw new Error(`two samples of ${key}`)
      seen.add(key)
    }
    if (type === "histogram") checkHistogram(name, samples)
    read.set(name, { name, help, type, samples })
  }
  return read
}

const sampleOf = (line: string): Sample => {
  const [, name, rest] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(.*)$/.exec(line) ?? []
  if (name === undefined || rest === undefined) throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  let at = 0
  if (rest[0] === "{") {
    at = 1
    while (rest[at] !== "}") {
      const [whole, label, value] = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"/.exec(rest.slice(at)) ?? []
      if (whole === undefined || label === undefined || value === undefined) throw new Error(`no label: ${line}`)
      if (label in labels) throw new Error(`a label twice: ${line}`)
      labels[label] = unescape(value, true)
      at += whole.length
      if (rest[at] === ",") at++
      else if (rest[at] !== "}") throw new Error(`no end of labels: ${line}`)
    }
    at++
  }
  const [, value] = /^[ \t]+(\S+)(?:[ \t]+-?\d+)?$/.exec(rest.slice(at)) ?? []
  if (value === undefined) throw new Error(`no value: ${line}`)
  return { name, labels, value: numberOf(value) }
}

const numberOf = (text: string): number => {
  if (text === "+Inf" || text === "Inf") return Infinity
  if (text === "-Inf") return -Infinity
  if (text === "NaN") return NaN
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new Error(`no number: ${text}`)
  return Number(text)
}

const unescape = (text: string, quotes: boolean): string =>
  text.replace(/\\(.)/gs, (whole, of: string) =>
    of === "n" ? "\n" : of === "\\" || (quotes && of === '"') ? of : whole
  )

const checkHistogram = (name: string, samples: ReadonlyArray<Sample>): void => {
  const groups = new Map<string, { last: number; le: number; inf: number | undefined; count: number | undefined }>()
  for (const { labels: all, name: of, value } of samples) {
    const { le, ...labels } = all
    const key = JSON.stringify(Object.entries(labels).sort())
    const group = groups.get(key) ?? { last: 0, le: -Infinity, inf: undefined, count: undefined }
    groups.set(key, group)
    if (of === `${name}_count`) group.count = value
    if (of !== `${name}_bucket`) continue
    const boundary = numberOf(le ?? "")
    if (boundary <= group.le || value < group.last) throw new Error(`buckets of ${name} do not ascend`)
    group.le = boundary
    group.last = value
    if (boundary === Infinity) group.inf = value
  }
  for (const { count, inf } of groups.values()) {
    if (count === undefined || inf !== count) throw new Error(`${name} has not counted what is in its buckets`)
  }
}

/** What `promtool check metrics` says of them. */
export const lint = (families: ReadonlyMap<string, Family>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  for (const { help, name, type } of families.values()) {
    if (help === undefined || help === "") problems.push(`${name}: no help text`)
    if (type === "counter" && !name.endsWith("_total")) problems.push(`${name}: counters end with _total`)
    if (type !== "counter" && name.endsWith("_total")) problems.push(`${name}: only counters end with _total`)
    if (/_(bucket|count|sum)$/.test(name)) problems.push(`${name}: a reserved end`)
    if (/(milli|micro|nano)s?econds?|_(ms|millis|mb|kb)(_|$)/.test(name)) problems.push(`${name}: no base unit`)
    if (/[A-Z]/.test(name)) problems.push(`${name}: camel case`)
    if (/(^|_)(counter|gauge|histogram|summary)(_|$)/.test(name)) problems.push(`${name}: a type in the name`)
  }
  return problems
}

/** The sum of all samples of that name that have these labels. */
export const sumOf = (
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number => {
  const samples = [...families.values()].flatMap(({ samples }) => samples)
  const matching = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  )
  if (matching.length === 0) throw new Error(`there is no ${name} with ${JSON.stringify(labels)}`)
  return matching.reduce((sum, { value }) => sum + value, 0)
}
