import * as Result from "effect/Result"
import { bytesOf } from "../text.ts"
import { letters, type Metric, type Packet } from "./model.ts"
import { read } from "./read.ts"

/** The bytes of a packet. They are read again before they are sent: a `|` in a name would arrive as another metric. */
export const write = ({ malformed, metrics }: Packet): Result.Result<Uint8Array, string> => {
  if (malformed.length > 0) return Result.fail("a packet is sent without what is malformed")
  const text = metrics.map(lineOf).join("\n")
  if (!text.isWellFormed()) return Result.fail("it has a lone surrogate, which UTF-8 cannot express")
  const bytes = bytesOf(text)
  const arrived = Result.getOrThrow(read(bytes))
  const [problem] = arrived.malformed
  if (problem !== undefined) return Result.fail(problem)
  const wrong = metrics.find((metric, i) => !isSame(metric, arrived.metrics[i]))
  return wrong === undefined && arrived.metrics.length === metrics.length
    ? Result.succeed(bytes)
    : Result.fail("a metric of it would not arrive as it is")
}

const lineOf = (metric: Metric): string => {
  const sign = metric.type === "gauge" && metric.isChange && metric.value >= 0 ? "+" : ""
  const rate = "rate" in metric && metric.rate !== 1 ? `|@${metric.rate}` : ""
  const tags = metric.tags.length === 0 ? "" : `|#${metric.tags.join(",")}`
  return `${metric.name}:${sign}${metric.value}|${letters[metric.type]}${rate}${tags}`
}

const isSame = (a: Metric, b: Metric | undefined): boolean => {
  const rate = (metric: Metric) => ("rate" in metric ? metric.rate : undefined)
  const isChange = (metric: Metric) => ("isChange" in metric ? metric.isChange : undefined)
  return (
    b !== undefined &&
    a.type === b.type &&
    a.name === b.name &&
    a.value === b.value &&
    rate(a) === rate(b) &&
    isChange(a) === isChange(b) &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, i) => tag === b.tags[i])
  )
}
