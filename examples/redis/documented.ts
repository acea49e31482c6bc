/** `COMMAND …`: what the commands are, for clients that ask before they send any. */
import { Resp } from "@socketserver/protocols"
import type { Spec } from "./client.ts"
import { documents } from "./documents.ts"
import { family } from "./family.ts"
import * as replies from "./replies.ts"

type Specs = () => ReadonlyMap<string, Spec>

interface Documented {
  readonly group: string
  readonly since: string
  readonly complexity: string
  readonly flags: ReadonlyArray<string>
  readonly categories: ReadonlyArray<string>
  /** Where its keys are: the first, the last (from the end if below 0), and how far apart. */
  readonly keys: readonly [first: number, last: number, step: number]
  readonly summary: string
}

const words = (text: string): ReadonlyArray<string> => text.split(" ").filter((word) => word !== "")

const all: ReadonlyMap<string, Documented> = new Map(
  documents
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", group = "", since = "", flags = "", categories = "", keys = "", complexity = "", summary = ""] =
        line.split("|").map((part) => part.trim())
      const [first = 0, last = 0, step = 0] = words(keys).map(Number)
      const documented: Documented = {
        group,
        since,
        complexity,
        flags: words(flags),
        categories: words(categories).map((word) => `@${word}`),
        keys: [first, last, step],
        summary
      }
      return [name, documented] as const
    })
)

const set = (names: ReadonlyArray<string>): Resp.Reply => ({ _tag: "Set", value: names.map(Resp.simple) })

/** What Redis says since version 7; tips, places of keys in words and subcommands are none. */
const infoOf = (specs: Specs, name: string): Resp.Reply => {
  const spec = specs().get(name)
  const documented = all.get(name)
  if (spec === undefined || documented === undefined) return Resp.nil
  const { categories, flags, keys } = documented
  const none = Resp.array([])
  return Resp.array([
    Resp.bulk(name),
    Resp.integer(spec.arity),
    set(flags),
    ...keys.map(Resp.integer),
    set(categories),
    none,
    none,
    none
  ])
}

const docsOf = (name: string): Resp.Reply => {
  const { complexity = "", group = "", since = "", summary = "" } = all.get(name) ?? {}
  return Resp.map([
    [Resp.bulk("summary"), Resp.bulk(summary)],
    [Resp.bulk("since"), Resp.bulk(since)],
    [Resp.bulk("group"), Resp.bulk(group)],
    [Resp.bulk("complexity"), Resp.bulk(complexity)]
  ])
}

/** The names that a command asks about: from the third word on, or all. */
const namesIn = (specs: Specs, command: Resp.Command): Iterable<string> =>
  command.length === 2
    ? specs().keys()
    : Array.from({ length: command.length - 2 }, (_, i) => command.key(i + 2).toLowerCase())

/** Where the keys of a command are that is the rest of the words. */
const keysIn = (specs: Specs, command: Resp.Command): Resp.Reply => {
  const name = command.key(2).toLowerCase()
  const spec = specs().get(name)
  const keys = all.get(name)?.keys
  if (spec === undefined || keys === undefined) return Resp.error("ERR Invalid command specified")
  const count = command.length - 2
  if (spec.arity < 0 ? count < -spec.arity : count !== spec.arity) {
    return Resp.error("ERR Invalid number of arguments specified for command")
  }
  const [first, last, step] = keys
  if (first === 0) return Resp.error("ERR The command has no key arguments")
  const collected = new replies.Collected()
  for (let at = first; at <= (last < 0 ? count + last : last); at += step) {
    if (!collected.add(replies.key(command.key(at + 2)))) break
  }
  return collected.array
}

export const commands = (specs: Specs): Spec =>
  family(
    "command",
    -1,
    {
      count: [2, () => Resp.integer(specs().size)],
      list: [2, () => Resp.array([...specs().keys()].map((name) => Resp.bulk(name)))],
      info: [
        -2,
        (_, command) => {
          const collected = new replies.Collected()
          for (const name of namesIn(specs, command)) if (!collected.add(infoOf(specs, name))) break
          return collected.array
        }
      ],
      docs: [
        -2,
        (_, command) => {
          const collected = new replies.Collected()
          for (const name of namesIn(specs, command)) {
            // Of what is no command there is nothing to say.
            if (!specs().has(name)) continue
            if (!collected.add(Resp.bulk(name)) || !collected.add(docsOf(name))) break
          }
          return collected.map
        }
      ],
      getkeys: [-3, (_, command) => keysIn(specs, command)]
    },
    () => Resp.array([...specs().keys()].map((name) => infoOf(specs, name)))
  )
