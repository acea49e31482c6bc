/** Commands of several: the second word says which. */
import { Resp } from "@socketserver/protocols"
import { type Spec, spec } from "./client.ts"
import * as replies from "./replies.ts"

export type Member = readonly [arity: number, run: Spec["run"]]

export const family = (
  name: string,
  least: number,
  members: Readonly<Record<string, Member>>,
  alone?: Spec["run"]
): Spec =>
  spec(name, least, [], (client, command) => {
    if (command.length === 1 && alone !== undefined) return alone(client, command)
    const second = command.key(1).toLowerCase()
    if (!Object.hasOwn(members, second)) {
      const said = new TextDecoder().decode(command.bytes(1).subarray(0, 128))
      return Resp.error(`ERR unknown subcommand '${said}'. Try ${name.toUpperCase()} HELP.`)
    }
    const [arity, run] = members[second]!
    if (arity < 0 ? command.length < -arity : command.length !== arity) {
      return replies.wrongNumber(`${name}|${second}`)
    }
    return run(client, command)
  })
