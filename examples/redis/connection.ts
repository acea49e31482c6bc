/** The commands of a connection and of the server: who speaks, which version, what is subscribed to, what is done at once. */
import { Resp } from "@socketserver/protocols"
import type { Client, Spec } from "./client.ts"
import { spec } from "./client.ts"
import { data } from "./data.ts"
import { Effort, matches } from "./glob.ts"
import { integerOf } from "./integers.ts"
import * as replies from "./replies.ts"

/** What its replies are those of. */
export const version = "7.0.15"

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

const isName = (name: string): boolean => /^[!-~]*$/.test(name) && name.length <= 1_024

const noName = Resp.error("ERR Client names cannot contain spaces, newlines or special characters.")

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

/** A command of several: the second word says which. */
const family = (
  name: string,
  least: number,
  members: Readonly<Record<string, readonly [arity: number, run: Spec["run"]]>>,
  alone?: Spec["run"]
): Spec =>
  spec(name, least, [], (client, command) => {
    if (command.length === 1 && alone !== undefined) return alone(client, command)
    const member = members[command.key(1).toLowerCase()]
    if (member === undefined || !Object.hasOwn(members, command.key(1).toLowerCase())) {
      const said = new TextDecoder().decode(command.bytes(1).subarray(0, 128))
      return Resp.error(`ERR unknown subcommand '${said}'. Try ${name.toUpperCase()} HELP.`)
    }
    const [arity, run] = member
    if (arity < 0 ? command.length < -arity : command.length !== arity) {
      return replies.wrongNumber(`${name}|${command.key(1).toLowerCase()}`)
    }
    return run(client, command)
  })

const client = family("client", -2, {
  id: [2, ({ id }) => Resp.integer(id)],
  getname: [2, ({ name }) => (name === "" ? Resp.nil : Resp.bulk(name))],
  setname: [
    3,
    (client, command) => {
      const name = command.key(2)
      if (!isName(name)) return noName
      client.name = name
      return Resp.ok
    }
  ],
  // Since 7.2: a library says which one it is.
  setinfo: [4, () => Resp.ok],
  "no-evict": [3, (_, command) => (/^(?:on|off)$/i.test(command.key(2)) ? Resp.ok : replies.syntax)],
  info: [2, (client) => Resp.verbatim("txt", `${described(client)}\n`)],
  list: [
    2,
    ({ shared }) => {
      let text = ""
      for (const one of shared.clients.values()) {
        text += `${described(one)}\n`
        if (text.length > replies.mostBytes) return replies.tooMuch
      }
      return Resp.verbatim("txt", text)
    }
  ]
})

const described = (client: Client): string => {
  const { connection, id, index, name, protocol, queued } = client
  const age = Math.floor((client.shared.store.date() - connection.openedAt) / 1_000)
  const subscribed = `sub=${client.channels.size} psub=${client.patterns.size}`
  return `id=${id} addr=${connection.peer.name} name=${name} age=${age} db=${index} ${subscribed} multi=${queued} user=default resp=${protocol}`
}

const settings = ({ shared: { store } }: Client): Readonly<Record<string, string>> => ({
  appendonly: "no",
  databases: String(store.databases.length),
  maxmemory: String(store.maxBytes),
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

const info = spec("info", -1, [], (client, command) => {
  const { channels, clients, startedAt, store } = client.shared
  const { channels: channelCount, patterns } = channels.counts
  const sections: Readonly<Record<string, ReadonlyArray<string>>> = {
    Server: [
      `redis_version:${version}`,
      "redis_mode:standalone",
      `process_id:${process.pid}`,
      `uptime_in_seconds:${Math.floor((store.now() - startedAt) / 1_000)}`
    ],
    Clients: [`connected_clients:${clients.size}`],
    Memory: [`used_memory:${store.bytes + store.held}`, `maxmemory:${store.maxBytes}`, "maxmemory_policy:noeviction"],
    Persistence: ["loading:0"],
    Stats: [`pubsub_channels:${channelCount}`, `pubsub_patterns:${patterns}`],
    Replication: ["role:master", "connected_slaves:0"],
    Keyspace: store.databases.flatMap(({ expires, size }, i) =>
      size === 0 ? [] : [`db${i}:keys=${size},expires=${expires},avg_ttl=0`]
    )
  }
  const asked = Array.from({ length: command.length - 1 }, (_, i) => command.key(i + 1).toLowerCase())
  const all = asked.length === 0 || asked.some((name) => ["all", "default", "everything"].includes(name))
  const text = Object.entries(sections)
    .filter(([name]) => all || asked.includes(name.toLowerCase()))
    .map(([name, lines]) => `# ${name}\r\n${lines.map((line) => `${line}\r\n`).join("")}`)
  return Resp.verbatim("txt", text.join("\r\n"))
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

/** What is said of a command. Clients look at the name, the number of words and where the keys are. */
const describe = (name: string): Resp.Reply => {
  const of = specs.get(name)
  if (of === undefined) return Resp.nil
  const hasKeys = data.includes(of) && !["keys", "dbsize", "flushall"].includes(name)
  const last = ["mget", "mset", "del", "exists"].includes(name) ? -1 : 1
  const place = (index: number) => Resp.integer(hasKeys ? index : 0)
  const flags = { write: "write", read: "readonly", add: "denyoom", now: "no_multi", subscribed: "pubsub" }
  const none = { _tag: "Set", value: [] } as const
  return Resp.array([
    Resp.bulk(name),
    Resp.integer(of.arity),
    { _tag: "Set", value: of.flags.map((flag) => Resp.simple(flags[flag])) },
    place(1),
    place(last),
    place(name === "mset" ? 2 : 1),
    none,
    none,
    none,
    none
  ])
}

const command = family(
  "command",
  -1,
  {
    count: [2, () => Resp.integer(specs.size)],
    list: [2, () => Resp.array([...specs.keys()].map((name) => Resp.bulk(name)))],
    info: [
      -2,
      (_, command) => {
        const collected = new replies.Collected()
        if (command.length === 2) for (const name of specs.keys()) collected.add(describe(name))
        for (let i = 2; i < command.length; i++) if (!collected.add(describe(command.key(i).toLowerCase()))) break
        return collected.array
      }
    ],
    docs: [-2, () => Resp.map([])]
  },
  () => Resp.array([...specs.keys()].map(describe))
)

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
    client,
    config,
    info,
    command,
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
