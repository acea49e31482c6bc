/** The commands of hashes. */
import { Resp } from "@socketserver/protocols"
import { type Spec, spec } from "./client.ts"
import { integerOf, numberOf, sumOf } from "./integers.ts"
import * as replies from "./replies.ts"
import { type Database, type Entry, type Hash, ofField, sizeOf, type Value } from "./store.ts"
import { typed } from "./typed.ts"

const { noInteger, overflow, wrongType, zero } = replies

const onHash = typed((value: Entry["value"]): value is Hash => value instanceof Map)

const empty = (): Hash => new Map()

const put = (database: Database, entry: Entry, field: string, value: Value): void => {
  const hash = entry.value as Hash
  const old = hash.get(field)
  hash.set(field, value)
  database.grow(entry, sizeOf(value) - (old === undefined ? -(field.length + ofField) : sizeOf(old)))
}

const setting = (name: string, answer: (added: number) => Resp.Reply) =>
  spec(name, -4, ["write", "add"], ({ database }, command) => {
    if (command.length % 2 === 1) return replies.wrongNumber(name)
    const entry = database.open(command.key(1), empty)
    const hash = entry.value
    if (!(hash instanceof Map)) return wrongType
    const before = hash.size
    for (let i = 2; i < command.length; i += 2) put(database, entry, command.key(i), command.keep(i + 1))
    return answer(hash.size - before)
  })

const hsetnx = spec("hsetnx", 4, ["write", "add"], ({ database }, command) => {
  const entry = database.open(command.key(1), empty)
  if (!(entry.value instanceof Map)) return wrongType
  if (entry.value.has(command.key(2))) return zero
  put(database, entry, command.key(2), command.keep(3))
  return Resp.integer(1)
})

const hincrby = spec("hincrby", 4, ["write", "add"], ({ database }, command) => {
  const by = integerOf(command.key(3))
  if (by === undefined) return noInteger
  const [key, field] = [command.key(1), command.key(2)]
  const hash = database.get(key)?.value
  if (hash !== undefined && !(hash instanceof Map)) return wrongType
  const before = numberOf(hash?.get(field) ?? "0")
  if (before === undefined) return Resp.error("ERR hash value is not an integer")
  const sum = sumOf(before, by)
  if (sum === undefined) return overflow
  put(database, database.open(key, empty), field, String(sum))
  return Resp.integer(sum)
})

const hget = onHash("hget", 3, ["read"], Resp.nil, (hash, { command }) => replies.value(hash.get(command.key(2))))

const valuesOf = (hash: Hash, command: Resp.Command): Resp.Reply => {
  const collected = new replies.Collected()
  for (let i = 2; i < command.length; i++) if (!collected.add(replies.value(hash.get(command.key(i))))) break
  return collected.array
}

const existing = onHash("hmget", -3, ["read"], Resp.nil, (hash, { command }) => valuesOf(hash, command))

/** Of a hash that is not there, every field is nothing. */
const hmget: Spec = {
  ...existing,
  run: (client, command) => {
    const reply = existing.run(client, command)
    return reply === Resp.nil ? valuesOf(empty(), command) : reply
  }
}

const hdel = onHash("hdel", -3, ["write"], zero, (hash, { command, database, entry, key }) => {
  const before = hash.size
  let bytes = 0
  for (let i = 2; i < command.length; i++) {
    const field = command.key(i)
    const old = hash.get(field)
    if (old === undefined) continue
    hash.delete(field)
    bytes += sizeOf(old) + field.length + ofField
  }
  const gone = before - hash.size
  database.taken(key, entry, bytes)
  return Resp.integer(gone)
})

const hexists = onHash("hexists", 3, ["read"], zero, (hash, { command }) =>
  Resp.integer(hash.has(command.key(2)) ? 1 : 0)
)

const hlen = onHash("hlen", 2, ["read"], zero, (hash) => Resp.integer(hash.size))

const hstrlen = onHash("hstrlen", 3, ["read"], zero, (hash, { command }) =>
  Resp.integer(hash.get(command.key(2))?.length ?? 0)
)

const listing = (name: string, each: (field: string, value: Value) => Resp.Reply) =>
  onHash(name, 2, ["read"], Resp.array([]), (hash) => {
    const collected = new replies.Collected()
    for (const [field, value] of hash) if (!collected.add(each(field, value))) break
    return collected.array
  })

const hgetall = onHash("hgetall", 2, ["read"], Resp.map([]), (hash) => {
  const collected = new replies.Collected()
  for (const [field, value] of hash) {
    if (!collected.add(replies.key(field)) || !collected.add(Resp.bulk(value))) break
  }
  return collected.map
})

export const hashes: ReadonlyArray<Spec> = [
  setting("hset", Resp.integer),
  setting("hmset", () => Resp.ok),
  hsetnx,
  hincrby,
  hget,
  hmget,
  hgetall,
  hdel,
  hexists,
  hlen,
  hstrlen,
  listing("hkeys", replies.key),
  listing("hvals", (_, value) => Resp.bulk(value))
]
