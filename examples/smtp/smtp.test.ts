import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { Effect, Layer, Stream } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Smtp } from "@socketserver/protocols"
import { open } from "./maildir.ts"
import { Mail, mailbox } from "./server.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "maildir-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Says everything once it is greeted, half-closes, and hears all there is to hear. */
const exchange = (path: string, said: string) =>
  Effect.gen(function* () {
    const served = Smtp.serve(Mail, mailbox(yield* open(path)))
    const layer = Layer.provideMerge(served, MemoryServer.layer(Mail))
    return yield* Effect.gen(function* () {
      const client = yield* Mail.client
      const greeting = yield* client.take
      yield* client.write(new TextEncoder().encode(said))
      yield* client.end
      const rest = yield* Stream.mkUint8Array(client.stream)
      return new TextDecoder().decode(greeting) + new TextDecoder().decode(rest)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

const hello =
  "EHLO client.example\r\nMAIL FROM:<ada@example.com>\r\nRCPT TO:<grace@example.org>\r\nRCPT TO:<joan@example.org>\r\nDATA\r\n"
const last = (heard: string) => heard.split("\r\n").at(-2)

describe("examples/smtp", () => {
  it.live("keeps a message under a name of its own, and says where it is from", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const heard = yield* exchange(path, `${hello}Subject: hello\r\n\r\nHow are you?\r\n.\r\n`)
      assert.match(last(heard) ?? "", /^250 2\.0\.0 Kept as /)
      assert.deepStrictEqual(readdirSync(join(path, "tmp")), [])
      const [file, ...others] = readdirSync(join(path, "new"))
      assert.deepStrictEqual(others, [])
      const text = readFileSync(join(path, "new", file ?? ""), "latin1")
      assert.match(text, /^Return-Path: <ada@example\.com>\r\nReceived: from client\.example /)
      const end =
        "Delivered-To: grace@example.org\r\nDelivered-To: joan@example.org\r\nSubject: hello\r\n\r\nHow are you?\r\n"
      assert.isTrue(text.endsWith(end), text)
    }).pipe(Effect.scoped)
  )

  it.live.each(["half of it\r\n", "one\ntwo\r\n.\r\n"])("keeps nothing of %j", (said) =>
    Effect.gen(function* () {
      const path = yield* directory
      const heard = yield* exchange(path, hello + said)
      assert.notMatch(last(heard) ?? "", /^250/)
      assert.deepStrictEqual([readdirSync(join(path, "tmp")), readdirSync(join(path, "new"))], [[], []])
    }).pipe(Effect.scoped)
  )

  it.live("asks to try again where the disk does not take it, and does not start where it never will", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const maildir = yield* open(path)
      rmSync(join(path, "new"), { recursive: true })
      const served = Layer.provideMerge(Smtp.serve(Mail, mailbox(maildir)), MemoryServer.layer(Mail))
      const heard = yield* Effect.gen(function* () {
        const client = yield* Mail.client
        yield* client.take
        yield* client.write(new TextEncoder().encode(`${hello}a\r\n.\r\n`))
        yield* client.end
        return new TextDecoder().decode(yield* Stream.mkUint8Array(client.stream))
      }).pipe(Effect.scoped, Effect.provide(served))
      assert.match(last(heard) ?? "", /^452 4\.3\.1 /)
      assert.deepStrictEqual(readdirSync(join(path, "tmp")), [])

      writeFileSync(join(path, "file"), "")
      const error = yield* Effect.flip(open(join(path, "file")))
      assert.match(error.message, /^Cannot write to the Maildir .*ENOTDIR|EEXIST/)
    }).pipe(Effect.scoped)
  )
})
