/** The ways in which a program is measured. */
import { once } from "node:events"
import * as Net from "node:net"
import type { Bench, Case, Effort, Loader, Program, Sample, Subject } from "./bench.ts"
import { cpuOf, family, machineBusy, ownCpu } from "./cpu.ts"
import type { Broken, Report, Task } from "./loads/load.ts"
import { run, start, type Started } from "./processes.ts"

type Open = Bench["open"]

const listening = /listening on (?:\w+:\/\/127\.0\.0\.1:|unix:|unixgram:)?(\S+)/
const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

const task = (load: Partial<Task>): Omit<Task, "target" | "pids" | "warmUp" | "cold" | "seconds"> => ({
  kind: "tape",
  transport: "tcp",
  message: "line",
  size: 32,
  connections: 50,
  depth: 1,
  ...load
})

const ask = async (load: Loader, message: Task): Promise<Report> => {
  const report = await load<Report | Broken>(message, message.warmUp + message.seconds + 60)
  if ("broken" in report) throw new Error(report.broken)
  return report
}

/** A window under load: CPU for each request, or requests per second. */
export const load =
  (by: "cpu" | "rate" = "cpu"): Open =>
  async (program, root, loader) => {
    const server = start(program.command(root))
    const target = await started(server)
    let warm = 0
    const window = (which: Case, effort: Effort): Task => ({
      ...task({ ...(which["load"] as Partial<Task>), depth: which.depth }),
      target,
      warmUp: effort.warmUp + ((which["warmUp"] as number) ?? 0),
      // Another depth takes other ways, which are compiled as well; of several programs each has to be.
      cold: (warm++ === 0 ? effort.cold : effort.cold / 3) * ((which["programs"] as number) ?? 1),
      // What takes long for each request has few of them in a turn.
      seconds: effort.seconds * ((which["times"] as number) ?? 1),
      pids: family(server.pid)
    })
    return {
      stop: server.stop,
      ...(by === "cpu" && { task: window }),
      sample: async (which, effort) => {
        const report = await ask(loader, window(which, effort))
        const { cpu, loadCpu, othersCpu, requests, seconds } = report
        const bound = by === "rate" && loadCpu / seconds > 0.9 && cpu / seconds < 0.9
        return {
          value: by === "cpu" ? cpu / requests : requests / seconds,
          others: othersCpu / seconds,
          seconds,
          note: bound ? "bound by the load" : undefined
        }
      }
    }
  }

const started = async (server: Started): Promise<string> => {
  try {
    return await server.prints(listening)
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** Connections that are open and say nothing: memory of each, and what a request costs beside them. */
export const idle: Open = async (program, root, loader) => {
  const server = start(program.command(root))
  const target = await started(server)
  let cost: Sample | undefined
  return {
    stop: server.stop,
    sample: async (which, { cold, idle, seconds, warmUp }) => {
      if (which["cost"] === true) return cost!
      const base = { ...task({ ...(which["load"] as Partial<Task>), depth: 1 }), target, pids: [server.pid], cold: 0 }
      const memory = () => server.ask<{ readonly heap: number; readonly rss: number }>("memory", 60_000)
      await ask(loader, { ...base, warmUp, cold, seconds })
      const before = await memory()
      const clock = machineBusy() - ownCpu()
      const at = performance.now()
      await ask(loader, { ...base, warmUp: 0, seconds: 60, connections: idle, hold: true })
      try {
        const after = await memory()
        const taken = (performance.now() - at) / 1000
        const others = (machineBusy() - ownCpu() - clock) / taken
        const { cpu, othersCpu, requests, seconds: measured } = await ask(loader, { ...base, warmUp, seconds })
        cost = { value: cpu / requests, others: othersCpu / measured, seconds: measured }
        const note = `${idle} connections; ${Math.round((after.rss - before.rss) / idle)} B of RSS each`
        return { value: (after.heap - before.heap) / idle, others, seconds: taken, note }
      } finally {
        await loader("release", 30)
      }
    }
  }
}

/** Measures something that starts and ends processes, with what others did meanwhile. */
const beside = async (measure: () => Promise<number>): Promise<Sample> => {
  const clock = machineBusy() - ownCpu()
  const at = performance.now()
  const value = await measure()
  const seconds = (performance.now() - at) / 1000
  return { value, others: (machineBusy() - ownCpu() - clock) / seconds, seconds }
}

/** CPU of a process until it listens. */
export const startUp: Open = async (program, root) => ({
  stop: async () => {},
  sample: (_, { seconds }) =>
    beside(async () => {
      const times: Array<number> = []
      const end = performance.now() + seconds * 2_000
      do {
        const server = start(program.command(root))
        await started(server)
        times.push(cpuOf(server.pid))
        await server.stop()
      } while (performance.now() < end)
      return Math.min(...times)
    })
})

/** Asks one line on a connection of its own, and waits until that is closed. */
const once_ = async (port: string, line: string): Promise<number> => {
  const at = performance.now()
  const socket = Net.connect({ port: Number(port), host: "127.0.0.1", noDelay: true })
  let got = ""
  let took = 0
  socket.setEncoding("utf8").on("data", (text: string) => {
    got += text
    if (!got.endsWith("\n")) return
    took = performance.now() - at
    socket.end()
  })
  socket.write(line)
  await once(socket, "close", { signal: AbortSignal.timeout(20_000) })
  if (got !== line) throw new Error(`${JSON.stringify(got)} is not ${JSON.stringify(line)}`)
  return took / 1000
}

/** Seconds of single requests, with time between them in which a spare gets ready. */
export const latency: Open = async (program, root) => {
  const server = start(program.command(root))
  const port = await started(server)
  await sleep(1)
  return {
    stop: server.stop,
    sample: (_, { seconds }) =>
      beside(async () => {
        const times: Array<number> = []
        for (let i = 0; i < Math.max(5, seconds * 10); i++) {
          await sleep(0.15)
          times.push(await once_(port, `${i}\n`))
        }
        return times.toSorted((a, b) => a - b)[times.length >> 1]!
      })
  }
}

/** Seconds for each request under a steady load, eight at a time. */
const sustained = (one: (n: number) => Promise<unknown>, seconds: number): Promise<Sample> =>
  beside(async () => {
    let count = 0
    const from = performance.now()
    const end = from + seconds * 2_000
    const loop = async () => {
      while (performance.now() < end) await one(count++)
    }
    await Promise.all(Array.from({ length: 8 }, loop))
    return (performance.now() - from) / 1000 / count
  })

export const steady: Open = async (program, root): Promise<Subject> => {
  const { args, program: command } = program.command(root)
  if (program.name === bareStarts) {
    return {
      stop: async () => {},
      sample: (_, { seconds }) => sustained(() => run({ program: command, args }), seconds)
    }
  }
  const server = start(program.command(root))
  const port = await started(server)
  await sleep(1)
  return { stop: server.stop, sample: (_, { seconds }) => sustained((n) => once_(port, `${n}\n`), seconds) }
}

export const bareStarts = "bare Node, started and ended"

/** CPU of work inside a process that is asked for it. */
export const asked: Open = async (program: Program, root) => {
  const server = start(program.command(root))
  await server.prints(/ready/)
  return {
    stop: server.stop,
    sample: async (which: Case, { seconds }) => {
      let value = 0
      const sample = await beside(async () => {
        const answer = await server.ask<{ readonly cpu?: number; readonly wrong?: string }>(
          { ...(which["ask"] as object), seconds: seconds / 2 },
          60_000
        )
        if (answer.cpu === undefined) throw new Error(answer.wrong)
        return (value = answer.cpu)
      })
      return { ...sample, value }
    }
  }
}
