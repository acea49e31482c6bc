import { deepStrictEqual } from "node:assert"
import * as Result from "effect/Result"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import { type Message, protocol } from "@socketserver/protocols/Syslog"
import type { Target } from "./target.ts"
import { inPieces } from "../test/support/pieces.ts"

const syslog = protocol()
const server = syslog.server as Codec.Side<Message, never>

/** The grammar of RFC 5424 in one expression, with what the decoder allows beyond it; 3164 is what has a priority and does not fit. */
const reference =
  /^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ([^ ]{1,255}) ([^ ]{1,255}) ([^ ]{1,255}) ([^ ]{1,255}) (-|(?:\[[^\0-\x20"=\]\x7f]+(?: [^\0-\x20"=\]\x7f]+="(?:[^"\\]|\\[^])*")*\])+)(?: ([^]*))?$/

/** The reference backtracks: what is long is read by the decoder alone. */
const longest = 2_000

const compare = (input: Uint8Array): void => {
  const text = Buffer.from(input).toString("utf8")
  if (text.length > longest || !Buffer.from(text).equals(input)) return
  const read = server.datagram.decode(input)
  const match = reference.exec(text.replace(/[\0\r\n]+$/, ""))
  if (match === null) {
    if (Result.isSuccess(read)) deepStrictEqual(read.success.rfc, "3164")
    return
  }
  const [, priority, timestamp, host, app, procid, msgid, , message = ""] = match
  if (Number(priority) > 191) return deepStrictEqual(Result.isFailure(read), true)
  const of = (token: string | undefined) => (token === "-" ? undefined : token)
  const { data: _, facility: _facility, severity: _severity, ...rest } = Result.getOrThrow(read)
  deepStrictEqual(rest, {
    rfc: "5424",
    timestamp: of(timestamp),
    host: of(host),
    app: of(app),
    procid: of(procid),
    msgid: of(msgid),
    text: message.replace(/^\ufeff/, "")
  })
}

const encoder = new TextEncoder()

export const target: Target = {
  name: "syslog",
  seeds: [
    "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8",
    '<165>1 2003-10-11T22:14:15.003Z host evntslog 8710 ID47 [exampleSDID@32473 iut="3" eventSource="App\\"lication"][x] text',
    "<34>Oct 11 22:14:15 mymachine su[18]: 'su root' failed",
    "<11>with a traceback\nTraceback:\n  File\0",
    "33 <13>1 - - su - - - its length\n5 <13>a<13>a line\n<13>1 - - - - - -\r\n",
    "<13>a\0<13>b\nc\0"
  ].map((text) => encoder.encode(text)),
  check: (input, random) => {
    inPieces(server, input, random)
    compare(input)
    const read = server.datagram.decode(input)
    if (Result.isFailure(read)) return
    const written = syslog.client.datagram.encode(read.success)
    if (written instanceof Protocol.Unencodable) return
    deepStrictEqual(server.datagram.decode(written as Uint8Array), read)
  }
}
