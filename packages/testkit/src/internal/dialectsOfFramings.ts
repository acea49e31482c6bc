import * as Protocol from "@socketserver/core/Protocol"
import { dialect, type Dialect } from "./dialect.ts"
import {
  maxFrameBytes,
  bytes,
  latin1,
  every,
  inBytes,
  hello,
  nothing,
  anything,
  largest,
  texts,
  plainBytes,
  plainText,
  line,
  bars,
  length2,
  net,
  headed,
  twoLines
} from "./samples.ts"

/** Every framing, with bytes and with text. */

export const framings: ReadonlyArray<Dialect> = [
  dialect({
    ...plainText,
    name: "lines",
    protocol: Protocol.lines({ maxFrameBytes, unterminated: "malformed" }),
    frame: line,
    samples: texts(0, {
      name: "a line of another system",
      message: "other",
      said: bytes("other"),
      asked: bytes("other\r")
    }),
    unencodable: twoLines
  }),
  dialect({
    ...plainBytes,
    name: "bytes over lines",
    protocol: Protocol.bytes(Protocol.lines({ maxFrameBytes, terminator: "\r\n" })),
    frame: (payload) => bytes(payload, "\r\n"),
    cutOff: "request",
    samples: [
      hello,
      nothing,
      inBytes(
        "every value but a newline",
        every.filter((value) => value !== 10)
      ),
      largest(0)
    ],
    unencodable: { message: bytes("two\nlines"), problem: twoLines.problem }
  }),
  dialect({
    ...plainBytes,
    name: "bytes",
    protocol: Protocol.bytes(),
    frame: (payload) => payload,
    cutOff: "chunk",
    samples: [hello, anything, largest(0)]
  }),
  dialect({
    ...plainBytes,
    name: "delimited",
    protocol: Protocol.delimited("||", { maxFrameBytes }),
    frame: bars,
    samples: [hello, nothing, anything, largest(2)],
    // Its end and the start of the delimiter make a delimiter.
    unencodable: { message: bytes("a|"), problem: /cannot contain the delimiter/ }
  }),
  dialect({
    ...plainBytes,
    name: "lengthPrefixed",
    protocol: Protocol.lengthPrefixed({ maxFrameBytes, lengthBytes: 2 }),
    frame: (payload) => bytes(length2(payload), payload),
    samples: [hello, nothing, anything, largest(2)],
    unencodable: { message: new Uint8Array(65_536), problem: /does not fit a length field/, fitsDatagrams: true },
    isThorough: true
  }),
  dialect({
    ...plainBytes,
    name: "lengthPrefixed after a header",
    protocol: Protocol.lengthPrefixed({ maxFrameBytes, lengthBytes: 2, lengthOffset: 2 }),
    frame: headed,
    datagram: headed,
    ask: (word) => bytes("::", word),
    wordOf: (message) => latin1(message.subarray(2)),
    samples: [hello, inBytes("a header alone", 0, 255), anything, largest(2)],
    unencodable: { message: bytes("h"), problem: /starts with 2 bytes of header/ }
  }),
  dialect({
    ...plainBytes,
    name: "fixed",
    protocol: Protocol.fixed(256),
    frame: (payload) => payload,
    ask: (word) => bytes(word.padEnd(256)),
    wordOf: (message) => latin1(message).trimEnd(),
    samples: [inBytes("letters", "x".repeat(256)), inBytes("zeros", new Uint8Array(256)), anything],
    unencodable: { message: new Uint8Array(255), problem: /a message has 256 bytes, not 255/ }
  }),
  dialect({
    ...plainBytes,
    name: "netstring",
    protocol: Protocol.netstring({ maxFrameBytes }),
    frame: net,
    samples: [hello, nothing, anything, largest(6)]
  })
]
