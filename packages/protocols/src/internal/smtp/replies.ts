import type { Reply } from "../../Smtp.ts"

/** What a server says. */

export const reply = (code: number, status: string | undefined, text: string): Reply => ({ code, status, text })

/** The bytes of a reply. Each line of its text is one of the reply, with nothing in it that could pass for another. */
export const encode = ({ code, status, text }: Reply): Uint8Array => {
  const known = Number.isInteger(code) && code >= 200 && code <= 599
  const prefix = known ? (status === undefined ? "" : `${status.replace(notStatus, "")} `) : "4.3.0 "
  const lines = text.split(/\r\n|\r|\n/)
  const last = lines.length - 1
  return utf8.encode(
    lines.map((line, at) => `${known ? code : 451}${at === last ? " " : "-"}${prefix}${plain(line)}\r\n`).join("")
  )
}

/** A line of a reply is ASCII (RFC 5321, 4.2), and of 512 bytes with its code and its end. */
const plain = (line: string): string => line.slice(0, mostCharacters).replace(notPlain, "?")

const notPlain = /[^\x20-\x7e]/g
const notStatus = /[^0-9.]/g
const mostCharacters = 480
const utf8 = new TextEncoder()

export const isPositive = ({ code }: Reply): boolean => code >= 200 && code < 300

export const ok = reply(250, "2.0.0", "OK")
export const bye = reply(221, "2.0.0", "Bye")
export const stopping = reply(421, "4.3.2", "The server is being stopped, try again later")
export const late = reply(421, "4.4.2", "You took too long")
export const broken = reply(421, "4.3.0", "Something is wrong here, try again later")
export const tooManyErrors = reply(421, "4.7.0", "Too many errors")
export const tooManyCommands = reply(421, "4.7.0", "Too many commands for no message")
export const tooEarly = reply(554, "5.5.1", "You talk before you were greeted")
export const isHttp = reply(421, "4.7.0", "This is no web server")
export const turnedAway = reply(421, "4.3.2", "Too busy, try again later")
export const endless = reply(421, "4.5.2", "That line has no end")
export const lineTooLong = (most: number) => reply(500, "5.5.2", `The line has more than ${most} bytes`)
export const wrongLine = {
  BareCr: reply(500, "5.5.2", "A CR stands without an LF after it: lines end with CR LF"),
  BareLf: reply(500, "5.5.2", "An LF stands without a CR before it: lines end with CR LF"),
  Nul: reply(500, "5.5.2", "A byte of the line is 0"),
  NotUtf8: reply(500, "5.5.2", "The line is not UTF-8")
}
export const help = reply(214, "2.0.0", "Commands: HELO EHLO STARTTLS MAIL RCPT DATA RSET VRFY NOOP HELP QUIT")
export const cannotVerify = reply(252, "2.0.0", "Send it, and you will see")
export const unknown = reply(500, "5.5.1", "There is no such command")
export const notImplemented = reply(502, "5.5.1", "That command is not offered here")
export const helloFirst = reply(503, "5.5.1", "Say HELO or EHLO first")
export const nested = reply(503, "5.5.1", "There is a sender already: send DATA or RSET")
export const mailFirst = reply(503, "5.5.1", "Say MAIL first")
export const noRecipients = reply(554, "5.5.1", "None of the recipients was accepted")
export const tooManyRecipients = reply(452, "4.5.3", "Too many recipients, send the others another message")
export const go = reply(354, undefined, "Send the message, and a line with nothing but a dot at its end")
export const ready = reply(220, "2.0.0", "Begin TLS")
export const encryptedAlready = reply(503, "5.5.1", "It is encrypted already")
export const noTls = reply(454, "4.7.0", "TLS is not possible here")
export const tooLarge = (most: number) => reply(552, "5.3.4", `The message is larger than ${most} bytes`)
export const needsUtf8 = reply(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8")
export const syntax = (form: string) => reply(501, "5.5.4", `It is written ${form}`)
export const notOffered = (parameter: string) => reply(555, "5.5.4", `There is no parameter ${parameter}`)
