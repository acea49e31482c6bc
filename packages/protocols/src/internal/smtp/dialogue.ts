import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Response from "@socketserver/core/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Bytes, Mail, Options, Path, Reply } from "../../Smtp.ts"
import { type Command, parse } from "./commands.ts"
import type { Line } from "./lines.ts"
import { Message } from "./message.ts"
import type { ReadPath } from "./paths.ts"
import * as replies from "./replies.ts"
import type { Settings } from "./settings.ts"
import { Ended, Source, stopping } from "./source.ts"

/** What a program has said of its server, ready for use. */
export interface Server<R> {
  readonly options: Options<R>
  readonly settings: Settings
  readonly readPath: ReadPath
}

/** The handler of connections: each is one dialogue. */
export const handler =
  <R>(server: Server<R>): Handler.Handler<Bytes, never, R> =>
  ({ body, connection }) =>
    body.kind === "datagram"
      ? Effect.succeed(Response.withOutcome(Response.empty, Outcome.refused("mail needs a connection, not a datagram")))
      : new Dialogue(server, body, connection).run

type Step<R> = Effect.Effect<void, Ended | Connection.ConnectionError | Connection.UpgradeFailed, R>

/** A message that is being agreed on. */
interface Envelope extends Omit<Mail, "client" | "data" | "recipients"> {
  readonly recipients: Array<Path>
}

class Dialogue<R> {
  private readonly server: Server<R>
  private readonly connection: Bytes
  private readonly source: Source
  private client: Mail["client"] | undefined = undefined
  private envelope: Envelope | undefined = undefined
  /** Since the last message that was accepted: what was wrong, and commands that have brought none nearer. */
  private errors = 0
  private idle = 0

  constructor(server: Server<R>, connection: Bytes, ref: Connection.Ref<never>) {
    this.server = server
    this.connection = connection
    this.source = new Source(connection, ref, server.settings.maxLineBytes)
  }

  get run(): Effect.Effect<Response.Response<never>, never, R> {
    const loop: Step<R> = Effect.suspend(() =>
      this.connection.endedBy === "stop" ? Effect.fail(stopping) : Effect.andThen(this.next, loop)
    )
    return Effect.andThen(this.greet, loop).pipe(
      Effect.ensuring(this.source.end),
      // A program's own function has died: its client hears of it, and the request is what that makes of it.
      Effect.onError((cause) => (Cause.hasDies(cause) ? Effect.ignore(this.say(replies.broken)) : Effect.void)),
      Effect.matchEffect({
        onSuccess: () => Effect.succeed(Response.empty),
        onFailure: (error) => (error._tag === "Ended" ? this.end(error) : Effect.succeed(Response.empty))
      })
    )
  }

  private end({ outcome, reply }: Ended): Effect.Effect<Response.Response<never>> {
    const response = outcome === undefined ? Response.empty : Response.withOutcome(Response.empty, outcome)
    return Effect.as(reply === undefined ? Effect.void : Effect.ignore(this.say(reply)), response)
  }

  private say(reply: Reply): Effect.Effect<void, Connection.ConnectionError> {
    return this.connection.write(replies.encode(reply))
  }

  private get greet(): Step<R> {
    const { options, settings } = this.server
    const early = settings.greetingMillis === 0 ? Effect.succeed(false) : this.source.early(settings.greetingMillis)
    const refused = Outcome.refused("it talked before it was greeted")
    return Effect.flatMap(early, (early): Step<R> =>
      early
        ? Effect.fail(new Ended({ why: "Said", reply: replies.tooEarly, outcome: refused }))
        : this.say(replies.reply(220, undefined, `${options.host} ESMTP`))
    )
  }

  private get next(): Step<R> {
    return Effect.flatMap(this.source.line(this.server.settings.commandMillis), (line) => {
      if (++this.idle > this.server.settings.maxIdleCommands) {
        const outcome = Outcome.refused("it sent too many commands for no message")
        return Effect.fail(new Ended({ why: "Said", reply: replies.tooManyCommands, outcome }))
      }
      return line._tag === "Line" ? this.obey(parse(line.text)) : this.wrongLine(line._tag)
    })
  }

  private wrongLine(fault: Exclude<Line["_tag"], "Line">): Step<R> {
    const { maxLineBytes } = this.server.settings
    if (fault === "Endless") return Effect.fail(new Ended({ why: "Said", reply: replies.endless }))
    return this.refuse(fault === "TooLong" ? replies.lineTooLong(maxLineBytes) : replies.wrongLine[fault])
  }

  private obey(command: Command): Step<R> {
    switch (command._tag) {
      case "Hello":
        return this.hello(command.extended, command.host)
      case "Mail":
        return this.mail(command)
      case "Rcpt":
        return this.rcpt(command)
      case "Data":
        return this.data
      case "StartTls":
        return this.startTls
      case "Reset":
        this.envelope = undefined
        return this.say(replies.ok)
      case "Noop":
        return this.say(replies.ok)
      case "Help":
        return this.say(replies.help)
      case "Verify":
        return this.say(replies.cannotVerify)
      case "Quit":
        return Effect.fail(new Ended({ why: "Said", reply: replies.bye }))
      case "Wrong":
        return this.refuse(command.reply)
    }
  }

  /** Says what is wrong; with too much of that, it was the last thing. */
  private refuse(reply: Reply): Step<R> {
    if (reply.code === 421) return Effect.fail(new Ended({ why: "Said", reply, outcome: Outcome.refused(reply.text) }))
    if (++this.errors < this.server.settings.maxErrors) return this.say(reply)
    const outcome = Outcome.refused("it made too many mistakes")
    return Effect.fail(new Ended({ why: "Said", reply: replies.tooManyErrors, outcome }))
  }

  private hello(extended: boolean, name: string): Step<R> {
    const { options, settings } = this.server
    this.client = { name, extended, connection: this.connection }
    this.envelope = undefined
    const hello = `${options.host} greets ${name}`
    if (!extended) return this.say(replies.reply(250, undefined, hello))
    const extensions = ["PIPELINING", `SIZE ${settings.maxMessage}`, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
    if (options.startTls?.isPossible(this.connection) === true) extensions.push("STARTTLS")
    return this.say(replies.reply(250, undefined, [hello, ...extensions, "HELP"].join("\n")))
  }

  private get startTls(): Step<R> {
    const { startTls } = this.server.options
    return Effect.suspend(() => {
      if (startTls === undefined) return this.refuse(replies.notImplemented)
      if (this.connection.peer.tls !== undefined) return this.refuse(replies.encryptedAlready)
      if (!startTls.isPossible(this.connection)) return this.refuse(replies.noTls)
      // What was said in clear, before and behind it, may be somebody's between (RFC 3207, 4.2 and CVE-2011-0411).
      this.client = undefined
      this.envelope = undefined
      return Effect.andThen(this.source.discard, startTls.upgrade(this.connection, replies.encode(replies.ready)))
    })
  }

  private mail({ parameters, path }: Command & { readonly _tag: "Mail" | "Rcpt" }): Step<R> {
    const { client } = this
    const { options, readPath, settings } = this.server
    if (client === undefined) return this.refuse(replies.helloFirst)
    if (this.envelope !== undefined) return this.refuse(replies.nested)
    let size: number | undefined
    let body: Mail["body"] = "7BIT"
    let utf8 = false
    for (const [name, value] of parameters) {
      if (client.extended && name === "SIZE" && /^\d{1,20}$/.test(value)) size = Number(value)
      else if (client.extended && name === "BODY" && /^(?:7BIT|8BITMIME)$/i.test(value)) {
        body = value.toUpperCase() as Mail["body"]
      } else if (client.extended && name === "SMTPUTF8" && value === "") utf8 = true
      else return this.refuse(replies.notOffered(name === "SIZE" || name === "BODY" ? `${name}=${value}` : name))
    }
    if (size !== undefined && size > settings.maxMessage) return this.refuse(replies.tooLarge(settings.maxMessage))
    if (!utf8 && notAscii.test(path)) return this.refuse(replies.needsUtf8)
    const from = readPath(path)
    if (from._tag === "Failure") return this.refuse(replies.reply(501, "5.1.7", `The sender is wrong: ${from.failure}`))
    const envelope: Envelope = { from: from.success, recipients: [], size, body, utf8 }
    const asked = options.sender?.(from.success, { ...envelope, client }) ?? Effect.succeed(replies.ok)
    return Effect.flatMap(asked, (reply) => {
      if (!replies.isPositive(reply)) return this.refuse(reply)
      this.envelope = envelope
      return this.say(reply)
    })
  }

  private rcpt({ parameters, path }: Command & { readonly _tag: "Mail" | "Rcpt" }): Step<R> {
    const { client, envelope } = this
    const { options, readPath, settings } = this.server
    if (client === undefined || envelope === undefined) return this.refuse(replies.mailFirst)
    const [first] = parameters.keys()
    if (first !== undefined) return this.refuse(replies.notOffered(first))
    if (envelope.recipients.length >= settings.maxRecipients) return this.refuse(replies.tooManyRecipients)
    if (!envelope.utf8 && notAscii.test(path)) return this.refuse(replies.needsUtf8)
    const to = path === "<>" ? undefined : readPath(path)
    if (to?._tag !== "Success") {
      return this.refuse(replies.reply(501, "5.1.3", `The recipient is wrong: ${to?.failure ?? "there is none"}`))
    }
    return Effect.flatMap(options.recipient(to.success, { ...envelope, client }), (reply) => {
      if (!replies.isPositive(reply)) return this.refuse(reply)
      envelope.recipients.push(to.success)
      this.idle--
      return this.say(reply)
    })
  }

  private get data(): Step<R> {
    const { client, envelope } = this
    if (client === undefined || envelope === undefined) return this.refuse(replies.mailFirst)
    const [first, ...others] = envelope.recipients
    if (first === undefined) return this.refuse(replies.noRecipients)
    const message = new Message(this.source, this.server.settings)
    const mail: Mail = { ...envelope, recipients: [first, ...others], client, data: message.data }
    return Effect.gen({ self: this }, function* () {
      yield* this.say(replies.go)
      const exit = yield* Effect.exit(this.server.options.deliver(mail))
      if (Exit.isFailure(exit) && !Cause.hasFails(exit.cause))
        return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
      yield* message.rest
      this.envelope = undefined
      const reply = message.refusal ?? (Exit.isSuccess(exit) ? exit.value : replies.broken)
      if (!replies.isPositive(reply)) return yield* this.refuse(reply)
      this.errors = 0
      this.idle = 0
      yield* this.say(reply)
    })
  }
}

const notAscii = /[^ -~]/
