/** What is accepted, beside what `smtp-server` accepts of the same bytes. */
import { assert, it } from "@effect/vitest"
import { Server } from "@socketserver/core"
import { TcpServer } from "@socketserver/node"
import { Smtp } from "@socketserver/protocols"
import { Effect, Layer, Stream } from "effect"
import * as net from "node:net"
import { SMTPServer } from "smtp-server"

/** Chance by seed. */
class Random {
  private state: number

  constructor(seed: number) {
    this.state = Math.imul(seed + 1, 0x9e3779b9)
  }

  int(from: number, to: number): number {
    let t = (this.state = (this.state + 0x6d2b79f5) | 0)
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return from + Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * (to - from + 1))
  }

  pick<A>(from: ReadonlyArray<A>): A {
    return from[this.int(0, from.length - 1)] as A
  }
}

class Mail extends Server.Service<Mail>()("Mail", { protocol: Smtp.protocol }) {}

type Box = Array<{ readonly from: string; readonly to: ReadonlyArray<string>; readonly text: string }>

const isNobody = (address: string) => address.startsWith("nobody@")

/** Mail by who sent it: each dialogue has a sender of its own. */
const ours = Effect.gen(function* () {
  const box: Box = []
  const live = Smtp.serve(Mail, {
    host: "ours",
    recipient: ({ address }) => Effect.succeed(isNobody(address) ? Smtp.reply(550, "5.1.1", "Nobody") : Smtp.accepted),
    deliver: ({ data, from, recipients }) =>
      Effect.map(Stream.mkUint8Array(data), (all) => {
        const to = recipients.map(({ address }) => address.toLowerCase())
        box.push({ from: from.address, to, text: Buffer.from(all).toString("latin1") })
        return Smtp.accepted
      })
  })
  const layer = Layer.provideMerge(live, TcpServer.layer(Mail, { host: "127.0.0.1", port: 0 }))
  const context = yield* Layer.build(layer)
  const address = yield* Effect.provide(
    Effect.map(Mail, (server) => server.address),
    context
  )
  return { box, port: "port" in address ? address.port : 0 }
})

const theirs = Effect.gen(function* () {
  const box: Box = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<SMTPServer>((resume) => {
      const server = new SMTPServer({
        authOptional: true,
        disabledCommands: ["AUTH", "STARTTLS"],
        disableReverseLookup: true,
        logger: false,
        onRcptTo: ({ address }, _, done) => done(isNobody(address) ? new Error("nobody") : undefined),
        onData: (stream, { envelope }, done) => {
          const chunks: Array<Buffer> = []
          stream.on("data", (chunk: Buffer) => chunks.push(chunk))
          stream.on("end", () => {
            const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address
            const to = envelope.rcptTo.map(({ address }) => address.toLowerCase())
            box.push({ from, to, text: Buffer.concat(chunks).toString("latin1") })
            done()
          })
        }
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback((resume) => server.close(() => resume(Effect.void)))
  )
  const { port } = server.server.address() as net.AddressInfo
  return { box, port }
})

/** Says everything in pieces once it is greeted, and hears all there is to hear. */
const exchange = (port: number, said: string, pieces: ReadonlyArray<number>) =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    let heard = ""
    socket.setEncoding("latin1").once("data", () => {
      const ends = [...pieces, said.length].toSorted((a, b) => a - b)
      ends.forEach((end, at) => socket.write(said.slice(ends[at - 1] ?? 0, end), "latin1"))
    })
    socket.on("data", (text) => {
      heard += text
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(heard)))
  })

/** Bodies of lines, of which many begin with a dot. */
const body = (random: Random, parts: ReadonlyArray<string>) =>
  Array.from({ length: random.int(0, 8) }, () => random.pick(parts)).join("")

const lines = [
  "\r\n",
  "..\r\n",
  "..a\r\n",
  "...\r\n",
  "a.\r\n",
  "caf\xe9\r\n",
  `${"x".repeat(900)}\r\n`,
  "MAIL FROM:<a@b.c>\r\n"
]
const hostile = [...lines, "a\n.\n", "a\n.\r\n", "\r\n.\n", "a\r.\r", "a\r\n.\r", "a\0b", "a\r"]

/** A dialogue that a client could hold, with some mistakes. */
const dialogue = (random: Random, sender: string, parts: ReadonlyArray<string>) => {
  const message = (to: ReadonlyArray<string>) =>
    `MAIL FROM:<${sender}>${random.pick(["", " SIZE=100", " BODY=8BITMIME"])}\r\n` +
    to.map((address) => `RCPT TO:<${address}>\r\n`).join("") +
    `DATA\r\n${body(random, parts)}\r\n.\r\n`
  const steps = [
    () => message(["a@example.org"]),
    () => message(["nobody@example.org", "a+b@example.org", "B@Example.ORG"]),
    () => "NOOP\r\nRSET\r\nVRFY a\r\n",
    () => `MAIL FROM:<${sender}>\r\nRSET\r\n`,
    () => `MAIL FROM:<${sender}>\r\nRCPT TO:<nobody@example.org>\r\nRSET\r\n`,
    () => "RCPT TO:<a@example.org>\r\nWHAT\r\n",
    () => "EHLO again.example\r\n"
  ]
  return `EHLO client.example\r\n${Array.from({ length: random.int(1, 5) }, () => random.pick(steps)()).join("")}QUIT\r\n`
}

const classes = (heard: string) => [...heard.matchAll(/^(\d)\d\d /gm)].map(([, digit]) => digit).join("")

it.live("takes the same messages for the same as smtp-server, and refuses those that only it would take", () =>
  Effect.gen(function* () {
    const [our, their] = [yield* ours, yield* theirs]
    const seeds = Array.from({ length: 120 }, (_, seed) => seed)
    yield* Effect.forEach(
      seeds,
      (seed) =>
        Effect.gen(function* () {
          const random = new Random(seed)
          const sender = `sender-${seed}@example.com`
          const isHostile = seed % 3 === 0
          const said = dialogue(random, sender, isHostile ? hostile : lines)
          const pieces = Array.from({ length: random.int(0, 4) }, () => random.int(0, said.length))
          const [ourHeard, theirHeard] = yield* Effect.all(
            [exchange(our.port, said, pieces), exchange(their.port, said, pieces)],
            { concurrency: 2 }
          )
          const [ourBox, theirBox] = [our.box, their.box].map((box) => box.filter(({ from }) => from === sender))
          const what = `seed ${seed}: ${JSON.stringify(said)}\n${ourHeard}\n${theirHeard}`
          if (!isHostile) {
            assert.deepStrictEqual(ourBox, theirBox, what)
            assert.strictEqual(classes(ourHeard), classes(theirHeard), what)
          } else {
            const texts = theirBox?.map(({ text }) => text) ?? []
            for (const { text } of ourBox ?? []) assert.include(texts, text, what)
            assert.isTrue(
              (ourBox ?? []).every(({ text }) => !/\r(?!\n)|(?<!\r)\n|\0/.test(text)),
              what
            )
          }
        }),
      { concurrency: 40, discard: true }
    )
    assert.isAbove(our.box.length, 60)
  }).pipe(Effect.scoped)
)
