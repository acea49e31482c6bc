import * as Result from "effect/Result"
import { anyTextOf } from "../text.ts"
import { type Element, facilities, type Message, mostParams, severities } from "./model.ts"

/**
 * From the bytes of a message to its parts. Every search goes on where the one before
 * it has ended, and every pattern is tried on a few characters: it is linear whatever comes.
 */
export const read = (payload: Uint8Array): Result.Result<Message, string> => {
  const text = anyTextOf(trimmed(payload))
  const end = text.indexOf(">")
  const priority = end > 1 && end < 5 && text.startsWith("<") ? numberOf(text.slice(1, end)) : undefined
  if (priority === undefined || priority > 191) return Result.fail(noPriority)
  const rest = text.slice(end + 1)
  const facility = facilities[priority >> 3] as Message["facility"]
  const severity = severities[priority & 7] as Message["severity"]
  return Result.succeed({ ...(readRfc5424(rest) ?? readRfc3164(rest)), facility, severity })
}

export const noPriority = "it does not start with a priority from <0> to <191>"

type Parts = Omit<Message, "facility" | "severity">

/** Without what ends a message on some wire, and is left there on another. */
const trimmed = (payload: Uint8Array): Uint8Array => {
  let end = payload.length
  while (end > 0 && isEnd(payload[end - 1])) end--
  return payload.subarray(0, end)
}

export const isEnd = (byte: number | undefined): boolean => byte === 0 || byte === 10 || byte === 13

const numberOf = (digits: string): number | undefined => (/^\d+$/.test(digits) ? Number(digits) : undefined)

/** `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`, or nothing where it is not. */
const readRfc5424 = (rest: string): Parts | undefined => {
  if (!rest.startsWith("1 ")) return undefined
  const header: Array<string | undefined> = []
  let at = 2
  while (header.length < 5) {
    const end = rest.indexOf(" ", at)
    if (end <= at || end - at > longestToken) return undefined
    const token = rest.slice(at, end)
    header.push(token === "-" ? undefined : token)
    at = end + 1
  }
  const [timestamp, host, app, procid, msgid] = header
  if (timestamp !== undefined && !rfc3339.test(timestamp)) return undefined
  const data: Array<Element> = []
  const end = rest[at] === "-" ? at + 1 : readData(rest, at, data)
  if (end === undefined || (end < rest.length && rest[end] !== " ")) return undefined
  return { rfc: "5424", timestamp, host, app, procid, msgid, data, text: unmarked(rest.slice(end + 1)) }
}

/** Of a host; of the others the RFC allows less, and programs do not know it. */
const longestToken = 255

/** With up to nine digits of a second, since some send so many. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** Reads elements, and says where they end. */
const readData = (text: string, start: number, data: Array<Element>): number | undefined => {
  let at = start
  let left = mostParams
  while (text[at] === "[") {
    const params: Array<readonly [string, string]> = []
    const id = nameEnd(text, at + 1)
    if (id === at + 1 || --left < 0) return undefined
    data.push({ id: text.slice(at + 1, id), params })
    at = id
    while (text[at] === " ") {
      const equals = nameEnd(text, at + 1)
      if (equals === at + 1 || text[equals] !== "=" || text[equals + 1] !== '"' || --left < 0) return undefined
      const close = closingQuote(text, equals + 2)
      if (close === undefined) return undefined
      params.push([text.slice(at + 1, equals), unescaped(text, equals + 2, close)])
      at = close + 1
    }
    if (text[at] !== "]") return undefined
    at++
  }
  return at === start ? undefined : at
}

/** Where a name ends. */
const nameEnd = (text: string, start: number): number => {
  let at = start
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // From "!" on, without `"`, `=`, `]` and DEL.
    if (code <= 32 || code === 34 || code === 61 || code === 93 || code === 127) return at
  }
  return at
}

const closingQuote = (text: string, start: number): number | undefined => {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 92) at++
    else if (code === 34) return at
  }
  return undefined
}

/** Only a quote, a backslash and a bracket are escaped; a backslash before another character is one. */
const unescaped = (text: string, start: number, end: number): string => {
  const value = text.slice(start, end)
  return value.includes("\\") ? value.replaceAll(/\\(["\\\]])/g, "$1") : value
}

/** `[TIMESTAMP [HOSTNAME]] [TAG[PROCID]:] CONTENT`, as far as it fits: everything is text where nothing does. */
const readRfc3164 = (rest: string): Parts => {
  let at = 0
  const timestamp = timestampOf(rest)
  let host: string | undefined
  if (timestamp !== undefined) {
    at = timestamp.length + 1
    const end = rest.indexOf(" ", at)
    const token = end === -1 || end - at > longestToken ? "" : rest.slice(at, end)
    // What has a colon at its end, or a number in brackets, is the program: then there is no host.
    if (token !== "" && !token.endsWith(":") && !token.includes("[")) {
      host = token === "-" ? undefined : token
      at = end + 1
    }
  }
  const [, app, procid, after = ""] = tag.exec(rest.slice(at, at + longestTag)) ?? []
  if (app !== undefined) at += app.length + (procid === undefined ? 0 : procid.length + 2) + after.length
  const text = unmarked(at === 0 ? rest : rest.slice(at))
  return { rfc: "3164", timestamp: timestamp, host, app, procid, msgid: undefined, data: [], text }
}

/** Both forms, at the front of a text and before a space. */
const timestampOf = (rest: string): string | undefined => {
  const bsd = rfc3164Time.exec(rest.slice(0, 24))?.[1]
  if (bsd !== undefined) return bsd
  const end = rest.slice(0, 40).indexOf(" ")
  const token = end === -1 ? "" : rest.slice(0, end)
  return rfc3339.test(token) ? token : undefined
}

const rfc3164Time = /^((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d [ \d]\d:\d\d:\d\d(?:\.\d{1,6})?) /

/** No class of it contains what follows it, so that there is one way to match. Without a space after the colon it is a part of the text, as in a URL. */
const tag = /^([^\s:[\]\p{Cc}]{1,128})(?:\[([^\]\s]{1,128})\])?(:(?: |$))/u

/** More than a tag can be. */
const longestTag = 280

/** Without a byte order mark, which in Latin-1 is three characters. */
const unmarked = (text: string): string => {
  if (text.startsWith("\ufeff")) return text.slice(1)
  return text.startsWith("\u00ef\u00bb\u00bf") ? text.slice(3) : text
}
