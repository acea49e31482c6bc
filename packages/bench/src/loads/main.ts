/**
 * The load, a process of its own that serves all servers of a run: so it is as warm for one as for another.
 * A task opens connections, lets them warm up, measures one window, and closes them.
 */
import { cpuOf, cpuOfAll, machineBusy } from "../cpu.ts"
import type { Load, Open, Report, Task } from "./load.ts"

const kinds: Readonly<Record<Task["kind"], () => Promise<{ readonly open: Open }>>> = {
  tape: () => import("./tape.ts"),
  udp: () => import("./udp.ts"),
  dns: () => import("./dns.ts"),
  unixgram: () => import("./unixgram.ts"),
  short: () => import("./short.ts"),
  broadcast: () => import("./broadcast.ts"),
  redis: () => import("./redis.ts"),
  http: () => import("./http.ts"),
  rpc: () => import("./rpc.ts")
}

let held: Load | undefined

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

const measure = async (task: Task): Promise<Report | string> => {
  let broken: string | undefined
  const giveUp = (reason: string) => (broken ??= reason)
  const { open } = await kinds[task.kind]()
  const load = await open(task, giveUp)
  if (task.hold === true) {
    held = load
    return broken ?? { requests: load.completed(), seconds: 0, cpu: 0, loadCpu: 0, othersCpu: 0 }
  }
  try {
    const start = cpuOfAll(task.pids)
    await sleep(task.warmUp)
    const patience = performance.now() + task.cold * 4_000
    while (cpuOfAll(task.pids) - start < task.cold && performance.now() < patience && broken === undefined)
      await sleep(0.02)
    load.starved()
    const now = () => ({
      requests: load.completed(),
      at: performance.now(),
      cpu: cpuOfAll(task.pids),
      load: cpuOf(process.pid),
      machine: machineBusy()
    })
    const before = now()
    await sleep(task.seconds)
    // Where the machine is busy, or a request is dear, a short window may hold next to none.
    for (let waited = 0; load.completed() - before.requests < 10 && broken === undefined && waited < 100; waited++) {
      await sleep(0.1)
    }
    const after = now()
    // On a busy machine whoever has not been served in a short window may be late, but not for long.
    let starved = load.starved()
    for (let waited = 0; starved !== undefined && broken === undefined && waited < 100; waited++) {
      await sleep(0.1)
      starved = load.stillStarved()
    }
    if (broken !== undefined) return broken
    if (starved !== undefined) return `connection ${starved}: no reply in the window, nor in ten seconds after it`
    const cpu = after.cpu - before.cpu
    const loadCpu = after.load - before.load
    return {
      requests: after.requests - before.requests,
      seconds: (after.at - before.at) / 1000,
      cpu,
      loadCpu,
      othersCpu: after.machine - before.machine - cpu - loadCpu
    }
  } finally {
    load.close()
  }
}

process.on("message", (message: Task | "release") => {
  const answer = (report: unknown) => void process.send?.(report as object)
  if (message === "release") {
    held?.close()
    held = undefined
    return answer({})
  }
  measure(message).then(
    (report) => answer(typeof report === "string" ? { broken: report } : report),
    (error: unknown) => answer({ broken: String(error) })
  )
})
process.on("disconnect", () => process.exit())
