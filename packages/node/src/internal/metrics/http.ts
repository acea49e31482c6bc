/** As much of HTTP/1.1 as whoever asks for metrics needs: the heads of requests, and answers with a length. */
import * as Protocol from "@socketserver/core/Protocol"

/** What a request asks for. */
export interface Asked {
  readonly method: string
  /** Without what follows a question mark. */
  readonly path: string
  /** Whether its connection closes after the answer. */
  readonly closes: boolean
}

/** What is answered. */
export interface Answer {
  readonly status: keyof typeof reasons
  readonly type: string
  readonly body: string
}

const reasons = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  503: "Service Unavailable"
} as const

/** The whole text of an answer; to HEAD without its body. */
export const textOf = ({ body, status, type }: Answer, { closes, method }: Pick<Asked, "closes" | "method">): string =>
  [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    `Content-Type: ${type}`,
    `Content-Length: ${utf8.encode(body).length}`,
    "Cache-Control: no-store",
    ...(status === 405 ? ["Allow: GET, HEAD"] : []),
    `Connection: ${closes ? "close" : "keep-alive"}`,
    "",
    method === "HEAD" ? "" : body
  ].join("\r\n")

/** The head of a request, or what is wrong with it. A body is none of what is asked for here. */
export const read = (head: string): Asked | string => {
  const [first = "", ...lines] = head.split("\r\n")
  const [, method, target, version] = /^([A-Z]{1,16}) (\S+) HTTP\/1\.([01])$/.exec(first) ?? []
  if (method === undefined || target === undefined) return "the first line is not that of an HTTP/1 request"
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
    if (name === undefined || value === undefined) return "a header is not a name and a value"
    headers.set(name.toLowerCase(), value)
  }
  if (headers.has("transfer-encoding") || !/^0*$/.test(headers.get("content-length") ?? "")) {
    return "it has a body"
  }
  const connection = headers.get("connection")?.toLowerCase() ?? ""
  const closes = version === "0" ? !connection.includes("keep-alive") : connection.includes("close")
  // Also as a proxy is asked.
  const path = target.replace(/^http:\/\/[^/?]*/i, "").replace(/\?.*$/, "")
  return { method, path: path === "" ? "/" : path, closes }
}

/** Requests are heads, and answers are text. */
export const protocol = Protocol.make<Asked, string>({
  name: "http",
  maxFrameBytes: 8_192,
  request: {
    decode: (input, seenBytes) => {
      const at = endOf(input, Math.max(0, seenBytes - end.length + 1))
      if (at === -1) return Protocol.more()
      const asked = read(latin1.decode(input.subarray(0, at)))
      return typeof asked === "string" ? Protocol.malformed(asked) : Protocol.frame(asked, at + end.length)
    }
  },
  response: { encode: (text) => text }
})

const endOf = (input: Uint8Array, from: number): number => {
  for (let at = input.indexOf(13, from); at !== -1; at = input.indexOf(13, at + 1)) {
    if (end.every((byte, i) => input[at + i] === byte)) return at
  }
  return -1
}

/** An empty line. */
const end = [13, 10, 13, 10]

const utf8 = new TextEncoder()
const latin1 = new TextDecoder("latin1")
