/** examples/xmlrpc: entities, depth, headers without an end, bodies that do not come. */
import { type Subject, usual } from "./run.ts"

const post = (body: string, length = body.length): string =>
  `POST /RPC2 HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: ${length}\r\n\r\n${body}`

const call = (value: string): string =>
  post(`<methodCall><methodName>echo</methodName><params><param>${value}</param></params></methodCall>`)

const entities = post(
  `<!DOCTYPE a [<!ENTITY a "${"a".repeat(1_000)}">${Array.from({ length: 20 }, (_, i) => `<!ENTITY a${i} "${`&a${i - 1};`.repeat(10)}">`).join("")}]><methodCall><methodName>&a19;</methodName></methodCall>`
)
const deep = call(`${"<value><array><data>".repeat(20_000)}`)
const chunked = "POST /RPC2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

export const xmlrpc: Subject = {
  name: "xmlrpc",
  // What Node's HTTP keeps of a connection is not in `maxMemory`.
  own: 64,
  warm: { how: "floods", count: 4, text: call("<value><int>1</int></value>") },
  adversaries: [
    ...usual({
      request: call(`<value><string>${"x".repeat(2_000)}</string></value>`),
      half: call("<value><int>1</int></value>").slice(0, -30),
      large: post("x".repeat(300_000), 3_000_000_000),
      busy: { median: 60, p99: 500 }
    }),
    { name: "entities (100/s)", attack: { how: "bombs", text: entities } },
    { name: "bombs of depth (50/s)", attack: { how: "bombs", rate: 50, text: deep }, bounds: { p99: 250 } },
    {
      name: "headers without an end (50)",
      attack: { how: "pushes", count: 50, first: "POST / HTTP/1.1\r\n", text: "X-A: b\r\n".repeat(500) }
    },
    {
      name: "headers drop by drop (500)",
      attack: { how: "drips", count: 500, first: "POST / HTTP/1.1\r\n", text: "X: y\r\n" }
    },
    {
      name: "chunks without an end (20)",
      attack: { how: "pushes", count: 20, first: chunked, text: "1000\r\n".concat("x".repeat(4_096), "\r\n") },
      bounds: { p99: 250 }
    },
    {
      name: "no HTTP at all (100/s)",
      attack: { how: "bombs", texts: ["\0".repeat(1_000), "<methodCall/>\n".repeat(100), "GET\r\n\r\n"] }
    }
  ]
}
