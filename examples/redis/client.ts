/** A connection as the commands know it: what it has selected, queued and subscribed to, and which version it speaks. */
import type { Connection } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import type { Channels, Kind, Listener } from "./channels.ts"
import { type Backlogs, Outgoing } from "./outgoing.ts"
import * as replies from "./replies.ts"
import type { Database, Store } from "./store.ts"

/** What all connections share. */
export interface Shared {
  readonly store: Store
  readonly channels: Channels
  readonly backlogs: Backlogs
  readonly clients: Map<number, Client>
  readonly startedAt: number
  readonly runId: string
  readonly stats: Stats
  /** How many connections were turned away. */
  readonly rejected: () => number
  /** The store's time, as it was a moment ago: to ask the clock for each command would cost. */
  time: number
}

/** What `INFO stats` counts. */
export interface Stats {
  connections: number
  commands: number
  perSecond: number
  /** Bytes of connections that are closed. */
  input: number
  output: number
}

export interface Spec {
  readonly name: string
  /** How many words it has, its name included; below 0 at least so many. */
  readonly arity: number
  /** `add`: refused when the store is full. `now`: never queued. `subscribed`: allowed in RESP2 where its connection has subscribed. */
  readonly flags: ReadonlyArray<"write" | "read" | "add" | "now" | "subscribed">
  readonly run: (client: Client, command: Resp.Command) => Resp.Reply
}

/** Writes a command down. */
export const spec = (name: string, arity: number, flags: Spec["flags"], run: Spec["run"]): Spec => ({
  name,
  arity,
  flags,
  run
})

/** Bytes that a queued command, or a subscription, takes beside its own. */
const overhead = 256

export class Client implements Listener {
  readonly id: number
  readonly connection: Connection.Ref<Resp.Reply>
  readonly shared: Shared
  readonly outgoing: Outgoing
  readonly channels = new Set<string>()
  readonly patterns = new Set<string>()
  name = ""
  database: Database
  index = 0
  protocol: 2 | 3 = 2
  /** What its library calls itself, since Redis 7.2. */
  readonly library = { name: "", version: "" }
  staysIfFull = false
  /** The command that it has sent last, and when. */
  called = "NULL"
  calledAt: number
  /** Whether its connection is to close after the reply. */
  closes = false
  private queue: Array<{ readonly spec: Spec; readonly command: Resp.Command }> | undefined = undefined
  /** A command could not be queued: none of them is run. */
  private isSpoilt = false
  /** What it holds beside keys. */
  held = 0
  private readonly specs: ReadonlyMap<string, Spec>

  constructor(connection: Connection.Ref<Resp.Reply>, shared: Shared, specs: ReadonlyMap<string, Spec>) {
    this.id = connection.id
    this.connection = connection
    this.shared = shared
    this.specs = specs
    this.database = shared.store.databases[0]!
    this.outgoing = new Outgoing(connection, shared.backlogs, () => this.unsubscribeAll())
    shared.clients.set(this.id, this)
    shared.stats.connections++
    this.calledAt = shared.time
  }

  get subscriptions(): number {
    return this.channels.size + this.patterns.size
  }

  get queued(): number {
    return this.queue?.length ?? -1
  }

  /** Answers a command, or queues it. */
  answer(command: Resp.Command): Resp.Reply {
    const { name } = command
    const { shared } = this
    shared.stats.commands++
    this.calledAt = shared.time
    const spec = this.specs.get(name) ?? this.specs.get(name.toLowerCase())
    // What is not as it should be is seldom.
    if (spec === undefined || !fits(spec.arity, command.length)) return this.refuse(command, spec)
    if (this.protocol === 2 && this.subscriptions > 0 && !spec.flags.includes("subscribed")) {
      return this.spoil(cannot(spec.name), spec)
    }
    this.called = spec.name
    if (shared.store.isFull && spec.flags.includes("add")) return this.spoil(replies.outOfMemory)
    if (this.queue !== undefined && !spec.flags.includes("now")) return this.enqueue(this.queue, spec, command)
    const reply = spec.run(this, command)
    return this.protocol === 2 ? Resp.downgrade(reply) : reply
  }

  readonly spoken = (reply: Resp.Reply): Resp.Reply => (this.protocol === 2 ? Resp.downgrade(reply) : reply)

  private refuse(command: Resp.Command, spec: Spec | undefined): Resp.Reply {
    // Somebody has a browser send commands to it: those who speak HTTP are not answered, as by Redis.
    const { name } = command
    if (/^(?:post|host:)$/i.test(name)) {
      this.closes = true
      return Resp.several([])
    }
    return this.spoil(spec === undefined ? unknown(command) : replies.wrongNumberOf(spec.name), spec)
  }

  /** A command is refused, and with it the transaction that it would be part of. */
  private spoil(message: string, spec?: Spec): Resp.Reply {
    this.isSpoilt = true
    if (spec?.name !== "exec") return Resp.error(message)
    this.discard()
    return Resp.error(`EXECABORT Transaction discarded because of: ${message.replace(/^ERR /, "")}`)
  }

  private enqueue(
    queue: Array<{ readonly spec: Spec; readonly command: Resp.Command }>,
    spec: Spec,
    command: Resp.Command
  ): Resp.Reply {
    queue.push({ spec, command: command.copy })
    this.hold(command.frame.length + overhead)
    return Resp.simple("QUEUED")
  }

  begin(): Resp.Reply {
    if (this.queue !== undefined) return Resp.error("ERR MULTI calls can not be nested")
    this.queue = []
    this.isSpoilt = false
    return Resp.ok
  }

  execute(): Resp.Reply {
    const { queue } = this
    if (queue === undefined) return Resp.error("ERR EXEC without MULTI")
    const isSpoilt = this.isSpoilt
    this.discard()
    if (isSpoilt) return Resp.error("EXECABORT Transaction discarded because of previous errors.")
    // One after the other, and nobody else between them: all of it is one handler that waits for nothing.
    const answers = new Array<Resp.Reply>(queue.length)
    let left = replies.mostBytes
    for (let i = 0; i < queue.length; i++) {
      const { command, spec } = queue[i]!
      const reply = left > 0 ? this.spoken(spec.run(this, command)) : replies.tooMuch
      left -= replies.weightOf(reply)
      answers[i] = left >= 0 ? reply : replies.tooMuch
    }
    return Resp.array(answers)
  }

  discard(): Resp.Reply {
    if (this.queue === undefined) return Resp.error("ERR DISCARD without MULTI")
    for (const { command } of this.queue) this.hold(-command.frame.length - overhead)
    this.queue = undefined
    return Resp.ok
  }

  subscribe(kind: Kind, name: string): Resp.Reply {
    const { channels } = this.shared
    if (!this[kind].has(name)) {
      // It was cut off, by the one before this.
      if (this.closes) return Resp.error(replies.outOfMemory)
      this[kind].add(name)
      channels.add(kind, name, this)
      this.hold(name.length + overhead)
    }
    return Resp.push([Resp.bulk(verbs[kind][0]), replies.key(name), Resp.integer(this.subscriptions)])
  }

  unsubscribe(kind: Kind, name: string): Resp.Reply {
    if (this[kind].delete(name)) {
      this.shared.channels.delete(kind, name, this)
      this.hold(-name.length - overhead)
    }
    return Resp.push([Resp.bulk(verbs[kind][1]), replies.key(name), Resp.integer(this.subscriptions)])
  }

  /** From all of a kind; where there are none, that is said, too. */
  unsubscribeEach(kind: Kind): Resp.Reply {
    if (this[kind].size === 0) {
      return Resp.push([Resp.bulk(verbs[kind][1]), Resp.nil, Resp.integer(this.subscriptions)])
    }
    return Resp.several([...this[kind]].map((name) => this.unsubscribe(kind, name)))
  }

  private unsubscribeAll(): void {
    for (const kind of ["channels", "patterns"] as const) {
      for (const name of this[kind]) this.unsubscribe(kind, name)
    }
  }

  select(index: number): void {
    this.index = index
    this.database = this.shared.store.databases[index]!
  }

  /** As if it had just connected. */
  reset(): void {
    if (this.queue !== undefined) this.discard()
    this.unsubscribeAll()
    this.select(0)
    this.protocol = 2
    this.name = ""
  }

  /** Another has its connection closed, or it does so itself: then after the reply. */
  kill(by: Client): void {
    if (by === this) this.closes = true
    else this.outgoing.cut()
  }

  /** Its peer is gone. */
  end(): void {
    const { clients, stats } = this.shared
    this.reset()
    this.outgoing.end()
    clients.delete(this.id)
    stats.input += this.connection.bytesRead
    stats.output += this.connection.bytesWritten
  }

  private hold(bytes: number): void {
    this.held += bytes
    this.shared.store.held += bytes
    if (bytes > 0 && this.shared.store.held > this.shared.store.maxHeld) settle(this.shared)
  }

  /** It holds too much: what it has queued and subscribed to is let go of, and its connection closes. */
  cutOff(): void {
    this.closes = true
    if (this.queue !== undefined) this.discard()
    this.outgoing.cut()
  }
}

/** Cuts off whoever holds most beside keys, until all of that fits, as Redis does (`maxmemory-clients`). */
const settle = ({ clients, store }: Shared): void => {
  while (store.held > store.maxHeld) {
    let worst: Client | undefined
    for (const one of clients.values()) if (worst === undefined || one.held > worst.held) worst = one
    if (worst === undefined || worst.held === 0) return
    worst.cutOff()
  }
}

const fits = (arity: number, words: number): boolean => (arity < 0 ? words >= -arity : words === arity)

const verbs = {
  channels: ["subscribe", "unsubscribe"],
  patterns: ["psubscribe", "punsubscribe"]
} as const

const cannot = (name: string): string =>
  `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`

const unknown = (command: Resp.Command): string => {
  const text = (index: number, most: number) => new TextDecoder().decode(command.bytes(index).subarray(0, most))
  let args = ""
  let size = 0
  for (let i = 1; i < command.length && size < 128; i++) {
    args += `'${text(i, 128 - size)}' `
    size += Math.min(command.size(i), 128 - size) + 3
  }
  return `ERR unknown command '${text(0, 128)}', with args beginning with: ${args}`
}
