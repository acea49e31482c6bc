/** `CLIENT …`: what a connection says of itself, who is connected, and how one of them is closed. */
import type { Connection } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import type { Client } from "./client.ts"
import { family, type Member } from "./family.ts"
import { integerOf } from "./integers.ts"
import * as replies from "./replies.ts"

export const isName = (name: string): boolean => /^[!-~]*$/.test(name) && name.length <= 1_024

export const noName = Resp.error("ERR Client names cannot contain spaces, newlines or special characters.")

/** Where a connection came to, as Redis writes addresses. */
const ownAddress = ({ listener }: Connection.Info): string => {
  switch (listener._tag) {
    case "Tcp":
    case "Tls":
      return `${listener.host.includes(":") ? `[${listener.host}]` : listener.host}:${listener.port}`
    case "Unix":
      return `${listener.path}:0`
    default:
      return String(listener)
  }
}

const flagsOf = (client: Client): string =>
  `${client.subscriptions > 0 ? "P" : ""}${client.queued >= 0 ? "x" : ""}${client.staysIfFull ? "e" : ""}` || "N"

/** What is known of a client, in the order of Redis; what only Redis has (its buffers, its descriptor) is left out. */
const described = (client: Client): string => {
  const { connection, shared } = client
  const seconds = (millis: number) => Math.max(0, Math.floor(millis / 1_000))
  const fields: ReadonlyArray<readonly [name: string, value: string | number]> = [
    ["id", client.id],
    ["addr", connection.peer.name],
    ["laddr", ownAddress(connection)],
    ["name", client.name],
    ["age", seconds(shared.store.date() - connection.openedAt)],
    ["idle", seconds(shared.time - client.calledAt)],
    ["flags", flagsOf(client)],
    ["db", client.index],
    ["sub", client.channels.size],
    ["psub", client.patterns.size],
    ["ssub", 0],
    ["multi", client.queued],
    ["multi-mem", client.held],
    ["omem", client.outgoing.bytes],
    ["events", "r"],
    ["cmd", client.called],
    ["user", "default"],
    ["redir", -1],
    ["resp", client.protocol],
    ["lib-name", client.library.name],
    ["lib-ver", client.library.version]
  ]
  return fields.map(([name, value]) => `${name}=${value}`).join(" ")
}

type Filter = (client: Client) => boolean

const kinds: Readonly<Record<string, Filter>> = {
  normal: ({ subscriptions }) => subscriptions === 0,
  pubsub: ({ subscriptions }) => subscriptions > 0,
  master: () => false,
  replica: () => false,
  slave: () => false
}

const ofKind = (command: Resp.Command, index: number): Filter | Resp.Reply => {
  const name = command.key(index).toLowerCase()
  return Object.hasOwn(kinds, name) ? kinds[name]! : Resp.error(`ERR Unknown client type '${command.text(index)}'`)
}

const list: Member = [
  -2,
  ({ shared }, command) => {
    let wanted: Filter = () => true
    const option = command.length === 2 ? "" : command.key(2).toLowerCase()
    if (option === "type" && command.length === 4) {
      const kind = ofKind(command, 3)
      if (typeof kind !== "function") return kind
      wanted = kind
    } else if (option === "id" && command.length > 3) {
      const ids = new Set<number>()
      for (let i = 3; i < command.length; i++) {
        const id = integerOf(command.key(i))
        if (typeof id !== "number" || id < 1) return Resp.error("ERR Invalid client ID")
        ids.add(id)
      }
      wanted = ({ id }) => ids.has(id)
    } else if (option !== "") return replies.syntax
    let text = ""
    for (const one of shared.clients.values()) {
      if (!wanted(one)) continue
      text += `${described(one)}\n`
      if (text.length > replies.mostBytes) return replies.tooMuch
    }
    return Resp.verbatim("txt", text)
  }
]

/** The old form names one address; the new one has filters, all of which must fit, and leaves out who asks. */
const kill: Member = [
  -3,
  (client, command) => {
    const all = [...client.shared.clients.values()]
    if (command.length === 3) {
      const found = all.find(({ connection }) => connection.peer.name === command.text(2))
      if (found === undefined) return Resp.error("ERR No such client")
      found.kill(client)
      return Resp.ok
    }
    if (command.length % 2 === 1) return replies.syntax
    const filters: Array<Filter> = []
    let sparesItself = true
    for (let i = 2; i < command.length; i += 2) {
      const value = command.text(i + 1)
      switch (command.key(i).toLowerCase()) {
        case "id": {
          const id = integerOf(value)
          if (typeof id !== "number" || id < 1) return Resp.error("ERR client-id should be greater than 0")
          filters.push((one) => one.id === id)
          break
        }
        case "type": {
          const kind = ofKind(command, i + 1)
          if (typeof kind !== "function") return kind
          filters.push(kind)
          break
        }
        case "addr":
          filters.push(({ connection }) => connection.peer.name === value)
          break
        case "laddr":
          filters.push(({ connection }) => ownAddress(connection) === value)
          break
        case "user":
          if (value !== "default") return Resp.error(`ERR No such user '${value}'`)
          break
        case "skipme":
          if (!/^(?:yes|no)$/i.test(value)) return replies.syntax
          sparesItself = value.toLowerCase() === "yes"
          break
        default:
          return replies.syntax
      }
    }
    const found = all.filter((one) => !(sparesItself && one === client) && filters.every((fits) => fits(one)))
    for (const one of found) one.kill(client)
    return Resp.integer(found.length)
  }
]

const setInfo: Member = [
  4,
  ({ library }, command) => {
    const value = command.key(3)
    switch (command.key(2).toLowerCase()) {
      case "lib-name":
        if (!isName(value)) return Resp.error("ERR lib-name cannot contain spaces, newlines or special characters.")
        library.name = value
        return Resp.ok
      case "lib-ver":
        if (!isName(value)) return Resp.error("ERR lib-ver cannot contain spaces, newlines or special characters.")
        library.version = value
        return Resp.ok
      default:
        return Resp.error(`ERR Unrecognized option '${command.text(2)}'`)
    }
  }
]

const onOrOff = (set: (client: Client, on: boolean) => void): Member => [
  3,
  (client, command) => {
    const value = command.key(2).toLowerCase()
    if (value !== "on" && value !== "off") return replies.syntax
    set(client, value === "on")
    return Resp.ok
  }
]

export const clients = family("client", -2, {
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
  setinfo: setInfo,
  // Whoever holds most is cut off all the same, and nobody's use of a key is noted.
  "no-evict": onOrOff((client, on) => void (client.staysIfFull = on)),
  "no-touch": onOrOff(() => {}),
  getredir: [2, () => Resp.integer(-1)],
  info: [2, (client) => Resp.verbatim("txt", `${described(client)}\n`)],
  list,
  kill
})
