/** A server that takes mail for anybody, and keeps it in a Maildir. Importing this starts nothing: the test and `main.ts` place it. */
import { Outcome, Server } from "@socketserver/core"
import { TlsServer } from "@socketserver/node"
import { Smtp } from "@socketserver/protocols"
import { Config, Effect, Layer, Option } from "effect"
import { hostname } from "node:os"
import { open, type Maildir } from "./maildir.ts"

export class Mail extends Server.Service<Mail>()("Mail", { protocol: Smtp.protocol }) {}

const host = hostname()
const fullDisk = Smtp.reply(452, "4.3.1", "There is no room for it now")

/** What a mailbox does with mail, whatever it is addressed to: where others can connect, ask who gets mail here. */
export const mailbox = (maildir: Maildir, startTls?: Smtp.StartTls): Smtp.Options => ({
  host,
  startTls,
  recipient: () => Effect.succeed(Smtp.accepted),
  deliver: (mail) => {
    const date = new Date()
    const id = `${date.getTime().toString(36)}.${mail.client.connection.id}`
    const header = [
      Smtp.trace(mail, { host, id, date }),
      ...mail.recipients.map(({ address }) => `Delivered-To: ${address}\r\n`)
    ].join("")
    return maildir.deliver(header, mail.data).pipe(
      Effect.as(Smtp.reply(250, "2.0.0", `Kept as ${id}`)),
      Effect.catchTag("MaildirError", (error) => Effect.as(Effect.logError(Outcome.printable(error.message)), fullDisk))
    )
  }
})

/** `MAILDIR` says where to, `STARTTLS_CERT` and `STARTTLS_KEY` with which certificate. */
const settings = Config.all({
  maildir: Config.option(Config.String("MAILDIR")),
  cert: Config.option(Config.String("STARTTLS_CERT")),
  key: Config.option(Config.String("STARTTLS_KEY"))
})

const unset = (problem: string) => Effect.fail(new Error(problem))

export const MailLive = Layer.unwrap(
  Effect.gen(function* () {
    const { cert, key, maildir } = yield* settings
    if (Option.isNone(maildir)) return yield* unset("MAILDIR is not set: it is the directory that mail is kept in")
    if (Option.isSome(cert) !== Option.isSome(key)) {
      return yield* unset("STARTTLS_CERT and STARTTLS_KEY belong together: set both, or neither")
    }
    const startTls =
      Option.isSome(cert) && Option.isSome(key)
        ? upgrading(yield* TlsServer.credentials({ cert: cert.value, key: key.value }))
        : undefined
    return Smtp.serve(Mail, mailbox(yield* open(maildir.value), startTls))
  })
)

const upgrading = (credentials: TlsServer.Credentials): Smtp.StartTls => ({
  isPossible: TlsServer.canUpgrade,
  upgrade: (connection, last) => TlsServer.upgrade(connection, credentials, { last })
})
