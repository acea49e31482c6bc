/** The commands of keys and of what is kept under them: strings, lists and hashes. */
import { Resp } from "@socketserver/protocols"
import { type Client, type Spec, spec } from "./client.ts"
import { Effort, matches } from "./glob.ts"
import { integerOf, sumOf } from "./integers.ts"
import * as replies from "./replies.ts"
import { type Entry, type Hash, List, ofField, sizeOf, type Value } from "./store.ts"

const { noInteger, syntax, wrongType } = replies

const isValue = (value: Entry["value"]): value is Value => typeof value === "string" || value instanceof Uint8Array

const get = spec("get", 2, ["read"], ({ database }, command) => {
  const entry = database.read(command.key(1))
  if (entry === undefined) return Resp.nil
  return isValue(entry.value) ? Resp.bulk(entry.value) : wrongType
})

const set = spec("set", -3, ["write", "add"], (client, command) => {
  const { database } = client
  if (command.length === 3) {
    const value = command.keep(2)
    database.set(command.key(1), value, sizeOf(value))
    return Resp.ok
  }
  const options = optionsOf(client, command)
  if ("_tag" in options) return options
  const key = command.key(1)
  const before = database.get(key)
  if (options.get && before !== undefined && !isValue(before.value)) return wrongType
  const old = options.get ? replies.value(before?.value as Value | undefined) : undefined
  if (options.only !== undefined && options.only !== (before === undefined ? "nx" : "xx")) return old ?? Resp.nil
  const value = command.keep(2)
  const expiresAt = options.keeps ? (before?.expiresAt ?? Infinity) : options.expiresAt
  database.set(key, value, sizeOf(value), expiresAt)
  return old ?? Resp.ok
})

interface SetOptions {
  readonly only: "nx" | "xx" | undefined
  readonly get: boolean
  readonly keeps: boolean
  readonly expiresAt: number
}

const optionsOf = ({ shared: { store } }: Client, command: Resp.Command): SetOptions | Resp.Reply => {
  let only: "nx" | "xx" | undefined
  let gets = false
  let keeps = false
  let unit: string | undefined
  let time = ""
  for (let i = 3; i < command.length; i++) {
    const option = command.key(i).toLowerCase()
    switch (option) {
      case "nx":
      case "xx":
        if (only !== undefined && only !== option) return syntax
        only = option
        break
      case "get":
        gets = true
        break
      case "keepttl":
        if (unit !== undefined) return syntax
        keeps = true
        break
      case "ex":
      case "px":
      case "exat":
      case "pxat":
        if (unit !== undefined || keeps || i + 1 === command.length) return syntax
        unit = option
        time = command.key(++i)
        break
      default:
        return syntax
    }
  }
  if (unit === undefined) return { only, get: gets, keeps, expiresAt: Infinity }
  const amount = integerOf(time)
  if (amount === undefined) return noInteger
  const expiresAt = amount <= 0 ? undefined : deadlineOf(store, amount, unit.startsWith("e"), unit.endsWith("at"))
  if (expiresAt === undefined) return Resp.error("ERR invalid expire time in 'set' command")
  return { only, get: gets, keeps, expiresAt }
}

/** As far as Redis counts milliseconds. */
const mostMillis = 2 ** 63

/** When that is by the store's own clock, if it can be said. */
const deadlineOf = (
  store: Client["shared"]["store"],
  amount: number | bigint,
  isSeconds: boolean,
  isDate: boolean
): number | undefined => {
  const millis = Number(amount) * (isSeconds ? 1_000 : 1)
  const date = isDate ? millis : store.date() + millis
  if (Math.abs(millis) >= mostMillis || date >= mostMillis) return undefined
  return store.now() + date - store.date()
}

const mget = spec("mget", -2, ["read"], ({ database }, command) => {
  const collected = new replies.Collected()
  for (let i = 1; i < command.length; i++) {
    const value = database.read(command.key(i))?.value
    if (!collected.add(value !== undefined && isValue(value) ? Resp.bulk(value) : Resp.nil)) break
  }
  return collected.array
})

const mset = spec("mset", -3, ["write", "add"], ({ database }, command) => {
  if (command.length % 2 === 0) return replies.wrongNumber("mset")
  for (let i = 1; i < command.length; i += 2) {
    const value = command.keep(i + 1)
    database.set(command.key(i), value, sizeOf(value))
  }
  return Resp.ok
})

/** Adds to the number under a key. */
const add = ({ database }: Client, key: string, by: number): Resp.Reply => {
  const entry = database.get(key)
  if (entry !== undefined && !isValue(entry.value)) return wrongType
  const before = entry === undefined ? 0 : numberOf(entry.value as Value)
  if (before === undefined) return noInteger
  const sum = sumOf(before, by)
  if (sum === undefined) return Resp.error("ERR increment or decrement would overflow")
  const value = String(sum)
  database.set(key, value, sizeOf(value), entry?.expiresAt)
  return Resp.integer(sum)
}

const numberOf = (value: Value): number | bigint | undefined => {
  if (typeof value === "string") return integerOf(value)
  return value.length > 20 ? undefined : integerOf(String.fromCharCode(...value))
}

const incr = spec("incr", 2, ["write", "add"], (client, command) => add(client, command.key(1), 1))
const decr = spec("decr", 2, ["write", "add"], (client, command) => add(client, command.key(1), -1))

/** The longest value, as the protocol has it. */
const mostBytes = 1_048_576

const append = spec("append", 3, ["write", "add"], ({ database }, command) => {
  const key = command.key(1)
  const entry = database.get(key)
  if (entry !== undefined && !isValue(entry.value)) return wrongType
  const before = entry === undefined ? new Uint8Array(0) : bytesOf(entry.value as Value)
  const length = before.length + command.size(2)
  if (length > mostBytes) return replies.tooLong
  // A value that was appended to before has room behind it. Who was sent a shorter view of it does not see what comes there.
  let { buffer } = before
  if (before.byteOffset !== 0 || buffer.byteLength < length) {
    const grown = new Uint8Array(Math.max(64, length * 2))
    grown.set(before)
    buffer = grown.buffer
  }
  const value = new Uint8Array(buffer, 0, length)
  value.set(command.bytes(2), before.length)
  database.set(key, value, buffer.byteLength + 200, entry?.expiresAt)
  return Resp.integer(length)
})

const bytesOf = (value: Value): Uint8Array =>
  typeof value === "string" ? Uint8Array.from(value, (character) => character.charCodeAt(0)) : value

const count = (name: string, flags: Spec["flags"], each: (client: Client, key: string) => boolean): Spec =>
  spec(name, -2, flags, (client, command) => {
    let count = 0
    for (let i = 1; i < command.length; i++) if (each(client, command.key(i))) count++
    return Resp.integer(count)
  })

const del = count("del", ["write"], ({ database }, key) => database.get(key) !== undefined && database.delete(key))
const exists = count("exists", ["read"], ({ database }, key) => database.read(key) !== undefined)

const expire = spec("expire", -3, ["write"], ({ database, shared: { store } }, command) => {
  const only = new Set<string>()
  for (let i = 3; i < command.length; i++) {
    const option = command.key(i).toLowerCase()
    if (!["nx", "xx", "gt", "lt"].includes(option)) return Resp.error(`ERR Unsupported option ${command.text(i)}`)
    only.add(option)
  }
  const not = "options at the same time are not compatible"
  if (only.has("nx") && only.size > 1) return Resp.error(`ERR NX and XX, GT or LT ${not}`)
  if (only.has("gt") && only.has("lt")) return Resp.error(`ERR GT and LT ${not}`)
  const seconds = integerOf(command.key(2))
  if (seconds === undefined) return noInteger
  const at = deadlineOf(store, seconds, true, false)
  if (at === undefined) return Resp.error("ERR invalid expire time in 'expire' command")
  const key = command.key(1)
  const entry = database.get(key)
  if (entry === undefined) return Resp.integer(0)
  const { expiresAt } = entry
  const refused =
    (only.has("nx") && expiresAt !== Infinity) ||
    (only.has("xx") && expiresAt === Infinity) ||
    (only.has("gt") && at <= expiresAt) ||
    (only.has("lt") && at >= expiresAt)
  if (refused) return Resp.integer(0)
  if (at <= store.now()) database.delete(key)
  else database.expire(key, entry, at)
  return Resp.integer(1)
})

const ttl = spec("ttl", 2, ["read"], ({ database, shared: { store } }, command) => {
  const entry = database.read(command.key(1))
  if (entry === undefined) return Resp.integer(-2)
  if (entry.expiresAt === Infinity) return Resp.integer(-1)
  return Resp.integer(Math.floor((entry.expiresAt - store.now() + 500) / 1_000))
})

const persist = spec("persist", 2, ["write"], ({ database }, command) => {
  const key = command.key(1)
  const entry = database.get(key)
  if (entry === undefined || entry.expiresAt === Infinity) return Resp.integer(0)
  database.expire(key, entry, Infinity)
  return Resp.integer(1)
})

const type = spec("type", 2, ["read"], ({ database }, command) => {
  const value = database.read(command.key(1))?.value
  if (value === undefined) return Resp.simple("none")
  if (isValue(value)) return Resp.simple("string")
  return Resp.simple(value instanceof List ? "list" : "hash")
})

const keys = spec("keys", 2, ["read"], ({ database }, command) => {
  const pattern = command.key(1)
  const effort = new Effort()
  const collected = new replies.Collected()
  for (const name of database.names()) {
    if (!matches(pattern, name, effort)) continue
    if (!collected.add(replies.key(name))) break
  }
  return effort.isOver ? Resp.error("ERR to look for this pattern would take too long") : collected.array
})

const dbsize = spec("dbsize", 1, ["read"], ({ database }) => Resp.integer(database.size))

const flushall = spec("flushall", -1, ["write"], ({ shared: { store } }, command) => {
  const how = command.length === 2 ? command.key(1).toLowerCase() : "sync"
  if (command.length > 2 || (how !== "sync" && how !== "async")) return syntax
  store.clear()
  return Resp.ok
})

const pushing = (name: string, to: "front" | "back") =>
  spec(name, -3, ["write", "add"], ({ database }, command) => {
    const key = command.key(1)
    const entry = database.open(key, () => new List())
    if (!(entry.value instanceof List)) return wrongType
    for (let i = 2; i < command.length; i++) database.append(entry, command.keep(i), to)
    return Resp.integer(entry.value.length)
  })

const lrange = spec("lrange", 4, ["read"], ({ database }, command) => {
  const [first, last] = [integerOf(command.key(2)), integerOf(command.key(3))]
  if (first === undefined || last === undefined) return noInteger
  const list = database.read(command.key(1))?.value
  if (list === undefined) return Resp.array([])
  if (!(list instanceof List)) return wrongType
  const place = (index: number) => (index < 0 ? list.length + index : index)
  const to = Math.min(place(Number(last)), list.length - 1)
  const collected = new replies.Collected()
  for (let i = Math.max(place(Number(first)), 0); i <= to; i++) if (!collected.add(Resp.bulk(list.at(i)))) break
  return collected.array
})

const hset = spec("hset", -4, ["write", "add"], ({ database }, command) => {
  if (command.length % 2 === 1) return replies.wrongNumber("hset")
  const entry = database.open(command.key(1), (): Hash => new Map())
  const hash = entry.value
  if (!(hash instanceof Map)) return wrongType
  const before = hash.size
  for (let i = 2; i < command.length; i += 2) {
    const field = command.key(i)
    const value = command.keep(i + 1)
    const old = hash.get(field)
    hash.set(field, value)
    database.grow(entry, sizeOf(value) - (old === undefined ? -(field.length + ofField) : sizeOf(old)))
  }
  return Resp.integer(hash.size - before)
})

const hget = spec("hget", 3, ["read"], ({ database }, command) => {
  const hash = database.read(command.key(1))?.value
  if (hash === undefined) return Resp.nil
  return hash instanceof Map ? replies.value(hash.get(command.key(2))) : wrongType
})

const hgetall = spec("hgetall", 2, ["read"], ({ database }, command) => {
  const hash = database.read(command.key(1))?.value
  if (hash === undefined) return Resp.map([])
  if (!(hash instanceof Map)) return wrongType
  const collected = new replies.Collected()
  for (const [field, value] of hash) {
    if (!collected.add(replies.key(field)) || !collected.add(Resp.bulk(value))) break
  }
  return collected.map
})

export const data: ReadonlyArray<Spec> = [
  get,
  set,
  mget,
  mset,
  incr,
  decr,
  append,
  del,
  exists,
  expire,
  ttl,
  persist,
  type,
  keys,
  dbsize,
  flushall,
  pushing("lpush", "front"),
  pushing("rpush", "back"),
  lrange,
  hset,
  hget,
  hgetall
]
