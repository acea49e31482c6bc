/** Every benchmark, in the order of a run. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import type { Bench, Case, Program } from "./bench.ts"
import { calibrated } from "./compute.ts"
import { asked, bareStarts, idle, latency, load, startUp, steady } from "./kinds.ts"
import type { Task } from "./loads/load.ts"
import {
  buildGo,
  bundled,
  built,
  effectModules,
  prepareBuilt,
  prepareBundled,
  prepareModules,
  scratch
} from "./prepared.ts"
import { type Command, serverCore } from "./processes.ts"

const source = (root: string, file: string) => join(root, "packages/bench/src", file)

const node =
  (file: string, args: ReadonlyArray<string> = [], more: Partial<Command> = {}) =>
  (root: string): Command => ({
    program: process.execPath,
    args: ["--import", source(root, "boot.ts"), source(root, file), ...args],
    core: serverCore,
    ipc: true,
    ...more
  })

const has = (program: string, ...args: ReadonlyArray<string>) =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0

export const python = has("python3", "--version") ? undefined : "Python is not installed"
export const go = has("go", "version") ? undefined : "Go is not installed"

const redis = has("redis-server", "--version") ? undefined : "Redis is not installed"

const linux = process.platform === "linux" ? undefined : "only on Linux"

type Env = Readonly<Record<string, string>>

/** As many connections as a row opens: 10,000 that are idle are more than a server takes by default. */
const env = (listen: string, more: Env = {}) => ({
  env: { LISTEN: listen, POLICY: "", MAX_CONNECTIONS: "20000", ...more }
})
const tcp = "tcp://127.0.0.1:0"

const ours = (protocol: string, handler = "at once", listen = tcp, policy = "fiber"): Program => ({
  name: `socketserver, ${policy}${handler === "at once" ? "" : `, ${handler}`}`,
  ours: true,
  command: (root) => node("servers/ours.ts", [protocol, handler], env(own(listen), { POLICY: policy }))(root)
})
/** Ours, with what it counts read now and then. */
const metered = (name: string, more: Env): Program => ({
  name: `socketserver, fiber, ${name}`,
  ours: true,
  command: node("servers/ours.ts", ["lines", "at once"], env(tcp, { POLICY: "fiber", ...more }))
})
let names = 0
/** A name of its own for each process that listens on one. */
const own = (listen: string) => listen.replace("NAME", `${process.pid}-${++names}`)
/** The whole connection, or one way of a server: its policy is not what is shown. */
const plain = (protocol: string, listen = tcp): Program => ({
  ...ours(protocol, "at once", listen),
  name: "socketserver"
})
const hand = (protocol: string, listen = tcp, name = "node:net"): Program => ({
  name,
  ours: false,
  command: (root) => node("servers/hand.ts", [protocol], env(own(listen)))(root)
})
const other = (name: string, file: string, more: Partial<Program> = {}): Program => ({
  name,
  ours: false,
  command: node(file, [], env(tcp)),
  ...more
})
const snake = (kind: string, name: string): Program => ({
  name,
  ours: false,
  missing: python,
  command: (root) => ({ program: "python3", args: [source(root, "servers/lines.py"), kind], core: serverCore })
})

/** Effect's RPC on ours: a connection is a request, or a call is. */
const rpc = (way: "connections" | "calls", policy: string): Program => ({
  name: `socketserver, ${way}`,
  ours: true,
  command: node("servers/rpc.ts", [way], env(tcp, { POLICY: policy }))
})

const perRequest = "CPU per request"
const kib = 1024

const cases = (
  row: string,
  depths: ReadonlyArray<number>,
  load: Partial<Task> = {},
  unit = perRequest
): ReadonlyArray<Case> => depths.map((depth) => ({ row, depth, unit, load }))

/** Of large messages few are answered in a turn. */
const large = (row: string, message: Task["message"]): ReadonlyArray<Case> =>
  cases(row, [1], { message, size: 1024 * kib, connections: 8 }).map((which) => ({ ...which, times: 4 }))

/** The first is the baseline of the others. */
const against = (...programs: ReadonlyArray<Program>): Pick<Bench, "programs" | "compare"> => ({
  programs,
  compare: programs.slice(1).map(({ name }) => [name, programs[0]!.name])
})

const sixteen = { connections: 16 }

const work = (policy: string, more: Env = {}): Program => ({
  name: policy,
  ours: true,
  command: node("servers/work.ts", [], { ...env(tcp, { POLICY: policy, ...more }), signal: "SIGTERM" })
})
const unpinned = (program: Program): Program => ({
  ...program,
  command: (root) => ({ ...program.command(root), core: undefined })
})

const idleBench = (transport: "tcp" | "unix" | "tls"): Bench => {
  const listen = { tcp, tls: "tls://127.0.0.1:0", unix: `unix://${scratch}/NAME.sock` }[transport]
  const collecting = (program: Program): Program => ({
    ...program,
    command: (root) => {
      const command = program.command(root)
      return { ...command, args: ["--expose-gc", ...command.args] }
    }
  })
  return {
    name: `idle ${transport}`,
    ...against(
      collecting(hand("lines", listen, transport === "tls" ? "node:tls" : "node:net")),
      collecting(plain("lines", listen))
    ),
    cases: [
      { row: `idle ${transport}`, depth: 1, unit: "bytes of heap per connection", load: { transport } },
      { row: `idle ${transport}, a request beside`, depth: 1, unit: perRequest, cost: true }
    ],
    open: idle,
    alone: true,
    rounds: { quick: 1 }
  }
}

const pieces = [1, 64, 16 * kib, 1_000_000]
const pieceName = (bytes: number) =>
  bytes === 1_000_000 ? "one piece" : bytes < kib ? `${bytes} B` : `${bytes / kib} KiB`

let iterations: string | undefined
const busy = () => (iterations ??= String(calibrated()))
/** A policy whose requests take a millisecond, on all cores. */
const cores = (name: string, env_: Env): Program => ({
  name,
  ours: true,
  command: (root) => ({
    ...node("servers/work.ts", [], { signal: "SIGTERM" })(root),
    core: undefined,
    env: { LISTEN: tcp, ITERATIONS: busy(), ...env_ }
  })
})

const start = (
  name: string,
  isOurs: boolean,
  args: (root: string) => ReadonlyArray<string>,
  prepare?: Program["prepare"]
): Program => ({
  name,
  ours: isOurs,
  command: (root) => ({ program: process.execPath, args: args(root), core: serverCore }),
  ...(prepare === undefined ? {} : { prepare })
})

export const benches: ReadonlyArray<Bench> = [
  {
    name: "lines",
    ...against(
      hand("lines"),
      ours("lines"),
      ours("lines", "yields"),
      ours("lines", "generator"),
      ours("lines", "generator made once"),
      ours("lines", "at once", tcp, "sequential"),
      ours("lines", "at once", tcp, "connection"),
      ours("lines", "at once", tcp, "keyed"),
      other("node:net, a turn later", "servers/node-net-yield.ts"),
      other("Effect's NodeSocketServer, by hand", "servers/effect-socket.ts"),
      other("Effect's NodeSocketServer, by hand, yields", "servers/effect-socket-yield.ts"),
      {
        name: "Go, by hand",
        ours: false,
        missing: go,
        command: () => ({ program: join(scratch, "lines-go"), args: [], core: serverCore, env: { GOMAXPROCS: "1" } }),
        prepare: buildGo
      }
    ),
    cases: cases("lines", [1, 16, 128]),
    open: load()
  },
  {
    name: "python",
    programs: [
      ours("lines"),
      snake("threading", "Python socketserver, threading"),
      snake("forking", "Python socketserver, forking"),
      snake("asyncio", "Python asyncio")
    ],
    compare: ["Python socketserver, threading", "Python socketserver, forking", "Python asyncio"].map((name) => [
      "socketserver, fiber",
      name
    ]),
    cases: cases("python", [1, 16], {}, "requests per second"),
    open: load("rate"),
    more: true,
    repeats: true
  },
  {
    name: "metrics",
    ...against(
      ours("lines"),
      metered("metrics read each second", { METRICS: "read" }),
      metered("metrics and durations", { METRICS: "durations" })
    ),
    cases: cases("metrics", [1, 16]),
    open: load(),
    repeats: true
  },
  {
    name: "frames",
    ...against(hand("frames"), ours("frames"), ours("frames", "yields")),
    cases: [
      ...cases("frames 32 B", [1, 16, 128], { message: "frame" }),
      ...cases("frames 4 KiB", [1], { message: "frame", size: 4 * kib }),
      ...large("frames 1 MiB", "frame")
    ],
    open: load()
  },
  {
    name: "connection",
    ...against(hand("connection"), plain("connection")),
    cases: large("connection 1 MiB", "bytes"),
    open: load()
  },
  {
    name: "json",
    ...against(hand("json"), ours("json")),
    cases: cases("json and schema", [1, 16], { message: "json", size: 100 }),
    open: load()
  },
  {
    name: "redis",
    ...against(
      other("redis-server", "servers/redis-server.ts", { missing: redis, command: node("servers/redis-server.ts") }),
      {
        name: "examples/redis",
        ours: true,
        missing: redis,
        command: node("../../../examples/redis/main.ts", [], env(tcp))
      }
    ),
    cases: cases("redis set and get", [1, 16], { kind: "redis" }),
    open: load()
  },
  {
    name: "rpc",
    ...against(
      other("Effect's RPC, on its own socket server", "servers/effect-rpc.ts"),
      rpc("connections", "connection"),
      rpc("calls", "fiber")
    ),
    cases: cases("rpc", [1, 16], { kind: "rpc", connections: 30 }, "CPU per call"),
    open: load()
  },
  {
    name: "drip",
    programs: [
      { name: "by hand", ours: false, command: node("drip.ts", ["hand"]) },
      { name: "socketserver", ours: true, command: node("drip.ts", ["ours"]) }
    ],
    compare: [["socketserver", "by hand"]],
    cases: (["lines", "lengthPrefixed", "resp"] as const).flatMap((decoder) =>
      pieces.map((piece) => ({
        row: `drip ${decoder}, ${pieceName(piece)}`,
        depth: 1,
        unit: "CPU per message of 1 MB",
        ask: { decoder, piece }
      }))
    ),
    open: asked
  },
  {
    name: "http",
    ...against(
      other("Effect's NodeHttpServer", "servers/http.ts", { command: node("servers/http.ts", ["effect"], env(tcp)) }),
      { name: "HttpBridge", ours: true, command: node("servers/http.ts", ["bridge"], env(tcp, { POLICY: "" })) },
      other("node:http, by hand", "servers/http.ts", { command: node("servers/http.ts", ["node"], env(tcp)) })
    ),
    cases: cases("http", [1], { kind: "http", connections: 30 }),
    open: load()
  },
  {
    name: "short",
    ...against(hand("lines"), ours("lines")),
    cases: cases("short connections", [1], { kind: "short", connections: 16 }),
    open: load()
  },
  {
    name: "many",
    ...against(hand("lines"), ours("lines"), ours("lines", "yields")),
    cases: cases("4,000 connections", [1], { connections: 4_000 }),
    open: load()
  },
  {
    name: "broadcast",
    ...against(hand("broadcast"), plain("broadcast")),
    cases: cases("broadcast to 1,000", [1], { kind: "broadcast", connections: 1_000 }, "CPU per delivery"),
    open: load()
  },
  {
    name: "tls",
    ...against(
      hand("lines", "tls://127.0.0.1:0", "node:tls"),
      ours("lines", "at once", "tls://127.0.0.1:0"),
      ours("lines", "yields", "tls://127.0.0.1:0")
    ),
    cases: cases("tls", [1, 16], { transport: "tls" }),
    open: load()
  },
  {
    name: "udp",
    ...against(
      other("node:dgram", "servers/node-dgram.ts"),
      ours("lines", "at once", "udp://127.0.0.1:0"),
      ours("lines", "yields", "udp://127.0.0.1:0")
    ),
    cases: cases("udp", [1, 8], { kind: "udp", ...sixteen }),
    open: load()
  },
  {
    name: "dns",
    ...against(other("node:dgram, DNS by hand", "servers/hand-dns.ts"), {
      name: "socketserver, Dns",
      ours: true,
      command: node("servers/dns.ts", [], env("udp://127.0.0.1:0", { POLICY: "fiber" }))
    }),
    cases: cases("dns over udp", [1, 8], { kind: "dns", ...sixteen }),
    open: load()
  },
  {
    name: "unixgram",
    ...against(
      other("koffi, by hand", "servers/koffi-unixgram.ts", { missing: linux }),
      { ...ours("lines", "at once", "unixgram:@bench-NAME"), missing: linux },
      { ...ours("lines", "yields", "unixgram:@bench-NAME"), missing: linux }
    ),
    cases: cases("unixgram", [1, 8], { kind: "unixgram", ...sixteen }),
    open: load()
  },
  {
    name: "worker",
    ...against(other("node:net and a child, by hand", "servers/hand-worker.ts"), work("thread:1"), work("pool:1")),
    cases: cases("worker", [1, 16], { connections: 16 }, "CPU per request, worker included").map((which) => ({
      ...which,
      programs: 3
    })),
    open: load()
  },
  idleBench("tcp"),
  idleBench("unix"),
  idleBench("tls"),
  {
    name: "process latency",
    ...against(
      { ...unpinned(snake("once", "Python socketserver, forking")) },
      unpinned(work("process,spares=4,bundle=true")),
      unpinned(work("process,spares=4"))
    ),
    cases: [{ row: "process latency", depth: 1, unit: "seconds" }],
    open: latency
  },
  {
    name: "process sustained",
    programs: [
      { name: bareStarts, ours: false, command: () => ({ program: process.execPath, args: ["-e", "0"] }) },
      unpinned(snake("once", "Python socketserver, forking")),
      unpinned(work("process,spares=4,bundle=true")),
      unpinned(work("pool:4,recycle=10,bundle=true"))
    ],
    compare: [
      ["process,spares=4,bundle=true", bareStarts],
      ["process,spares=4,bundle=true", "Python socketserver, forking"],
      ["pool:4,recycle=10,bundle=true", bareStarts],
      ["pool:4,recycle=10,bundle=true", "Python socketserver, forking"]
    ],
    cases: [{ row: "process sustained", depth: 8, unit: "seconds per request" }],
    open: steady,
    alone: true
  },
  {
    name: "start",
    programs: [
      start("bare Node", false, () => ["-e", "console.log('listening on 0'); setInterval(() => {}, 1000)"]),
      start("the same Effect modules, imported", false, effectModules, prepareModules),
      start("Effect's NodeSocketServer", false, (root) => [source(root, "servers/effect-socket.ts")]),
      start("from source", true, (root) => [source(root, "servers/smallest.ts")]),
      start("from built packages", true, built, prepareBuilt),
      start("bundled", true, bundled, prepareBundled)
    ],
    compare: [
      ["from source", "bare Node"],
      ["from source", "the same Effect modules, imported"],
      ["from built packages", "bare Node"],
      ["from built packages", "the same Effect modules, imported"],
      ["from built packages", "Effect's NodeSocketServer"],
      ["bundled", "bare Node"]
    ],
    cases: [{ row: "start", depth: 1, unit: "seconds of CPU" }],
    open: startUp,
    alone: true
  },
  {
    name: "cores",
    ...against(
      cores("sequential", { POLICY: "sequential" }),
      cores("thread:2", { POLICY: "thread:2" }),
      cores("pool:2", { POLICY: "pool:2" }),
      cores("PREFORK=2", { POLICY: "sequential", PREFORK: "2" })
    ),
    cases: [{ row: "a millisecond of work", depth: 1, unit: "requests per second", warmUp: 1, load: sixteen }],
    open: load("rate"),
    more: true,
    repeats: true
  }
]
