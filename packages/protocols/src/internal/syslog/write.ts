import { Unencodable } from "@socketserver/core/Protocol"
import * as Result from "effect/Result"
import { bytesOf } from "../text.ts"
import { facilities, type Message, severities } from "./model.ts"
import { read } from "./read.ts"

/**
 * The bytes of a message. It is read again before it is sent, since RFC 3164 has no
 * quotes: what would arrive as another message is refused.
 */
export const write = (message: Message): Result.Result<Uint8Array, string> => {
  const facility = facilities.indexOf(message.facility)
  const severity = severities.indexOf(message.severity)
  if (facility === -1 || severity === -1) return Result.fail("its facility or its severity has no number")
  const text = `<${facility * 8 + severity}>${message.rfc === "5424" ? rfc5424(message) : rfc3164(message)}`
  if (!text.isWellFormed()) return Result.fail("it has a lone surrogate, which UTF-8 cannot express")
  const bytes = bytesOf(text)
  const arrives = read(bytes)
  const wrong = Result.isFailure(arrives) ? "priority" : difference(message, arrives.success)
  return wrong === undefined ? Result.succeed(bytes) : Result.fail(`its ${wrong} would not arrive as it is`)
}

/** Before the length of a message, as a stream has it (RFC 6587, 3.4.1): whatever is in it, it arrives whole. */
export const counted = (payload: Uint8Array): Uint8Array | Unencodable => {
  if (payload[0] !== 60) return new Unencodable("a message starts with its priority")
  const head = bytesOf(`${payload.length} `)
  const framed = new Uint8Array(head.length + payload.length)
  framed.set(head)
  framed.set(payload, head.length)
  return framed
}

const rfc5424 = ({ app, data, host, msgid, procid, text, timestamp }: Message): string => {
  const header = [timestamp, host, app, procid, msgid].map((token) => token ?? "-").join(" ")
  const elements = data.map(
    ({ id, params }) => `[${id}${params.map(([name, value]) => ` ${name}="${escaped(value)}"`).join("")}]`
  )
  const head = `1 ${header} ${elements.length === 0 ? "-" : elements.join("")}`
  if (text === "") return head
  // RFC 5424, 6.4: what is in UTF-8 says so. For ASCII that is all the same.
  return `${head} ${ascii.test(text) ? "" : "\ufeff"}${text}`
}

// eslint-disable-next-line no-control-regex -- it is ASCII that is meant
const ascii = /^[\0-\x7f]*$/

const escaped = (value: string): string => value.replaceAll(/["\\\]]/g, "\\$&")

const rfc3164 = ({ app, host, procid, text, timestamp }: Message): string => {
  const head = [timestamp, host].filter((token) => token !== undefined).map((token) => `${token} `)
  if (app === undefined) return `${head.join("")}${text}`
  return `${head.join("")}${app}${procid === undefined ? "" : `[${procid}]`}: ${text}`
}

/** Which part of a message is another one. */
const difference = (sent: Message, arrived: Message): string | undefined =>
  fields.find((field) =>
    field === "data" ? JSON.stringify(sent.data) !== JSON.stringify(arrived.data) : sent[field] !== arrived[field]
  )

const fields = [
  "rfc",
  "facility",
  "severity",
  "timestamp",
  "host",
  "app",
  "procid",
  "msgid",
  "data",
  "text"
] as const satisfies ReadonlyArray<keyof Message>
