/** The commands of a connection and of the server: who speaks, which version, what is subscribed to, what is done at once. */
import { Resp } from "@socketserver/protocols"
import { type Client, type Spec, spec } from "./client.ts"
import { clients, isName, noName } from "./clients.ts"
import { data } from "./data.ts"
import { commands } from "./documented.ts"
import { family } from "./family.ts"
import { Effort, matches } from "./glob.ts"
import { info, version } from "./info.ts"
import { integerOf } from "./integers.ts"
import * as replies from "./replies.ts"

const ping = spec("ping", -1, ["subscribed"], (client, command) => {
  if (command.length > 2) return replies.wrongNumber("ping")
  const said = command.length === 2 ? Resp.bulk(command.keep(1)) : undefined
  if (client.protocol === 2 && client.subscriptions > 0) return Resp.array([Resp.bulk("pong"), said ?? Resp.bulk("")])
  return said ?? pong
})

const pong = Resp.simple("PONG")

const echo = spec("echo", 2, [], (_, command) => Resp.bulk(command.keep(1)))

const hello = spec("hello", -1, [], (client, command) => {
  let protocol = client.protocol
  if (command.length > 1) {
    const asked = integerOf(command.key(1))
    if (asked === undefined) return Resp.error("ERR Protocol version is not an integer or out of range")
    if (asked !== 2 && asked !== 3) return Resp.error("NOPROTO unsupported protocol version")
    protocol = asked
  }
  let name: string | undefined
  for (let i = 2; i < command.length; i++) {
    const option = command.key(i).toLowerCase()
    if (option === "auth" && i + 2 < command.length) {
      // There is one user, and it needs no password.
      if (command.key(i + 1) !== "default") {
        return Resp.error("WRONGPASS invalid username-password pair or user is disabled.")
      }
      i += 2
    } else if (option === "setname" && i + 1 < command.length) {
      name = command.key(++i)
      if (!isName(name)) return noName
    } else return Resp.error(`ERR Syntax error in HELLO option '${command.text(i)}'`)
  }
  client.protocol = protocol
  if (name !== undefined) client.name = name
  return Resp.map([
    [Resp.bulk("server"), Resp.bulk("redis")],
    [Resp.bulk("version"), Resp.bulk(version)],
    [Resp.bulk("proto"), Resp.integer(protocol)],
    [Resp.bulk("id"), Resp.integer(client.id)],
    [Resp.bulk("mode"), Resp.bulk("standalone")],
    [Resp.bulk("role"), Resp.bulk("master")],
    [Resp.bulk("modules"), Resp.array([])]
  ])
})

const select = spec("select", 2, [], (client, command) => {
  const index = integerOf(command.key(1))
  if (index === undefined) return replies.noInteger
  if (typeof index !== "number" || index !== (index | 0)) {
    return Resp.error("ERR value is out of range, value must between -2147483648 and 2147483647")
  }
  if (index < 0 || index >= client.shared.store.databases.length) return Resp.error("ERR DB index is out of range")
  client.select(index)
  return Resp.ok
})

const quit = spec("quit", -1, ["now", "subscribed"], (client) => {
  client.closes = true
  return Resp.ok
})

const reset = spec("reset", 1, ["now", "subscribed"], (client) => {
  client.reset()
  return Resp.simple("RESET")
})

const settings = ({ shared: { store } }: Client): Readonly<Record<string, string>> => ({
  appendonly: "no",
  databases: String(store.databases.length),
  maxmemory: String(store.maxBytes),
  "maxmemory-clients": String(store.maxHeld),
  "maxmemory-policy": "noeviction",
  "proto-max-bulk-len": "1048576",
  save: "",
  timeout: "0"
})

const config = family("config", -2, {
  get: [
    -3,
    (client, command) => {
      const effort = new Effort()
      const patterns = Array.from({ length: command.length - 2 }, (_, i) => command.key(i + 2).toLowerCase())
      const found = Object.entries(settings(client)).filter(([name]) =>
        patterns.some((pattern) => matches(pattern, name, effort))
      )
      return Resp.map(found.map(([name, value]) => [Resp.bulk(name), Resp.bulk(value)]))
    }
  ],
  resetstat: [2, () => Resp.ok]
})

const subscribing = (name: string, kind: "channels" | "patterns") =>
  spec(name, -2, ["subscribed"], (client, command) =>
    Resp.several(Array.from({ length: command.length - 1 }, (_, i) => client.subscribe(kind, command.key(i + 1))))
  )

const unsubscribing = (name: string, kind: "channels" | "patterns") =>
  spec(name, -1, ["subscribed"], (client, command) =>
    command.length === 1
      ? client.unsubscribeEach(kind)
      : Resp.several(Array.from({ length: command.length - 1 }, (_, i) => client.unsubscribe(kind, command.key(i + 1))))
  )

const publish = spec("publish", 3, [], ({ shared: { channels } }, command) => {
  const effort = new Effort()
  return Resp.integer(channels.publish(command.key(1), command.keep(2), effort))
})

const multi = spec("multi", 1, ["now"], (client) => client.begin())
const exec = spec("exec", 1, ["now"], (client) => client.execute())
const discard = spec("discard", 1, ["now"], (client) => client.discard())

/** All commands, by their names. */
export const specs: ReadonlyMap<string, Spec> = new Map(
  [
    ...data,
    ping,
    echo,
    hello,
    select,
    quit,
    reset,
    clients,
    config,
    info,
    commands(() => specs),
    subscribing("subscribe", "channels"),
    subscribing("psubscribe", "patterns"),
    unsubscribing("unsubscribe", "channels"),
    unsubscribing("punsubscribe", "patterns"),
    publish,
    multi,
    exec,
    discard
  ].map((one) => [one.name, one])
)

/** The same by their names in lower case and in upper case, since most clients write one of these. */
export const byName: ReadonlyMap<string, Spec> = new Map(
  [...specs].flatMap(([name, spec]) => [[name, spec] as const, [name.toUpperCase(), spec] as const])
)
