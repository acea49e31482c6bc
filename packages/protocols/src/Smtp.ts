/**
 * SMTP (RFC 5321), for programs that receive mail: what they say is who may be
 * written to, and what becomes of a message.
 *
 * The dialogue is this module's: HELO and EHLO, MAIL, RCPT, DATA and the dots in
 * it, RSET, VRFY, NOOP, HELP, QUIT; PIPELINING, SIZE, 8BITMIME, SMTPUTF8,
 * ENHANCEDSTATUSCODES and STARTTLS. A connection is one request, since a dialogue
 * is no row of requests: see `Protocol.connection`.
 *
 * It sends no mail, has no queue, and does not ask who a client is (AUTH). Addresses
 * are read by the package `address-rfc2821`, which whoever uses this installs.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import type * as Server from "@socketserver/core/Server"
import { located, ServerError, UnsupportedEndpoint } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import * as dialogue from "./internal/smtp/dialogue.ts"
import { MailError } from "./internal/smtp/mailError.ts"
import * as paths from "./internal/smtp/paths.ts"
import * as replies from "./internal/smtp/replies.ts"
import * as settings from "./internal/smtp/settings.ts"

export { MailError }

/**
 * A connection of bytes, as {@link protocol} has it.
 *
 * @category models
 * @since 0.1.0
 */
export type Bytes = Connection.Connection<Uint8Array, Uint8Array>

/**
 * The protocol to declare a server of mail with.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol.Protocol<Bytes, never, Uint8Array, Uint8Array> = {
  ...Protocol.connection(),
  name: "smtp"
}

/**
 * What a client is told: a code of three digits, an enhanced status (RFC 3463)
 * where there is one, and a text, which may have several lines. Of the text only
 * what is ASCII is sent; whatever could pass for another reply is not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply {
  readonly code: number
  readonly status: string | undefined
  readonly text: string
}

/**
 * Makes a reply. Codes from 200 to 299 accept, from 400 to 499 refuse for now (the
 * client tries again), from 500 on for good. 421 ends the dialogue.
 *
 * **Example** (Refusing a recipient)
 *
 * ```ts
 * import { Smtp } from "@socketserver/protocols"
 *
 * Smtp.reply(550, "5.1.1", "No such user here").code // => 550
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const reply: (code: number, status: string | undefined, text: string) => Reply = replies.reply

/**
 * Accepts: `250 2.0.0 OK`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accepted: Reply = replies.ok

/**
 * An address of an envelope. Where mail that cannot be delivered is not to come
 * back, the sender is the null path, of which all is empty.
 *
 * @category models
 * @since 0.1.0
 */
export interface Path {
  /** As it was written: `"Ada@Example.org"`, `"postmaster"`. */
  readonly address: string
  /** The part before the `@`, with its quotes where it has any. */
  readonly local: string
  /** The part after it, in lower case and with A-labels: `"xn--bcher-kva.example"`, `"[192.0.2.1]"`; empty for `postmaster`. */
  readonly domain: string
}

/**
 * Who sends a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  /** What it calls itself, in HELO or EHLO: visible ASCII, at most 255 characters. Anybody may call itself anything. */
  readonly name: string
  /** Whether it said EHLO, and so knows extensions. */
  readonly extended: boolean
  /** Where it comes from: `connection.peer`, and once it is encrypted, `connection.peer.tls`. */
  readonly connection: Connection.Info
}

/**
 * A message that is announced: who sends it, and who has been accepted to get it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope {
  readonly client: Client
  readonly from: Path
  /** Those that were accepted so far. */
  readonly recipients: ReadonlyArray<Path>
  /** How large it will be in bytes, if the client has said so. */
  readonly size: number | undefined
  readonly body: "7BIT" | "8BITMIME"
  /** Whether addresses and headers may have UTF-8 in them (SMTPUTF8). */
  readonly utf8: boolean
}

/**
 * A message that arrives.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mail extends Envelope {
  readonly recipients: readonly [Path, ...Array<Path>]
  /**
   * What it says, header and body, as it comes: lines end with CR LF, and added
   * dots are taken away. The client sends no faster than this is read, and it can
   * be read once. It fails where the message is not whole.
   */
  readonly data: Stream.Stream<Uint8Array, MailError>
}

/**
 * How a connection is encrypted, in the words of the transport: `TlsServer` of
 * `@socketserver/node` has both.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartTls {
  /** Whether a connection can be: otherwise it is not offered. */
  readonly isPossible: (connection: Bytes) => boolean
  /** Sends `last` in clear, and goes on encrypted. */
  readonly upgrade: (connection: Bytes, last: Uint8Array) => Effect.Effect<void, Connection.UpgradeFailed>
}

/**
 * The limits of a dialogue. Those of the server (`maxConnections`, `maxMemory`,
 * `writeTimeout` and more) come on top.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** The largest message, in bytes, or as `"10MiB"`. Default: 10 MiB. A larger one is refused with 552, at MAIL if its SIZE says so. It is read to its end, but one of more than twice as much ends the dialogue. */
  readonly maxMessage?: number | string | undefined
  /** Recipients of a message. Default: 100. At the limit the next one is refused with 452, and gets another message. */
  readonly maxRecipients?: number | undefined
  /** Replies that refuse something, since the last message that was accepted. Default: 20. At the limit the client hears 421. */
  readonly maxErrors?: number | undefined
  /** Commands since the last message that was accepted, without recipients that were. Default: 100. At the limit the client hears 421. */
  readonly maxIdleCommands?: number | undefined
  /** The longest command, in bytes, with CR LF; those that take parameters may have 64 more. Default: 512. A longer one is refused with 500, and passed over; one of more than 64 KiB ends the dialogue. */
  readonly maxLineBytes?: number | undefined
  /** The longest line of a message, in bytes, with CR LF and without an added dot. Default: 1000. A message with a longer one is refused with 500. */
  readonly maxTextLineBytes?: number | undefined
  /** How long a client is waited for that talks before it is greeted: it does not listen, and is told 554. Default: 100 milliseconds. 0 greets at once. */
  readonly greetingDelay?: Settings.Time | undefined
  /** How long a client may take for a command, from the last reply to its last byte. Default: 5 minutes. After it, it is told 421. */
  readonly commandTimeout?: Settings.Time | undefined
  /** How long a message may be waited for, all its parts together. Default: 10 minutes. After it, the client is told 421. */
  readonly dataTimeout?: Settings.Time | undefined
}

/**
 * What a server of mail is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out R = never> extends Limits {
  /** Its name, in the greeting: `"mx.example.org"`. */
  readonly host: string
  /** Whether mail from a sender is taken at all. Default: all is. */
  readonly sender?: ((from: Path, envelope: Envelope) => Effect.Effect<Reply, never, R>) | undefined
  /** Whether somebody gets mail here. A server that says so for everybody and passes it on is an open relay. */
  readonly recipient: (to: Path, envelope: Envelope) => Effect.Effect<Reply, never, R>
  /**
   * Takes a message, and says what became of it. Whoever accepts it is answerable
   * for it from then on, so it is on disk by then. What was not read of it is
   * passed over. If its `data` fails, nothing of it may be kept, and whatever is
   * answered, the client hears why.
   */
  readonly deliver: (mail: Mail) => Effect.Effect<Reply, MailError, R>
  /** How connections are encrypted. Default: STARTTLS is not offered. */
  readonly startTls?: StartTls | undefined
}

/**
 * Serves mail.
 *
 * **Details**
 *
 * Each reply is the answer to its own command, in order, however many are sent at
 * once. A function of the program that dies costs its connection, with 421. A
 * server that stops answers the next command with 421; a message that is being
 * received then is not, one that is being delivered is.
 *
 * Only CR LF ends a line, and only CR LF `.` CR LF a message. A command or a message
 * with a CR or LF of its own, or a byte 0, is refused, so that two servers never
 * see different messages in the same bytes.
 *
 * What a client has sent behind STARTTLS in clear is forgotten, and so is what it
 * has said before.
 *
 * **Gotchas**
 *
 * STARTTLS needs the socket, so with a policy of workers the start fails
 * (`PolicyError`), as it does on endpoints of datagrams (`ServerError`), and where
 * the package `address-rfc2821` is missing.
 *
 * **Example** (Taking mail for one user)
 *
 * ```ts
 * import { MemoryServer, Server } from "@socketserver/core"
 * import { Smtp } from "@socketserver/protocols"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Mail extends Server.Service<Mail>()("Mail", { protocol: Smtp.protocol }) {}
 *
 * const received: Array<string> = []
 *
 * const MailLive = Smtp.serve(Mail, {
 *   host: "mx.example.org",
 *   greetingDelay: 0,
 *   recipient: (to) =>
 *     Effect.succeed(
 *       to.local === "ada" && to.domain === "example.org" ? Smtp.accepted : Smtp.reply(550, "5.1.1", "No such user here")
 *     ),
 *   deliver: (mail) =>
 *     Effect.map(Stream.mkString(Stream.decodeText(mail.data)), (text) => {
 *       received.push(text)
 *       return Smtp.accepted
 *     })
 * })
 *
 * const dialogue = Effect.gen(function* () {
 *   const client = yield* Mail.client
 *   const say = (text: string) => client.write(new TextEncoder().encode(text))
 *   yield* say("HELO client.example\r\nMAIL FROM:<grace@example.com>\r\n")
 *   yield* say("RCPT TO:<ada@example.org>\r\nDATA\r\nSubject: hello\r\n\r\nHow are you?\r\n.\r\nQUIT\r\n")
 *   yield* Stream.runDrain(client.stream)
 *   return received
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(MailLive, MemoryServer.layer(Mail))))
 *
 * await Effect.runPromise(dialogue) // => ["Subject: hello\r\n\r\nHow are you?\r\n"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const serve = <Self, Id extends string, R = never>(
  tag: Server.ServiceClass<Self, Id, Bytes, never, Uint8Array, Uint8Array>,
  options: Options<R>,
  serving: Server.ServeOptions<Bytes> = {}
): Layer.Layer<never, ServerError | Policy.PolicyError, Self | R> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const server = yield* tag
      for (const endpoint of server.addresses) {
        if (endpoint._tag !== "Udp" && endpoint._tag !== "Unixgram") continue
        const accepted = ["tcp://HOST:PORT", "tls://HOST:PORT", "unix:///PATH"]
        const reason = new UnsupportedEndpoint({
          endpoint: String(endpoint),
          problem: "mail needs a connection",
          accepted
        })
        return yield* Effect.fail(new ServerError({ reason }))
      }
      const policy = serving.policy ?? (yield* tag.policy) ?? (yield* Policy.Policy)
      if (options.startTls !== undefined && policy !== undefined && policy.worker !== "fiber") {
        const problem = "STARTTLS needs the connection's socket, which stays in the process that accepted it"
        return yield* Effect.fail(
          new Policy.PolicyError({ policy: policy.name, problem, service: tag.key, variable: policy.variable })
        )
      }
      const said = Effect.mapError((error: ServerError) => located(error, { of: tag.key }))
      return tag.serve(yield* said(handler(options)), { onTurnedAway: () => Response.make(busy), ...serving })
    })
  )

const busy = replies.encode(replies.turnedAway)

/**
 * The handler that {@link serve} serves with, for programs that wrap it. Fails
 * where an option cannot be used, or `address-rfc2821` cannot be loaded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handler = <R>(options: Options<R>): Effect.Effect<Handler.Handler<Bytes, never, R>, ServerError> =>
  Effect.gen(function* () {
    const limits = yield* Effect.mapError(
      Effect.fromResult(settings.resolve(options)),
      (reason) => new ServerError({ reason })
    )
    return dialogue.handler({ options, settings: limits, readPath: yield* paths.load })
  })

/**
 * What RFC 5321 (4.4) wants whoever takes a message to write before it: where it
 * comes from (`Received`), and where it goes if it cannot be delivered
 * (`Return-Path`). Nothing that a client has said makes a line of its own in it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const trace = (
  mail: Envelope,
  by: { /** The name of the server. */ readonly host: string; readonly id: string; readonly date: Date }
): string => {
  const { client, from, utf8 } = mail
  const { peer } = client.connection
  const how = `${utf8 ? "UTF8SMTP" : client.extended ? "ESMTP" : "SMTP"}${peer.tls === undefined || !client.extended ? "" : "S"}`
  const date = by.date.toUTCString().replace("GMT", "+0000")
  const where = Outcome.printable(peer.name).replaceAll(/[()\\]/g, "?")
  return (
    `Return-Path: <${from.address}>\r\n` +
    `Received: from ${client.name.replaceAll(/[()\\]/g, "?")} (${where})\r\n\tby ${by.host} with ${how} id ${by.id};\r\n\t${date}\r\n`
  )
}
