/** The lines of commands, the text of messages, and whole dialogues. */
import { type Connection, Endpoint, Peer, Request } from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Body } from "../src/internal/smtp/body.ts"
import { Lines } from "../src/internal/smtp/lines.ts"
import * as Smtp from "../src/Smtp.ts"
import type { Random } from "../../core/src/internal/random.ts"
import type { Target } from "./target.ts"

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"))
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

const pieces = (input: Uint8Array, random: Random): Array<Uint8Array> => {
  const all: Array<Uint8Array> = []
  const most = random.pick([1, 7, 100, 4_096])
  for (let at = 0; at < input.length;) {
    const next = Math.min(input.length, at + random.int(1, most))
    all.push(input.subarray(at, next))
    at = next
  }
  return all
}

const equal = (what: string, a: unknown, b: unknown) => {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)]
  if (left !== right) throw new Error(`${what} differ: ${left} and ${right}`)
}

const lines = (chunks: ReadonlyArray<Uint8Array>) => {
  const reader = new Lines(512)
  const found: Array<unknown> = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let line = reader.next(); line !== undefined; line = reader.next()) found.push(line)
  }
  return found
}

const body = (chunks: ReadonlyArray<Uint8Array>) => {
  const reader = new Body(2_000, 1_000)
  let [text, rest] = ["", ""]
  for (const chunk of chunks) {
    const used = reader.done ? 0 : reader.push(chunk)
    if (used > 0) text += latin1(reader.output)
    rest += latin1(chunk.subarray(used))
  }
  return { text: reader.fault === undefined ? text : "", rest, done: reader.done, fault: reader.fault }
}

/** A message, by what RFC 5321 says of all of it. */
const checkBody = (input: string, found: ReturnType<typeof body>) => {
  const end = `\r\n${input}`.indexOf("\r\n.\r\n")
  equal("ends of the message", found.done, end !== -1)
  if (end === -1) return
  equal("what comes after the message", found.rest, input.slice(end + 3))
  const raw = input.slice(0, end)
  const text = raw.replaceAll(/(^|\r\n)\./g, "$1")
  const isGood =
    !/\r(?!\n)|(?<!\r)\n|\0/.test(raw) &&
    text.length <= 2_000 &&
    text.split("\r\n").every(({ length }) => length <= 998)
  equal("whether it is refused", found.fault === undefined, isGood)
  if (isGood) equal("texts", found.text, text)
}

const peer = Peer.make({ transport: "test", name: "test" })

const box: Array<string> = []
const handler = await Effect.runPromise(
  Smtp.handler({
    host: "mx.example.org",
    greetingDelay: 0,
    maxMessage: 2_000,
    recipient: ({ local }) => Effect.succeed(local === "nobody" ? Smtp.reply(550, "5.1.1", "Nobody") : Smtp.accepted),
    deliver: ({ data }) =>
      Effect.map(Stream.mkUint8Array(data), (all) => {
        box.push(latin1(all))
        return Smtp.accepted
      })
  })
)

/** What is heard, and what was delivered, where a dialogue is held in pieces. */
const talk = (chunks: ReadonlyArray<Uint8Array>) => {
  let [at, heard] = [0, ""]
  box.length = 0
  const take = Effect.suspend((): Effect.Effect<Uint8Array, Cause.Done> => {
    const chunk = chunks[at++]
    return chunk === undefined ? Effect.fail(Cause.Done()) : Effect.succeed(chunk)
  })
  const connection = {
    ...Request.make("").connection,
    peer,
    listener: Endpoint.memory("test"),
    endedBy: "peer",
    take,
    pull: Effect.map(take, (chunk) => [chunk]),
    write: (said: Uint8Array) => Effect.sync(() => void (heard += latin1(said)))
  } as unknown as Connection.Connection<Uint8Array, Uint8Array>
  Effect.runSync(handler(Request.make(connection)))
  return { heard, box: [...box] }
}

const checkTalk = (input: string, { box, heard }: ReturnType<typeof talk>) => {
  if (!/^(?:[2-5]\d\d[ -][\x20-\x7e]{0,505}\r\n)*$/.test(heard)) throw new Error(`it said ${JSON.stringify(heard)}`)
  const ends = input.split("\r\n.\r\n").length - 1
  if (box.length > ends) throw new Error(`${box.length} messages of ${ends} ends: ${JSON.stringify(box)}`)
  for (const text of box) {
    if (/\r(?!\n)|(?<!\r)\n|\0/.test(text)) throw new Error(`it took ${JSON.stringify(text)}`)
  }
}

const envelope = "MAIL FROM:<ada@example.com> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<grace@example.org>\r\nDATA\r\n"

export const target: Target = {
  name: "smtp",
  seeds: [
    `EHLO client.example\r\n${envelope}Subject: a\r\n\r\n..\r\n.b\r\n.\r\nQUIT\r\n`,
    `HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@x.example>\r\nRCPT TO:<"a \\"b"@[IPv6:::1]>\r\nDATA\r\n.\r\nNOOP\r\n${envelope}`,
    `EHLO [127.0.0.1]\r\n${envelope}a\n.\nMAIL FROM:<b@c.d>\r\n.\r\n${envelope}b\r.\r\r\n.\r\nRSET\r\nVRFY x\r\n`,
    `EHLO a\r\nMAIL FROM:<\xc3\xa9@\xc3\xa9.example> SMTPUTF8\r\nRCPT TO:<@a.b:c@d.e>\r\nDATA\r\n\r\n..\r\n\r\n.\r\nHELP\r\n`,
    "\r\n..\r\n.a\r\na.\r\n\r\n.\r\nrest"
  ].map(bytes),
  check: (input, random) => {
    const cut = pieces(input, random)
    equal("lines", lines(cut), lines([input]))
    const whole = body([input])
    equal("messages", body(cut), whole)
    checkBody(latin1(input), whole)
    const said = talk(cut)
    checkTalk(latin1(input), said)
    // It takes ten times as long as the others.
    if (random.int(1, 4) === 1) equal("dialogues", talk([input]), said)
  }
}
