/** `INFO`: what the server says of itself, as far as it is true of this one. */
import { Resp } from "@socketserver/protocols"
import { type Client, type Shared, spec } from "./client.ts"

/** What its replies are those of. */
export const version = "7.0.15"

type Lines = Readonly<Record<string, string | number>>

const human = (bytes: number): string => {
  const [unit, size] = bytes >= 2 ** 30 ? ["G", 2 ** 30] : bytes >= 2 ** 20 ? ["M", 2 ** 20] : ["K", 2 ** 10]
  return bytes < 2 ** 10 ? `${bytes}B` : `${(bytes / Number(size)).toFixed(2)}${unit}`
}

const portOf = ({ connection: { listener } }: Client): number => ("port" in listener ? listener.port : 0)

const server = (client: Client): Lines => {
  const { shared } = client
  const seconds = Math.floor((shared.store.now() - shared.startedAt) / 1_000)
  return {
    redis_version: version,
    redis_mode: "standalone",
    os: `${process.platform} ${process.arch}`,
    arch_bits: 64,
    process_id: process.pid,
    run_id: shared.runId,
    tcp_port: portOf(client),
    server_time_usec: shared.store.date() * 1_000,
    uptime_in_seconds: seconds,
    uptime_in_days: Math.floor(seconds / 86_400)
  }
}

const memory = ({ shared: { store } }: Client): Lines => {
  const used = store.bytes + store.held
  const { rss } = process.memoryUsage()
  return {
    used_memory: used,
    used_memory_human: human(used),
    used_memory_rss: rss,
    used_memory_rss_human: human(rss),
    maxmemory: store.maxBytes,
    maxmemory_human: human(store.maxBytes),
    maxmemory_policy: "noeviction"
  }
}

const stats = ({ shared }: Client): Lines => {
  const { channels, clients, rejected, stats } = shared
  const counts = channels.counts
  let { input, output } = stats
  for (const { connection } of clients.values()) {
    input += connection.bytesRead
    output += connection.bytesWritten
  }
  return {
    total_connections_received: stats.connections,
    total_commands_processed: stats.commands,
    instantaneous_ops_per_sec: stats.perSecond,
    total_net_input_bytes: input,
    total_net_output_bytes: output,
    rejected_connections: rejected(),
    expired_keys: shared.store.expired,
    evicted_keys: 0,
    keyspace_hits: shared.store.hits,
    keyspace_misses: shared.store.misses,
    pubsub_channels: counts.channels,
    pubsub_patterns: counts.patterns
  }
}

const cpu = (): Lines => {
  const { system, user } = process.cpuUsage()
  return { used_cpu_sys: (system / 1e6).toFixed(6), used_cpu_user: (user / 1e6).toFixed(6) }
}

const keyspace = ({ shared: { store } }: Client): Lines =>
  Object.fromEntries(
    store.databases.flatMap(({ expires, size }, i) =>
      size === 0 ? [] : [[`db${i}`, `keys=${size},expires=${expires},avg_ttl=0`]]
    )
  )

const subscribed = ({ clients }: Shared): number => {
  let count = 0
  for (const { subscriptions } of clients.values()) if (subscriptions > 0) count++
  return count
}

/** In the order of Redis. */
const sections: ReadonlyArray<readonly [name: string, lines: (client: Client) => Lines]> = [
  ["Server", server],
  [
    "Clients",
    ({ shared }) => ({
      connected_clients: shared.clients.size,
      cluster_connections: 0,
      blocked_clients: 0,
      tracking_clients: 0,
      pubsub_clients: subscribed(shared)
    })
  ],
  ["Memory", memory],
  ["Persistence", () => ({ loading: 0, rdb_bgsave_in_progress: 0, aof_enabled: 0, aof_rewrite_in_progress: 0 })],
  ["Stats", stats],
  ["Replication", () => ({ role: "master", connected_slaves: 0 })],
  ["CPU", cpu],
  ["Cluster", () => ({ cluster_enabled: 0 })],
  ["Keyspace", keyspace]
]

const everything = ["all", "default", "everything"]

export const info = spec("info", -1, [], (client, command) => {
  const asked = Array.from({ length: command.length - 1 }, (_, i) => command.key(i + 1).toLowerCase())
  const all = asked.length === 0 || asked.some((name) => everything.includes(name))
  const text = sections
    .filter(([name]) => all || asked.includes(name.toLowerCase()))
    .map(([name, lines]) => {
      const each = Object.entries(lines(client)).map(([name, value]) => `${name}:${value}\r\n`)
      return `# ${name}\r\n${each.join("")}`
    })
  return Resp.verbatim("txt", text.join("\r\n"))
})
