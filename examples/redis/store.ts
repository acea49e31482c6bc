/**
 * Sixteen databases of keys: in memory, bounded in bytes, and with a time after which a key is gone.
 *
 * Whatever is done to them is done at once, between two turns of the event loop: nothing here waits.
 */
import type { Clock } from "effect"

/** Text where all of it is ASCII, else bytes: what `Command.keep` gives. */
export type Value = string | Uint8Array

/** Values in an order, quick to add to at both ends. */
export class List {
  /** The first of all is the last of these. */
  private front: Array<Value> = []
  private back: Array<Value> = []

  get length(): number {
    return this.front.length + this.back.length
  }

  unshift(value: Value): void {
    this.front.push(value)
  }

  push(value: Value): void {
    this.back.push(value)
  }

  /** Takes the first one away. Where one end is used up, it gets half of the other: so what each costs does not grow. */
  shift(): Value | undefined {
    if (this.front.length === 0) this.front = this.back.splice(0, Math.ceil(this.back.length / 2)).reverse()
    return this.front.pop()
  }

  /** Takes the last one away. */
  pop(): Value | undefined {
    if (this.back.length === 0) this.back = this.front.splice(0, Math.ceil(this.front.length / 2)).reverse()
    return this.back.pop()
  }

  set(index: number, value: Value): void {
    const { length } = this.front
    if (index < length) this.front[length - 1 - index] = value
    else this.back[index - length] = value
  }

  /** All of them, as an array of one's own. */
  get values(): Array<Value> {
    return [...this.front.toReversed(), ...this.back]
  }

  set values(values: Array<Value>) {
    this.front = []
    this.back = values
  }

  at(index: number): Value {
    const { length } = this.front
    return (index < length ? this.front[length - 1 - index] : this.back[index - length]) as Value
  }
}

/** Values by field; of a field, each character is a byte. */
export type Hash = Map<string, Value>

export interface Entry {
  value: Value | List | Hash
  /** When it is gone, in milliseconds of a clock that nobody can set; Infinity for never. */
  expiresAt: number
  /** What it takes in memory, about. */
  bytes: number
}

/** What a key takes beside its bytes and its value's; an element of a list, and a field of a hash. */
const ofKey = 160
const ofElement = 16
export const ofField = 96
/** What a value takes. */
export const sizeOf = (value: Value): number => value.length + (typeof value === "string" ? 32 : 200)
/** What it takes as an element of a list. */
export const sizeOfElement = (value: Value): number => sizeOf(value) + ofElement

export class Store {
  readonly databases: ReadonlyArray<Database>
  /** How many bytes there may be before nothing more is added. */
  readonly maxBytes: number
  /** What is held: by keys, and by connections beside them (queued commands, subscriptions). */
  bytes = 0
  held = 0
  /** Keys that were gone in their time; and whether what was to be read was there. */
  expired = 0
  hits = 0
  misses = 0
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock, maxBytes: number) {
    this.clock = clock
    this.maxBytes = maxBytes
    this.databases = Array.from({ length: 16 }, () => new Database(this))
  }

  get isFull(): boolean {
    return this.bytes > this.maxBytes
  }

  /** How many bytes connections may hold beside keys, all together: so that nobody's queue keeps others from writing. */
  get maxHeld(): number {
    return this.maxBytes / 4
  }

  /** By a clock that nobody can set: a change of the time of day is not the end of a key. */
  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /** The time of day, for those who say when a key shall be gone by it. */
  date(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  clear(): void {
    for (const database of this.databases) database.clear()
  }

  /** Removes of what is gone a share; whether there is likely to be more. */
  sweep(): boolean {
    let more = false
    for (const database of this.databases) if (database.sweep(this.now())) more = true
    return more
  }
}

export class Database {
  private readonly store: Store
  private keys = new Map<string, Entry>()
  private expiring = new Map<string, Entry>()
  private sweeping = this.expiring.entries()

  constructor(store: Store) {
    this.store = store
  }

  get size(): number {
    return this.keys.size
  }

  get expires(): number {
    return this.expiring.size
  }

  get(key: string): Entry | undefined {
    const entry = this.keys.get(key)
    if (entry === undefined || entry.expiresAt === Infinity || entry.expiresAt > this.store.now()) return entry
    this.delete(key)
    this.store.expired++
    return undefined
  }

  /** The same for commands that read it, which are counted. */
  read(key: string): Entry | undefined {
    const entry = this.get(key)
    if (entry === undefined) this.store.misses++
    else this.store.hits++
    return entry
  }

  /** All keys that are there. */
  *names(): Iterable<string> {
    const now = this.store.now()
    for (const [key, { expiresAt }] of this.keys) if (expiresAt > now) yield key
  }

  /** Sets a key to a value that takes so much, and keeps neither what it was nor its time. */
  set(key: string, value: Entry["value"], bytes: number, expiresAt = Infinity): Entry {
    let entry = this.keys.get(key)
    const all = bytes + key.length + ofKey
    if (entry === undefined) {
      entry = { value, expiresAt: Infinity, bytes: all }
      this.keys.set(key, entry)
      this.store.bytes += all
    } else {
      entry.value = value
      this.grow(entry, all - entry.bytes)
    }
    if (entry.expiresAt !== expiresAt) this.expire(key, entry, expiresAt)
    return entry
  }

  /** The list or hash of a key, which is made where there is none. */
  open<A extends List | Hash>(key: string, make: () => A): Entry {
    return this.get(key) ?? this.set(key, make(), 0)
  }

  /** What is kept under a key takes so much more, or less. */
  grow(entry: Entry, bytes: number): void {
    entry.bytes += bytes
    this.store.bytes += bytes
  }

  append(entry: Entry, value: Value, to: "front" | "back"): void {
    const list = entry.value as List
    if (to === "front") list.unshift(value)
    else list.push(value)
    this.grow(entry, sizeOfElement(value))
  }

  /** Takes so many away from an end of a list. */
  take(key: string, entry: Entry, from: "front" | "back", count: number): void {
    const list = entry.value as List
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += sizeOfElement((from === "front" ? list.shift() : list.pop()) ?? "")
    this.taken(key, entry, bytes)
  }

  /** So much was taken out of a list or a hash. One that is empty goes. */
  taken(key: string, entry: Entry, bytes: number): void {
    const { value } = entry
    this.grow(entry, -bytes)
    if ((value instanceof List && value.length === 0) || (value instanceof Map && value.size === 0)) this.delete(key)
  }

  expire(key: string, entry: Entry, at: number): void {
    entry.expiresAt = at
    if (at === Infinity) this.expiring.delete(key)
    else this.expiring.set(key, entry)
  }

  delete(key: string): boolean {
    const entry = this.keys.get(key)
    if (entry === undefined) return false
    this.keys.delete(key)
    if (entry.expiresAt !== Infinity) this.expiring.delete(key)
    this.store.bytes -= entry.bytes
    return true
  }

  clear(): void {
    for (const { bytes } of this.keys.values()) this.store.bytes -= bytes
    this.keys = new Map()
    this.expiring = new Map()
    this.sweeping = this.expiring.entries()
  }

  /** Looks at some keys that have a time, in turn, and removes those whose time has come; whether that were many. */
  sweep(now: number): boolean {
    let gone = 0
    for (let looked = 0; looked < atOnce; looked++) {
      const next = this.sweeping.next()
      if (next.done === true) {
        // From the first on again, at the next call.
        this.sweeping = this.expiring.entries()
        break
      }
      const [key, { expiresAt }] = next.value
      if (expiresAt > now) continue
      this.delete(key)
      this.store.expired++
      gone++
    }
    return gone > atOnce / 4
  }
}

/** How many keys are looked at before others have their turn. */
const atOnce = 1_000
