/**
 * What threads, processes and copies cost and bring: `pnpm bench:workers`.
 *
 * Everything is measured in one run, and only ratios within it mean something.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { calibrated } from "./compute.ts"

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    cores: { type: "boolean", default: false },
    check: { type: "boolean", default: false }
  }
})
const seconds = Number(flags.seconds)
const rounds = Number(flags.rounds)

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const work = [process.execPath, file("./servers/work.ts")]
const python = ["python3", file("./servers/forking.py")]

interface Running {
  readonly port: number
  readonly stop: () => Promise<void>
}

const start = async (command: ReadonlyArray<string>, env: Record<string, string> = {}): Promise<Running> => {
  const [program, ...args] = command
  const child: ChildProcess = spawn(program!, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env }
  })
  const port = await new Promise<number>((resolve, reject) => {
    let out = ""
    child.once("exit", () => reject(new Error(`${program} ended: ${out}`)))
    child.stdout!.on("data", (chunk) => {
      out += String(chunk)
      const port = /listening on tcp:\/\/127\.0\.0\.1:(\d+)\n/.exec(out)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
  })
  const stop = async () => {
    child.kill("SIGTERM")
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  }
  return { port, stop }
}

const connect = async (port: number): Promise<net.Socket> => {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
  await once(socket, "connect")
  socket.on("error", (error) => {
    throw error
  })
  return socket
}

/** Sends a line and waits for it to come back. */
const ask = (socket: net.Socket, line: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let got = ""
    const onData = (chunk: Buffer) => {
      got += chunk
      if (!got.endsWith("\n")) return
      socket.off("data", onData)
      if (got === line) resolve()
      else reject(new Error(`${JSON.stringify(got)} is not ${JSON.stringify(line)}`))
    }
    socket.on("data", onData)
    socket.write(line)
  })

/**
 * Requests a second on connections that each have one outstanding, of a server
 * that has already answered thousands without work: at a millisecond each it
 * would take half a minute until its code is compiled as it is for good.
 */
const throughput = async (port: number, connections: number): Promise<number> => {
  let count = 0
  let prefix = "warm"
  let counting = false
  let over = false
  const load = async (n: number) => {
    const socket = await connect(port)
    for (let i = 0; !over; i++) {
      await ask(socket, `${prefix}-${n}-${i}\n`)
      if (counting) count++
    }
    socket.destroy()
  }
  const all = Promise.all(Array.from({ length: connections }, (_, n) => load(n)))
  await sleep(3_000)
  prefix = "work"
  await sleep(500)
  counting = true
  await sleep(seconds * 1_000)
  counting = false
  over = true
  await all
  return count / seconds
}

/** One line on a connection of its own, as the ancestor has it. */
const once_ = async (port: number, line: string): Promise<void> => {
  const socket = await connect(port)
  await ask(socket, line)
  socket.end()
  await once(socket, "close")
}

/** Milliseconds of single requests, with time between them. */
const latency = async (port: number): Promise<ReadonlyArray<number>> => {
  const all: Array<number> = []
  for (let i = 0; i < 30; i++) {
    await sleep(250)
    const before = performance.now()
    const socket = await connect(port)
    await ask(socket, `${i}\n`)
    all.push(performance.now() - before)
    socket.destroy()
  }
  return all.toSorted((a, b) => a - b)
}

/** Connections a second, eight at a time. */
const sustained = (one: () => Promise<void>): Promise<number> => {
  let count = 0
  const end = performance.now() + seconds * 1_000
  const loop = async () => {
    for (; performance.now() < end; count++) await one()
  }
  return Promise.all(Array.from({ length: 8 }, loop)).then(() => count / seconds)
}

const startNode = async (): Promise<void> => {
  const child = spawn(process.execPath, ["-e", "0"], { stdio: "ignore" })
  await once(child, "exit")
}

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))
const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
const row = (...cells: ReadonlyArray<string>) => console.log(`| ${cells.join(" | ")} |`)

const cores = async () => {
  const iterations = String(calibrated())
  const ways: ReadonlyArray<readonly [string, Record<string, string>]> = [
    ["sequential", { POLICY: "sequential" }],
    ["thread:2", { POLICY: "thread:2" }],
    ["pool:2", { POLICY: "pool:2" }],
    ["PREFORK=2", { POLICY: "sequential", PREFORK: "2" }]
  ]
  const rates = new Map<string, Array<number>>(ways.map(([name]) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, env] of ways) {
      const server = await start(work, { ...env, ITERATIONS: iterations })
      rates.get(name)!.push(await throughput(server.port, 16))
      await server.stop()
    }
  }
  console.log(
    "A millisecond of CPU for each request, 16 connections: requests a second, and × sequential of the same round\n"
  )
  row("policy", "requests/s", "×")
  row("---", "--:", "--:")
  let least = Infinity
  for (const [name, measured] of rates) {
    const ratios = measured.map((rate, round) => rate / rates.get("sequential")![round]!)
    if (name !== "sequential") least = Math.min(least, median(ratios))
    row(
      name,
      median(measured).toFixed(0),
      `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`
    )
  }
  return least
}

const forking = async () => {
  const servers: ReadonlyArray<readonly [string, ReadonlyArray<string>, Record<string, string>]> = [
    ["Python, ForkingMixIn", python, {}],
    ["process", work, { POLICY: "process,spares=4" }],
    ["process, bundled", work, { POLICY: "process,spares=4,bundle=true" }],
    ["pool:4, bundled, recycle=10", work, { POLICY: "pool:4,recycle=10,bundle=true" }]
  ]
  console.log(
    "\nA process for each request: milliseconds of a single one with spares ready, and requests a second, eight at a time\n"
  )
  row("server", "median", "p90", "requests/s", "× starts of bare node")
  row("---", "--:", "--:", "--:", "--:")
  const bare = await sustained(startNode)
  row("bare node, started and ended", "–", "–", bare.toFixed(0), "1.00")
  for (const [name, command, env] of servers) {
    const server = await start(command, env)
    await sleep(1_000)
    const times = await latency(server.port)
    let n = 0
    const rate = await sustained(() => once_(server.port, `${n++}\n`))
    await server.stop()
    row(
      name,
      median(times).toFixed(2),
      times[Math.floor(times.length * 0.9)]!.toFixed(2),
      rate.toFixed(0),
      (rate / bare).toFixed(2)
    )
  }
}

const least = await cores()
if (!flags.cores) await forking()
if (flags.check && least < 1.7) {
  console.log(`\nThe least of the ratios is ${least.toFixed(2)}, and should be 1.7 at least`)
  process.exitCode = 1
}
