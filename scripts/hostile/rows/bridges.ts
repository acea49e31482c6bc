/** Adversaries beside who behaves well, against Effect's servers on ours: HTTP over each kind of stream, and RPC over those that `beside.ts` leaves out. */
import type { Kind } from "../programs.ts"
import type { Attempt } from "../row.ts"
import { type Adversary, ofRpc, run } from "./beside.ts"

const get = "GET /hello HTTP/1.1\r\nHost: x\r\n"
const upload = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"

/** Many heads, of a request each. */
const gets = `${get}\r\n`.repeat(1_000)

const ofHttp: ReadonlyArray<Adversary> = [
  { name: "answers unread (50)", attack: "pushes", options: { count: 50, text: gets } },
  { name: "all read (8)", attack: "reads", options: { count: 8, text: gets, times: 1 } },
  { name: "silent (1000)", attack: "holds", options: { count: 1_000, raw: true } },
  { name: "heads by a byte a second (500)", attack: "drips", options: { count: 500 } },
  { name: "connects (1000/s)", attack: "connects", options: { rate: 1_000 }, bounds: { p99: 1_500, lost: 3 } },
  { name: "asks and resets (300/s)", attack: "asksAndResets", options: { rate: 300, text: `${get}\r\n${get}` } },
  { name: "half a head, half-closed (500)", attack: "halfCloses", options: { count: 500 } },
  { name: "heads of 70 KB (200/s)", attack: "oversizes", options: { rate: 200 } },
  {
    name: "bodies that do not end (20)",
    attack: "asks",
    options: { count: 20, text: `${upload}${"x".repeat(65_536)}`, times: 1 }
  },
  { name: "garbage (300/s)", attack: "garbage", options: { rate: 300 } }
].map((adversary) => ({
  ...(adversary as Adversary),
  name: `http: ${adversary.name}`,
  start: { program: "http" },
  // What the client adds is the last byte of the head.
  line: `${get}\r`
}))

const attempts = (adversaries: ReadonlyArray<Adversary>, kinds: ReadonlyArray<Kind>): ReadonlyArray<Attempt> =>
  adversaries.flatMap((adversary) =>
    kinds.map((kind) => ({ name: adversary.name, transport: kind, run: () => run(kind, adversary) }))
  )

export const bridges: ReadonlyArray<Attempt> = [
  ...attempts(ofHttp, ["tcp", "tls", "unix"]),
  ...attempts(ofRpc, ["tls", "unix"])
]
