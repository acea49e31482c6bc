/** Commands of a key whose value has to be of one type. */
import type { Resp } from "@socketserver/protocols"
import { type Client, type Spec, spec } from "./client.ts"
import { integerOf } from "./integers.ts"
import * as replies from "./replies.ts"
import type { Database, Entry } from "./store.ts"

/** What a command is about. */
export interface Found {
  readonly client: Client
  readonly command: Resp.Command
  readonly database: Database
  readonly entry: Entry
  readonly key: string
  /** Words that have to be integers, as far as a number is exact. */
  readonly integers: ReadonlyArray<number>
}

/** Makes commands of one type. Where there is no such key `none` is answered, and before that what is wrong with the `integers`. */
export const typed =
  <A extends Entry["value"]>(is: (value: Entry["value"]) => value is A) =>
  (
    name: string,
    arity: number,
    flags: Spec["flags"],
    none: Resp.Reply,
    run: (value: A, found: Found) => Resp.Reply,
    integers: ReadonlyArray<number> = []
  ): Spec => {
    const reads = flags.includes("read")
    return spec(name, arity, flags, (client, command) => {
      const read: Array<number> = []
      for (const i of integers) {
        const integer = integerOf(command.key(i))
        if (integer === undefined) return replies.noInteger
        read.push(Number(integer))
      }
      const { database } = client
      const key = command.key(1)
      const entry = reads ? database.read(key) : database.get(key)
      if (entry === undefined) return none
      return is(entry.value)
        ? run(entry.value, { client, command, database, entry, key, integers: read })
        : replies.wrongType
    })
  }
