import type { Reply } from "../../Smtp.ts"
import { endOf } from "./paths.ts"
import { isHttp, notImplemented, syntax, unknown } from "./replies.ts"

/** What a client asks for, as far as its line tells. */
export type Command =
  | { readonly _tag: "Hello"; readonly extended: boolean; readonly host: string }
  | { readonly _tag: "Mail" | "Rcpt"; readonly path: string; readonly parameters: ReadonlyMap<string, string> }
  | { readonly _tag: "Data" | "Reset" | "Noop" | "Help" | "Verify" | "StartTls" | "Quit" }
  /** It is none, and that is what is answered. */
  | { readonly _tag: "Wrong"; readonly reply: Reply }

/** Reads the line of a command, without its end. */
export const parse = (line: string): Command => {
  const space = line.indexOf(" ")
  const verb = (space === -1 ? line : line.slice(0, space)).toUpperCase()
  const rest = space === -1 ? "" : line.slice(space + 1).trim()
  switch (verb) {
    case "HELO":
    case "EHLO":
      // A literal, a name, or what a client has instead. It is shown to others.
      return visible.test(rest)
        ? { _tag: "Hello", extended: verb === "EHLO", host: rest }
        : wrong(syntax(`${verb} and the name of the client`))
    case "MAIL":
      return addressed("Mail", rest, from, "MAIL FROM:<user@example.org>")
    case "RCPT":
      return addressed("Rcpt", rest, to, "RCPT TO:<user@example.org>")
    case "DATA":
    case "RSET":
    case "QUIT":
    case "STARTTLS":
      return rest === "" ? { _tag: alone[verb] } : wrong(syntax(`${verb}, with nothing after it`))
    case "NOOP":
      return { _tag: "Noop" }
    case "HELP":
      return { _tag: "Help" }
    case "VRFY":
      return rest === "" ? wrong(syntax("VRFY and an address")) : { _tag: "Verify" }
    case "EXPN":
    case "AUTH":
    case "BDAT":
    case "ETRN":
    case "TURN":
      return wrong(notImplemented)
    case "GET":
    case "POST":
    case "PUT":
    case "HEAD":
    case "DELETE":
    case "OPTIONS":
    case "CONNECT":
    case "PATCH":
    case "TRACE":
      // A web page can have a browser say what it likes to any port, after a line like this.
      return wrong(isHttp)
    default:
      return wrong(unknown)
  }
}

const wrong = (reply: Reply): Command => ({ _tag: "Wrong", reply })

const alone = { DATA: "Data", RSET: "Reset", QUIT: "Quit", STARTTLS: "StartTls" } as const

const from = /^FROM: ?(?=<)/i
const to = /^TO: ?(?=<)/i
const visible = /^[\x21-\x7e]{1,255}$/
const parameter = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?$/

const addressed = (tag: "Mail" | "Rcpt", rest: string, word: RegExp, form: string): Command => {
  const start = word.exec(rest)?.[0].length
  if (start === undefined) return wrong(syntax(form))
  const end = endOf(rest, start)
  const after = rest.slice(end)
  if (end === -1 || (after !== "" && after[0] !== " ")) return wrong(syntax(form))
  const parameters = new Map<string, string>()
  for (const text of after.split(" ")) {
    if (text === "") continue
    const [, name, value = ""] = parameter.exec(text) ?? []
    const key = name?.toUpperCase()
    if (key === undefined || parameters.has(key)) return wrong(syntax(`${form} PARAMETER=VALUE, each once`))
    parameters.set(key, value)
  }
  return { _tag: tag, path: rest.slice(start, end), parameters }
}
