/** The commands of lists. */
import { Resp } from "@socketserver/protocols"
import { type Spec, spec } from "./client.ts"
import { integerOf } from "./integers.ts"
import * as replies from "./replies.ts"
import { type Entry, List, sizeOf, sizeOfElement, type Value } from "./store.ts"
import { typed } from "./typed.ts"

const { noInteger, syntax, wrongType, zero } = replies

const onList = typed((value: Entry["value"]): value is List => value instanceof List)

const pushing = (name: string, to: "front" | "back") =>
  spec(name, -3, ["write", "add"], ({ database }, command) => {
    const entry = database.open(command.key(1), () => new List())
    if (!(entry.value instanceof List)) return wrongType
    for (let i = 2; i < command.length; i++) database.append(entry, command.keep(i), to)
    return Resp.integer(entry.value.length)
  })

/** The same to a list that is there. */
const pushingOnto = (name: string, to: "front" | "back") =>
  onList(name, -3, ["write", "add"], zero, (list, { command, database, entry }) => {
    for (let i = 2; i < command.length; i++) database.append(entry, command.keep(i), to)
    return Resp.integer(list.length)
  })

const popping = (name: string, from: "front" | "back") =>
  spec(name, -2, ["write"], ({ database, protocol }, command) => {
    if (command.length > 3) return replies.wrongNumber(name)
    const counts = command.length === 3
    const count = counts ? integerOf(command.key(2)) : 1
    if (count === undefined || count < 0) return Resp.error("ERR value is out of range, must be positive")
    const key = command.key(1)
    const entry = database.get(key)
    if (entry === undefined) return counts && protocol === 2 ? { _tag: "Null", form: "array" } : Resp.nil
    const list = entry.value
    if (!(list instanceof List)) return wrongType
    const place = (i: number) => (from === "front" ? i : list.length - 1 - i)
    const most = Math.min(Number(count), list.length)
    const collected = new replies.Collected()
    // What would be too much to answer stays.
    for (let i = 0; i < most; i++) if (!collected.add(Resp.bulk(list.at(place(i))))) return collected.array
    const first = most > 0 ? list.at(place(0)) : undefined
    database.take(key, entry, from, most)
    return counts ? collected.array : replies.value(first)
  })

const llen = onList("llen", 2, ["read"], zero, (list) => Resp.integer(list.length))

const placeIn = (list: List, index: number): number => (index < 0 ? list.length + index : index)

const lrange = onList(
  "lrange",
  4,
  ["read"],
  Resp.array([]),
  (list, { integers: [first = 0, last = 0] }) => {
    const to = Math.min(placeIn(list, last), list.length - 1)
    const collected = new replies.Collected()
    for (let i = Math.max(placeIn(list, first), 0); i <= to; i++) if (!collected.add(Resp.bulk(list.at(i)))) break
    return collected.array
  },
  [2, 3]
)

/** The place that a command names. */
const indexIn = (list: List, command: Resp.Command): number | undefined => {
  const index = integerOf(command.key(2))
  return index === undefined ? undefined : placeIn(list, Number(index))
}

const lindex = onList("lindex", 3, ["read"], Resp.nil, (list, { command }) => {
  const at = indexIn(list, command)
  if (at === undefined) return noInteger
  return at < 0 || at >= list.length ? Resp.nil : Resp.bulk(list.at(at))
})

const lset = onList(
  "lset",
  4,
  ["write", "add"],
  Resp.error("ERR no such key"),
  (list, { command, database, entry }) => {
    const at = indexIn(list, command)
    if (at === undefined) return noInteger
    if (at < 0 || at >= list.length) return Resp.error("ERR index out of range")
    const value = command.keep(3)
    database.grow(entry, sizeOf(value) - sizeOf(list.at(at)))
    list.set(at, value)
    return Resp.ok
  }
)

const ltrim = onList(
  "ltrim",
  4,
  ["write"],
  Resp.ok,
  (list, { database, entry, integers: [first = 0, last = 0], key }) => {
    const { length } = list
    const [from, to] = [Math.max(placeIn(list, first), 0), Math.min(placeIn(list, last), length - 1)]
    const keeps = from <= to
    if (keeps) database.take(key, entry, "back", length - 1 - to)
    database.take(key, entry, "front", keeps ? from : length)
    return Resp.ok
  },
  [2, 3]
)

const isSame = (one: Value, other: Value): boolean =>
  typeof one === "string" || typeof other === "string"
    ? one === other
    : one.length === other.length && one.every((byte, i) => byte === other[i])

const lrem = onList(
  "lrem",
  4,
  ["write"],
  zero,
  (list, { command, database, entry, integers: [count = 0], key }) => {
    const sought = command.keep(3)
    const values = count < 0 ? list.values.reverse() : list.values
    let left = count === 0 ? Infinity : Math.abs(count)
    let bytes = 0
    const kept = values.filter((value) => {
      if (left === 0 || !isSame(value, sought)) return true
      left--
      bytes += sizeOfElement(value)
      return false
    })
    list.values = count < 0 ? kept.reverse() : kept
    database.taken(key, entry, bytes)
    return Resp.integer(values.length - kept.length)
  },
  [2]
)

const inserting = onList("linsert", 5, ["write", "add"], zero, (list, { command, database, entry }) => {
  const { values } = list
  const pivot = command.keep(3)
  const at = values.findIndex((value) => isSame(value, pivot))
  if (at < 0) return Resp.integer(-1)
  const value = command.keep(4)
  values.splice(command.key(2).toLowerCase() === "before" ? at : at + 1, 0, value)
  list.values = values
  database.grow(entry, sizeOfElement(value))
  return Resp.integer(values.length)
})

const linsert: Spec = {
  ...inserting,
  run: (client, command) => (/^(?:before|after)$/i.test(command.key(2)) ? inserting.run(client, command) : syntax)
}

export const lists: ReadonlyArray<Spec> = [
  pushing("lpush", "front"),
  pushing("rpush", "back"),
  pushingOnto("lpushx", "front"),
  pushingOnto("rpushx", "back"),
  popping("lpop", "front"),
  popping("rpop", "back"),
  llen,
  lrange,
  lindex,
  lset,
  linsert,
  lrem,
  ltrim
]
