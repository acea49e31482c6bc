import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { MemoryServer, Peer, Policy, Request } from "@socketserver/core"
import { Smtp } from "@socketserver/protocols"
import * as Layer from "effect/Layer"
import * as replies from "../src/internal/smtp/replies.ts"
import {
  bytes,
  codes,
  envelope,
  exchange,
  hello,
  inMemory,
  latin1,
  Mail,
  mailbox,
  piecewise,
  talk
} from "./support/mail.ts"

const dialogue =
  `${hello}MAIL FROM:<ada@example.com> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<grace@example.org>\r\nRCPT TO:<nobody@example.org>\r\n` +
  `DATA\r\nSubject: a\r\n\r\n..\r\n.dot\r\ncaf\xc3\xa9\r\n.\r\nNOOP\r\nVRFY ada\r\nHELP\r\nEXPN x\r\n` +
  `mail from:<>\r\nrcpt to:<Grace@Example.ORG>\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\nQUIT\r\n`

const transcript =
  "220 mx.example.org ESMTP\r\n" +
  "250-mx.example.org greets client.example\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" +
  "250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n" +
  "250 2.0.0 OK\r\n250 2.0.0 OK\r\n550 5.1.1 No such user here\r\n" +
  "354 Send the message, and a line with nothing but a dot at its end\r\n250 2.0.0 OK\r\n" +
  "250 2.0.0 OK\r\n252 2.0.0 Send it, and you will see\r\n" +
  "214 2.0.0 Commands: HELO EHLO STARTTLS MAIL RCPT DATA RSET VRFY NOOP HELP QUIT\r\n" +
  "502 5.5.1 That command is not offered here\r\n" +
  "250 2.0.0 OK\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n" +
  "354 Send the message, and a line with nothing but a dot at its end\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"

const delivered = [
  { from: "ada@example.com", to: ["grace@example.org"], text: "Subject: a\r\n\r\n.\r\ndot\r\ncaf\xc3\xa9\r\n" },
  { from: "", to: ["postmaster"], text: "" }
]

const named = (of: { readonly said: string; readonly code: number }) => ({ ...of, what: JSON.stringify(of.said) })

describe("Smtp.serve", () => {
  it.effect.each([undefined, 1, 2, 3, 7, 64, 333])("holds a whole dialogue in pieces of %s bytes", (size) =>
    Effect.gen(function* () {
      const { box, heard } = yield* talk(dialogue, {}, size === undefined ? undefined : piecewise(size))
      assert.strictEqual(heard, transcript)
      assert.deepStrictEqual(box, delivered)
    })
  )

  it.effect("says only the greeting, until it is asked", () =>
    inMemory(
      Effect.gen(function* () {
        const client = yield* Mail.client
        assert.strictEqual(latin1(yield* client.take), "220 mx.example.org ESMTP\r\n")
        yield* client.write(bytes("HELO a\r\n"))
        assert.strictEqual(latin1(yield* client.take), "250 mx.example.org greets a\r\n")
        yield* client.write(bytes("QUIT\r\n"))
        assert.strictEqual(latin1(yield* client.take), "221 2.0.0 Bye\r\n")
        assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      }),
      mailbox().live
    )
  )

  it.effect.each(
    [
      { said: "MAIL FROM:<a@b.example>\r\n", code: 503 },
      { said: "RCPT TO:<a@b.example>\r\n", code: 503 },
      { said: "DATA\r\n", code: 503 },
      { said: "EHLO\r\n", code: 501 },
      { said: "HELO a b\r\n", code: 501 },
      { said: `EHLO ${"a".repeat(256)}\r\n`, code: 501 },
      { said: "EHLO \x1b[2J\r\n", code: 501 },
      { said: "FROBNICATE\r\n", code: 500 },
      { said: "\r\n", code: 500 },
      { said: "AUTH PLAIN\r\n", code: 502 },
      { said: "STARTTLS\r\n", code: 502 },
      { said: "QUIT now\r\n", code: 501 },
      { said: "VRFY\r\n", code: 501 },
      { said: `NOOP ${"a".repeat(506)}\r\n`, code: 500 },
      { said: `NOOP ${"a".repeat(505)}\r\n`, code: 250 },
      { said: "NOOP\n", code: 500 },
      { said: "NOOP\r \r\n", code: 500 },
      { said: "NO\0OP\r\n", code: 500 },
      { said: "NOOP \xff\r\n", code: 500 },
      { said: "GET / HTTP/1.1\r\n", code: 421 }
    ].map(named)
  )("answers $what with $code", ({ code, said }) =>
    Effect.gen(function* () {
      const { heard } = yield* talk(said)
      assert.deepStrictEqual(codes(heard), [220, code])
    })
  )

  it.effect.each(
    [
      { said: "MAIL FROM:<a@b.example> SIZE=10485761", code: 552 },
      { said: "MAIL FROM:<a@b.example> SIZE=99999999999999999999", code: 552 },
      { said: "MAIL FROM:<a@b.example> SIZE=x", code: 555 },
      { said: "MAIL FROM:<a@b.example> SIZE=1 SIZE=2", code: 501 },
      { said: "MAIL FROM:<a@b.example> BODY=BINARYMIME", code: 555 },
      { said: "MAIL FROM:<a@b.example> RET=HDRS", code: 555 },
      { said: "MAIL FROM:<a@b.example> body=8bitmime smtputf8 size=1", code: 250 },
      { said: "MAIL FROM: <a@b.example>", code: 250 },
      { said: "MAIL FROM:a@b.example", code: 501 },
      { said: "MAIL FROM:<a@b.example>x", code: 501 },
      { said: "MAIL FROM:<a@b.example", code: 501 },
      { said: 'MAIL FROM:<"a>b"@c.example>', code: 250 },
      { said: "MAIL FROM:<a b@c.example>", code: 501 },
      { said: `MAIL FROM:<${"a".repeat(65)}@c.example>`, code: 501 },
      { said: `MAIL FROM:<a@${"b".repeat(63)}.${"c.".repeat(100)}example>`, code: 501 },
      { said: "MAIL FROM:<@relay.example:a@b.example>", code: 250 },
      { said: "MAIL FROM:<a@[192.0.2.1]>", code: 250 },
      { said: "MAIL FROM:<\xc3\xa9@b.example>", code: 553 },
      { said: "MAIL FROM:<\xc3\xa9@b.example> SMTPUTF8", code: 250 },
      { said: "MAIL TO:<a@b.example>", code: 501 },
      { said: "MAIL", code: 501 }
    ].map(named)
  )("answers $what with $code", ({ code, said }) =>
    Effect.gen(function* () {
      const { heard } = yield* talk(`${hello}${said}\r\n`)
      assert.strictEqual(codes(heard).at(-1), code)
    })
  )

  it.effect.each(
    [
      { said: "RCPT TO:<>", code: 501 },
      { said: "RCPT TO:<a@b.example> NOTIFY=NEVER", code: 555 },
      { said: "RCPT TO:<\xc3\xa9@b.example>", code: 553 },
      { said: "RCPT TO:a@b.example", code: 501 },
      { said: "MAIL FROM:<a@b.example>", code: 503 },
      { said: "DATA", code: 554 }
    ].map(named)
  )("answers $what, after a sender, with $code", ({ code, said }) =>
    Effect.gen(function* () {
      const { heard } = yield* talk(`${hello}MAIL FROM:<>\r\n${said}\r\n`)
      assert.strictEqual(codes(heard).at(-1), code)
    })
  )

  it.effect("knows no parameters of who says HELO", () =>
    Effect.gen(function* () {
      const { heard } = yield* talk("HELO a\r\nMAIL FROM:<> SIZE=1\r\n")
      assert.deepStrictEqual(codes(heard), [220, 250, 555])
    })
  )

  it.effect.each(["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n.\0\r\n"])(
    "never makes two messages of one with %j in it",
    (end) =>
      Effect.gen(function* () {
        const second = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nsmuggled"
        const said = `${hello}${envelope}first${end}${second}\r\n.\r\nNOOP\r\nQUIT\r\n`
        for (const size of [undefined, 1, 5]) {
          const { box, heard } = yield* talk(said, {}, size === undefined ? undefined : piecewise(size))
          assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 354, 550, 250, 221])
          assert.deepStrictEqual(box, [])
        }
      })
  )

  it.effect("takes nothing behind a bare LF for a command", () =>
    Effect.gen(function* () {
      const { box, heard } = yield* talk(`${hello}NOOP\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nQUIT\r\n`)
      assert.deepStrictEqual(codes(heard), [220, 250, 500, 503, 221])
      assert.deepStrictEqual(box, [])
    })
  )

  it.effect("refuses what is too large, too long or has a byte 0, and goes on", () =>
    Effect.gen(function* () {
      const again = (text: string) => `${envelope}${text}\r\n.\r\n`
      const said = hello + again("12345678") + again("123456789") + again("a".repeat(200)) + again("\0") + again("ok")
      const limits = { maxMessage: 300, maxTextLineBytes: 80 }
      const { box, heard } = yield* talk(
        `${said}${again("a".repeat(70) + "\r\n" + ("b".repeat(70) + "\r\n").repeat(5))}QUIT\r\n`,
        limits
      )
      const each = (code: number) => [250, 250, 354, code]
      assert.deepStrictEqual(codes(heard), [220, 250, ...[250, 250, 500, 550, 250, 552].flatMap(each), 221])
      assert.deepStrictEqual(
        box.map(({ text }) => text),
        ["12345678\r\n", "123456789\r\n", "ok\r\n"]
      )
    })
  )

  it.effect("gives up a message of more than twice what it may have", () =>
    Effect.gen(function* () {
      const { heard } = yield* talk(`${hello}${envelope}${"a\r\n".repeat(300)}.\r\nNOOP\r\n`, { maxMessage: 300 })
      assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 354, 552])
    })
  )

  it.effect("takes as many recipients as there may be", () =>
    Effect.gen(function* () {
      const rcpt = "RCPT TO:<a@b.example>\r\n"
      const { heard } = yield* talk(`${hello}MAIL FROM:<>\r\n${rcpt.repeat(4)}`, { maxRecipients: 3 })
      assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 250, 250, 452])
    })
  )

  it.effect("ends with 421 after too many mistakes, and after too many commands for nothing", () =>
    Effect.gen(function* () {
      const mistakes = yield* talk("x\r\n".repeat(100))
      assert.deepStrictEqual(codes(mistakes.heard), [220, ...Array<number>(19).fill(500), 421])
      const nothing = yield* talk("NOOP\r\n".repeat(1_000))
      assert.deepStrictEqual(codes(nothing.heard), [220, ...Array<number>(100).fill(250), 421])
    })
  )

  it.effect("begins to count anew with a message, and does not count its recipients", () =>
    Effect.gen(function* () {
      const message = `MAIL FROM:<>\r\n${"RCPT TO:<a@b.example>\r\n".repeat(9)}DATA\r\n.\r\n`
      const { box, heard } = yield* talk(`${hello}${`x\r\n${message}`.repeat(5)}QUIT\r\n`, {
        maxErrors: 2,
        maxIdleCommands: 4
      })
      assert.strictEqual(box.length, 5)
      assert.strictEqual(codes(heard).at(-1), 221)
    })
  )

  it.effect("turns away who talks before the greeting", () =>
    inMemory(
      Effect.gen(function* () {
        assert.strictEqual(yield* exchange("EHLO a\r\n"), "554 5.5.1 You talk before you were greeted\r\n")
        const server = yield* Mail
        assert.strictEqual((yield* server.counts).Refused, 1)
      }),
      mailbox({ greetingDelay: "100 millis" }).live
    )
  )

  it.effect("greets who waits, once it has waited", () =>
    inMemory(
      Effect.gen(function* () {
        const client = yield* Mail.client
        const greeting = yield* Effect.forkChild(client.take, { startImmediately: true })
        yield* TestClock.adjust("99 millis")
        assert.isUndefined(greeting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(latin1(yield* Fiber.join(greeting)), "220 mx.example.org ESMTP\r\n")
      }),
      mailbox({ greetingDelay: "100 millis" }).live
    )
  )

  it.effect("waits five minutes for a command, however its bytes come, and ten for a message", () =>
    inMemory(
      Effect.gen(function* () {
        const slow = yield* Mail.client
        yield* slow.take
        for (let minute = 0; minute < 4; minute++) {
          yield* slow.write(bytes("N"))
          yield* TestClock.adjust("1 minute")
        }
        const last = yield* Effect.forkChild(slow.take, { startImmediately: true })
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(last.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual(latin1(yield* Fiber.join(last)), "421 4.4.2 You took too long\r\n")

        const client = yield* Mail.client
        yield* client.write(bytes(hello + envelope))
        let heard = ""
        while (!heard.includes("354")) heard += latin1(yield* client.take)
        const end = yield* Effect.forkChild(client.take, { startImmediately: true })
        for (let minute = 0; minute < 9; minute++) {
          yield* client.write(bytes("a\r\n"))
          yield* TestClock.adjust("1 minute")
        }
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(end.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual(latin1(yield* Fiber.join(end)), "421 4.4.2 You took too long\r\n")
        const server = yield* Mail
        assert.strictEqual((yield* server.counts).TimedOut, 2)
      }),
      mailbox().live
    )
  )

  it.effect("asks who finds no place in time to come again", () => {
    const { live } = mailbox()
    return Effect.gen(function* () {
      const first = yield* Mail.client
      assert.match(latin1(yield* first.take), /^220 /)
      const second = yield* Mail.client
      const heard = yield* Effect.forkChild(Stream.mkUint8Array(second.stream), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(latin1(yield* Fiber.join(heard)), "421 4.3.2 Too busy, try again later\r\n")
      yield* second.end
    }).pipe((test) => inMemory(test, live), Effect.provideService(Policy.Policy, Policy.sequential))
  })

  it.effect("has one timer for all waits of a dialogue, which does not outlive it", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const slept = { now: 0, times: 0 }
      const counting: Clock.Clock = {
        ...clock,
        sleep: (duration) =>
          Effect.suspend(() => {
            slept.now++
            slept.times++
            return Effect.ensuring(
              clock.sleep(duration),
              Effect.sync(() => void slept.now--)
            )
          })
      }
      const heard = yield* talk(dialogue, undefined, piecewise(1)).pipe(Effect.provideService(Clock.Clock, counting))
      assert.strictEqual(heard.heard, transcript)
      // The server has some of its own. There were 600 waits.
      assert.isBelow(slept.times, 10)
      assert.strictEqual(slept.now, 0)
    })
  )

  it.effect("keeps nothing of a message whose client half-closes in the middle", () =>
    Effect.gen(function* () {
      const reasons: Array<string> = []
      const deliver: Smtp.Options["deliver"] = ({ data }) =>
        Effect.as(Stream.runDrain(data), Smtp.accepted).pipe(
          Effect.tapError(({ reason }) => Effect.sync(() => reasons.push(reason)))
        )
      const { heard } = yield* talk(`${hello}${envelope}half of it\r\n.`, { deliver })
      assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 354])
      assert.deepStrictEqual(reasons, ["Left"])
    })
  )

  it.effect("passes over what nobody has read, and lets a message be refused for what it says", () =>
    Effect.gen(function* () {
      const deliver: Smtp.Options["deliver"] = ({ data }) =>
        Effect.as(Stream.runHead(data), Smtp.reply(554, "5.7.1", "No, thanks\r\n250 and yes"))
      const said = `${hello}${envelope}${"line\r\n".repeat(1_000)}.\r\nQUIT\r\n`
      const { heard } = yield* talk(said, { deliver }, piecewise(100))
      assert.isTrue(heard.endsWith("554-5.7.1 No, thanks\r\n554 5.7.1 250 and yes\r\n221 2.0.0 Bye\r\n"), heard)
    })
  )

  it.effect("says that a message was not whole, whatever is made of it", () =>
    Effect.gen(function* () {
      const deliver: Smtp.Options["deliver"] = () => Effect.succeed(Smtp.accepted)
      const { heard } = yield* talk(`${hello}${envelope}a\nb\r\n.\r\nQUIT\r\n`, { deliver })
      assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 354, 550, 221])
    })
  )

  it.effect.each(["sender", "recipient", "deliver"] as const)(
    "says 421 where %s dies, and goes on with others",
    (which) => {
      const { live } = mailbox({ [which]: () => Effect.die(new Error("no disk")) })
      return inMemory(
        Effect.gen(function* () {
          const heard = yield* exchange(`${hello}${envelope}a\r\n.\r\nNOOP\r\n`)
          assert.strictEqual(codes(heard).at(-1), 421)
          assert.deepStrictEqual(codes(yield* exchange("NOOP\r\n")), [220, 250])
          const server = yield* Mail
          assert.strictEqual((yield* server.counts).Failed, 1)
        }),
        live
      )
    }
  )

  it.effect("asks about senders, and tells what was announced", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const sender: Smtp.Options["sender"] = (from, { body, client, size, utf8 }) => {
        seen.push({ from, body, size, utf8, name: client.name, extended: client.extended })
        return Effect.succeed(from.domain === "spam.example" ? Smtp.reply(550, "5.7.1", "Not from you") : Smtp.accepted)
      }
      const { heard } = yield* talk(
        "EHLO me\r\nMAIL FROM:<a@SPAM.example>\r\nMAIL FROM:<\xc3\xa9@B\xc3\xbccher.example> SMTPUTF8 BODY=8BITMIME SIZE=7\r\n",
        { sender }
      )
      assert.deepStrictEqual(codes(heard), [220, 250, 550, 250])
      const client = { name: "me", extended: true }
      assert.deepStrictEqual(seen, [
        {
          from: { address: "a@SPAM.example", local: "a", domain: "spam.example" },
          body: "7BIT",
          size: undefined,
          utf8: false,
          ...client
        },
        {
          from: { address: "\u00e9@B\u00fccher.example", local: "\u00e9", domain: "xn--bcher-kva.example" },
          body: "8BITMIME",
          size: 7,
          utf8: true,
          ...client
        }
      ])
    })
  )
})

describe("a stop", () => {
  it.effect("lets a message be delivered that has come, and answers what comes after with 421", () => {
    const begun = Deferred.makeUnsafe<void>()
    const go = Deferred.makeUnsafe<void>()
    const deliver: Smtp.Options["deliver"] = ({ data }) =>
      Stream.runDrain(data).pipe(
        Effect.andThen(Deferred.succeed(begun, undefined)),
        Effect.andThen(Deferred.await(go)),
        Effect.as(Smtp.accepted)
      )
    return inMemory(
      Effect.gen(function* () {
        const server = yield* Mail
        const client = yield* Mail.client
        yield* client.write(bytes(`${hello}${envelope}a\r\n.\r\nNOOP\r\n`))
        yield* Deferred.await(begun)
        const stop = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
        while ((yield* server.connections)[0]?.endedBy !== "stop") yield* Effect.yieldNow
        yield* Deferred.succeed(go, undefined)
        const heard = latin1(yield* Stream.mkUint8Array(client.stream))
        assert.deepStrictEqual(codes(heard), [220, 250, 250, 250, 354, 250, 421])
        yield* client.close
        yield* Fiber.join(stop)
      }),
      mailbox({ deliver }).live
    )
  })

  it.effect.each([
    { where: "who has said nothing", said: "" },
    { where: "in the middle of a command", said: `${hello}MAIL FR` },
    { where: "in the middle of a message", said: `${hello}${envelope}half of` }
  ])("says 421 to $where", ({ said }) => {
    const { box, live } = mailbox()
    return inMemory(
      Effect.gen(function* () {
        const server = yield* Mail
        const client = yield* Mail.client
        let heard = latin1(yield* client.take)
        yield* client.write(bytes(said))
        while (said.includes("DATA") && !heard.includes("354")) heard += latin1(yield* client.take)
        const stop = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
        heard += latin1(yield* Stream.mkUint8Array(client.stream))
        assert.strictEqual(codes(heard).at(-1), 421)
        yield* client.close
        yield* Fiber.join(stop)
        assert.deepStrictEqual(box, [])
      }),
      live
    )
  })
})

describe("STARTTLS", () => {
  const startTls = (upgrade: Smtp.StartTls["upgrade"]): Smtp.StartTls => ({ isPossible: () => true, upgrade })

  it.effect("forgets what was said before and behind it, and goes on", () =>
    Effect.gen(function* () {
      let upgrades = 0
      const upgrade: Smtp.StartTls["upgrade"] = (connection, last) => {
        upgrades++
        return Effect.orDie(connection.write(last))
      }
      const said = `${hello}MAIL FROM:<a@b.example>\r\nSTARTTLS\r\nRCPT TO:<evil@b.example>\r\nNOOP\r\n`
      const { heard } = yield* talk(said, { startTls: startTls(upgrade) })
      assert.include(heard, "250-STARTTLS\r\n")
      assert.deepStrictEqual(codes(heard), [220, 250, 250, 220])
      assert.strictEqual(upgrades, 1)
    })
  )

  it.effect("wants HELO again, and counts mistakes on", () => {
    const { live } = mailbox({ startTls: startTls((connection, last) => Effect.orDie(connection.write(last))) })
    return inMemory(
      Effect.gen(function* () {
        const client = yield* Mail.client
        yield* client.write(bytes(`${hello}STARTTLS\r\n`))
        let heard = ""
        while (!heard.includes("Begin TLS")) heard += latin1(yield* client.take)
        yield* client.write(bytes("MAIL FROM:<>\r\n"))
        yield* client.end
        heard = latin1(yield* Stream.mkUint8Array(client.stream))
        assert.deepStrictEqual(codes(heard), [503])
      }),
      live
    )
  })

  it.effect("is not offered where it is not possible", () =>
    Effect.gen(function* () {
      const never: Smtp.StartTls = { isPossible: () => false, upgrade: () => Effect.die("never") }
      const { heard } = yield* talk(`${hello}STARTTLS\r\nSTARTTLS x\r\n`, { startTls: never })
      assert.notInclude(heard, "STARTTLS\r\n")
      assert.deepStrictEqual(codes(heard), [220, 250, 454, 501])
    })
  )

  it.effect("does not start with a policy of workers", () =>
    Effect.gen(function* () {
      const elsewhere: Policy.Policy = { ...Policy.sequential, name: "pool:2", worker: "process" }
      const { live } = mailbox({ startTls: startTls(() => Effect.void) })
      const start = Layer.build(live).pipe(Effect.provide(MemoryServer.layer(Mail)), Effect.scoped)
      const error = yield* Effect.flip(Effect.provideService(start, Mail.policy, elsewhere))
      assert.strictEqual(
        (error as Error).message,
        'Cannot run handlers of Mail under the policy "pool:2": STARTTLS needs the connection\'s socket, which stays in the process that accepted it'
      )
    })
  )
})

describe("Smtp", () => {
  it.effect.each([
    { option: "maxMessage", value: "10 apples" },
    { option: "maxMessage", value: 0 },
    { option: "maxRecipients", value: 0.5 },
    { option: "commandTimeout", value: "soon" },
    { option: "maxLineBytes", value: 10 }
  ])("does not start with $option = $value", ({ option, value }) =>
    Effect.gen(function* () {
      const { live } = mailbox({ [option]: value })
      const start = Layer.build(live).pipe(Effect.provide(MemoryServer.layer(Mail)), Effect.scoped)
      const error = yield* Effect.flip(start)
      assert.include((error as Error).message, `Invalid option ${option} of Mail: it must be`)
    })
  )

  it.effect("does not serve datagrams", () =>
    Effect.gen(function* () {
      const { live } = mailbox()
      const heard = yield* Effect.gen(function* () {
        const client = yield* Mail.client
        yield* client.write(bytes("EHLO a\r\n"))
        const server = yield* Mail
        while ((yield* server.counts).Refused === 0) yield* Effect.yieldNow
        return yield* server.counts
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(live, MemoryServer.layerDatagrams(Mail))))
      assert.strictEqual(heard.Refused, 1)
    })
  )

  it("writes what is to stand before a message, and no client's lines", () => {
    const { connection } = Request.make("", {
      peer: Peer.make({ transport: "tcp", name: "192.0.2.1:2525" })
    })
    const mail: Smtp.Envelope = {
      client: { name: "client)(.example", extended: true, connection },
      from: { address: "ada@example.com", local: "ada", domain: "example.com" },
      recipients: [],
      size: undefined,
      body: "7BIT",
      utf8: false
    }
    assert.strictEqual(
      Smtp.trace(mail, { host: "mx.example.org", id: "1.2", date: new Date(0) }),
      "Return-Path: <ada@example.com>\r\n" +
        "Received: from client??.example (192.0.2.1:2525)\r\n\tby mx.example.org with ESMTP id 1.2;\r\n" +
        "\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
    )
  })

  it("makes one reply of whatever text it is given", () => {
    const { encode } = replies
    assert.strictEqual(
      latin1(encode(Smtp.reply(250, "2.0.0", "a\r\n221 b\rc\u00e9\0"))),
      "250-2.0.0 a\r\n250-2.0.0 221 b\r\n250 2.0.0 c??\r\n"
    )
    assert.strictEqual(latin1(encode(Smtp.reply(99, "2.0.0", "a"))), "451 4.3.0 a\r\n")
    assert.isAtMost(encode(Smtp.reply(250, "2.0.0", "a".repeat(10_000))).length, 512)
  })
})
