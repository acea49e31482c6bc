/** The commands of keys, and of strings. Those of lists and hashes are beside them. */
import { Resp } from "@socketserver/protocols"
import { type Client, type Spec, spec } from "./client.ts"
import { Effort, matches } from "./glob.ts"
import { hashes } from "./hashes.ts"
import { integerOf, numberOf, sumOf } from "./integers.ts"
import { lists } from "./lists.ts"
import * as replies from "./replies.ts"
import { type Entry, List, sizeOf, type Value } from "./store.ts"
import { typed } from "./typed.ts"

const { noInteger, overflow, syntax, wrongType, zero } = replies

const isValue = (value: Entry["value"]): value is Value => typeof value === "string" || value instanceof Uint8Array

const onString = typed(isValue)

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
  if (expiresAt === undefined) return replies.wrongTime("set")
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

/** `SETEX`, and the same in milliseconds. */
const settingFor = (name: string, isSeconds: boolean) =>
  spec(name, 4, ["write", "add"], ({ database, shared: { store } }, command) => {
    const amount = integerOf(command.key(2))
    if (amount === undefined) return noInteger
    const expiresAt = amount <= 0 ? undefined : deadlineOf(store, amount, isSeconds, false)
    if (expiresAt === undefined) return replies.wrongTime(name)
    const value = command.keep(3)
    database.set(command.key(1), value, sizeOf(value), expiresAt)
    return Resp.ok
  })

const setnx = spec("setnx", 3, ["write", "add"], ({ database }, command) => {
  const key = command.key(1)
  if (database.get(key) !== undefined) return zero
  const value = command.keep(2)
  database.set(key, value, sizeOf(value))
  return Resp.integer(1)
})

const getset = spec("getset", 3, ["write", "add"], ({ database }, command) => {
  const key = command.key(1)
  const before = database.read(key)
  if (before !== undefined && !isValue(before.value)) return wrongType
  const old = replies.value(before?.value as Value | undefined)
  const value = command.keep(2)
  database.set(key, value, sizeOf(value))
  return old
})

const getdel = onString("getdel", 2, ["write"], Resp.nil, (value, { database, key }) => {
  database.delete(key)
  return Resp.bulk(value)
})

const strlen = onString("strlen", 2, ["read"], zero, (value) => Resp.integer(value.length))

const getrange = onString(
  "getrange",
  4,
  ["read"],
  Resp.bulk(""),
  (value, { integers: [first = 0, last = 0] }) => {
    const { length } = value
    if (first < 0 && last < 0 && first > last) return Resp.bulk("")
    const place = (index: number) => Math.max(index < 0 ? length + index : index, 0)
    const [from, to] = [place(first), place(last) + 1]
    if (from >= to) return Resp.bulk("")
    return Resp.bulk(typeof value === "string" ? value.slice(from, to) : value.subarray(from, to))
  },
  [2, 3]
)

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
const add = ({ database }: Client, key: string, by: number | bigint): Resp.Reply => {
  const entry = database.get(key)
  if (entry !== undefined && !isValue(entry.value)) return wrongType
  const before = entry === undefined ? 0 : numberOf(entry.value as Value)
  if (before === undefined) return noInteger
  const sum = sumOf(before, by)
  if (sum === undefined) return overflow
  const value = String(sum)
  database.set(key, value, sizeOf(value), entry?.expiresAt)
  return Resp.integer(sum)
}

const incr = spec("incr", 2, ["write", "add"], (client, command) => add(client, command.key(1), 1))
const decr = spec("decr", 2, ["write", "add"], (client, command) => add(client, command.key(1), -1))

const addingBy = (name: string, sign: 1 | -1) =>
  spec(name, 3, ["write", "add"], (client, command) => {
    const by = integerOf(command.key(2))
    if (by === undefined) return noInteger
    const signed = sign === 1 ? by : sumOf(0, -by)
    return signed === undefined ? Resp.error("ERR decrement would overflow") : add(client, command.key(1), signed)
  })

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

const deleting = (name: string) =>
  count(name, ["write"], ({ database }, key) => database.get(key) !== undefined && database.delete(key))
const exists = count("exists", ["read"], ({ database }, key) => database.read(key) !== undefined)

const expiring = (name: string, isSeconds: boolean, isDate: boolean) =>
  spec(name, -3, ["write"], ({ database, shared: { store } }, command) => {
    const only = new Set<string>()
    for (let i = 3; i < command.length; i++) {
      const option = command.key(i).toLowerCase()
      if (!["nx", "xx", "gt", "lt"].includes(option)) return Resp.error(`ERR Unsupported option ${command.text(i)}`)
      only.add(option)
    }
    const not = "options at the same time are not compatible"
    if (only.has("nx") && only.size > 1) return Resp.error(`ERR NX and XX, GT or LT ${not}`)
    if (only.has("gt") && only.has("lt")) return Resp.error(`ERR GT and LT ${not}`)
    const amount = integerOf(command.key(2))
    if (amount === undefined) return noInteger
    const at = deadlineOf(store, amount, isSeconds, isDate)
    if (at === undefined) return replies.wrongTime(name)
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

const remaining = (name: string, unitMillis: number) =>
  spec(name, 2, ["read"], ({ database, shared: { store } }, command) => {
    const entry = database.read(command.key(1))
    if (entry === undefined) return Resp.integer(-2)
    if (entry.expiresAt === Infinity) return Resp.integer(-1)
    return Resp.integer(Math.floor((entry.expiresAt - store.now() + unitMillis / 2) / unitMillis))
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

const flushing = (name: string, clear: (client: Client) => void) =>
  spec(name, -1, ["write"], (client, command) => {
    const how = command.length === 2 ? command.key(1).toLowerCase() : "sync"
    if (command.length > 2 || (how !== "sync" && how !== "async")) return syntax
    clear(client)
    return Resp.ok
  })

export const data: ReadonlyArray<Spec> = [
  get,
  set,
  setnx,
  settingFor("setex", true),
  settingFor("psetex", false),
  getset,
  getdel,
  getrange,
  strlen,
  mget,
  mset,
  incr,
  decr,
  addingBy("incrby", 1),
  addingBy("decrby", -1),
  append,
  deleting("del"),
  deleting("unlink"),
  exists,
  expiring("expire", true, false),
  expiring("pexpire", false, false),
  expiring("expireat", true, true),
  expiring("pexpireat", false, true),
  remaining("ttl", 1_000),
  remaining("pttl", 1),
  persist,
  type,
  keys,
  dbsize,
  flushing("flushdb", ({ database }) => database.clear()),
  flushing("flushall", ({ shared: { store } }) => store.clear()),
  ...lists,
  ...hashes
]
