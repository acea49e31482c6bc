/** The collector and its protocol. Importing this starts nothing: the test and `main.ts` place it. */
import { Protocol, Response, Server } from "@socketserver/core"
import { Console, Effect, Result } from "effect"

/** A message of RFC 3164 or RFC 5424, as far as it is shown: who said it, and what. */
export interface Message {
  readonly facility: string
  readonly severity: string
  readonly tag: string
  readonly text: string
}

const severities = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
const facilityNames =
  "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock " +
  "local0 local1 local2 local3 local4 local5 local6 local7"
const facilities = facilityNames.split(" ")

// "<13>1 TIME HOST TAG PROCESS ID [data] text", and "<13>Nov 24 20:55:57 HOST TAG[PROCESS]: text" with or without a host.
const rfc5424 = /^1 \S+ \S+ (\S+) \S+ \S+ (?:-|(?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+) ?(.*)$/s
const rfc3164 = /^(?:\w{3} [ \d]\d \d\d:\d\d:\d\d )?(?:[^\s:]+ )?([^\s:[]+)(?:\[\d+\])?: ?(.*)$/s

const message: Protocol.Conversion<string, Message> = {
  decode: (line) => {
    const [, digits = "", rest = ""] = /^<(\d{1,3})>(.*)$/s.exec(line) ?? []
    const facility = facilities[Number(digits) >> 3]
    const severity = severities[Number(digits) & 7]
    if (digits === "" || facility === undefined || severity === undefined) {
      return Result.fail("it does not start with a priority from <0> to <191>")
    }
    const [, tag = "-", text = rest] = rfc5424.exec(rest) ?? rfc3164.exec(rest) ?? []
    return Result.succeed({ facility, severity, tag, text })
  },
  encode: ({ facility, severity, tag, text }) =>
    Result.succeed(`<${facilities.indexOf(facility) * 8 + severities.indexOf(severity)}>${tag}: ${text}`)
}

const nothing: Protocol.Conversion<string, never> = {
  decode: () => Result.fail("a collector does not answer"),
  encode: (never) => Result.succeed(never)
}

export class Syslog extends Server.Service<Syslog>()("Syslog", {
  protocol: Protocol.transform(Protocol.lines({ maxFrameBytes: 8192 }), { request: message, response: nothing })
}) {}

export const SyslogLive = Syslog.serve(({ body, peer }) =>
  Effect.as(
    Console.log(printable(`${peer.transport} ${body.facility}.${body.severity} ${body.tag}: ${body.text}`)),
    Response.empty
  )
)

// What strangers send must not steer a terminal: a control character is shown by its number, as other collectors do.
const printable = (line: string) =>
  line.replaceAll(/\p{Cc}/gu, (control) => `#${control.charCodeAt(0).toString(8).padStart(3, "0")}`)
