/** Mail in memory: what is said to a server, and what comes back. */
import { MemoryServer, Network, Server } from "@socketserver/core"
import { Smtp } from "@socketserver/protocols"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

export class Mail extends Server.Service<Mail>()("Mail", { protocol: Smtp.protocol }) {}

export interface Delivered {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly text: string
}

export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

/** A server that keeps what it gets in `box`. */
export const mailbox = (options: Partial<Smtp.Options> = {}) => {
  const box: Array<Delivered> = []
  const all: Smtp.Options = {
    host: "mx.example.org",
    greetingDelay: 0,
    recipient: ({ local }) =>
      Effect.succeed(local === "nobody" ? Smtp.reply(550, "5.1.1", "No such user here") : Smtp.accepted),
    deliver: ({ data, from, recipients }) =>
      Effect.map(Stream.mkUint8Array(data), (all) => {
        box.push({ from: from.address, to: recipients.map(({ address }) => address), text: latin1(all) })
        return Smtp.accepted
      }),
    ...options
  }
  return { box, live: Smtp.serve(Mail, all) }
}

export const inMemory = <A, E, R>(
  test: Effect.Effect<A, E, R>,
  live: ReturnType<typeof mailbox>["live"],
  options?: MemoryServer.MemoryServerOptions
) => test.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Mail, options))))

export const piecewise = (bytes: number) => Network.link({ chunk: [bytes, bytes], resetsOnClose: false })

/** Says everything at once, half-closes, and hears all there is to hear. */
export const exchange = (said: string) =>
  Effect.gen(function* () {
    const client = yield* Mail.client
    yield* Effect.ignore(client.write(bytes(said)))
    yield* client.end
    return latin1(yield* Stream.mkUint8Array(client.stream))
  })

/** The same with a server of its own; what was delivered, too. */
export const talk = (said: string, options?: Partial<Smtp.Options>, link?: Network.Link) => {
  const { box, live } = mailbox(options)
  return Effect.map(inMemory(exchange(said), live, { link }), (heard) => ({ box, heard }))
}

/** The codes of the replies, without their other lines. */
export const codes = (heard: string): ReadonlyArray<number> =>
  heard
    .split("\r\n")
    .filter((line) => /^\d{3} /.test(line))
    .map((line) => Number(line.slice(0, 3)))

export const hello = "EHLO client.example\r\n"
export const envelope = "MAIL FROM:<ada@example.com>\r\nRCPT TO:<grace@example.org>\r\nDATA\r\n"
