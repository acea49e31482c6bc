/**
 * The load, a process of its own that serves all servers of a run: so it is as warm for one as for another.
 * A task opens connections, lets them warm up, measures one window, and closes them. Several tasks are measured in
 * turns, so short that what the machine does meanwhile comes upon all of them.
 */
import { cpuOf, cpuOfAll, machineBusy } from "../cpu.ts"
import type { Broken, Load, Open, Report, Task, Turned, Turns } from "./load.ts"

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

/** A load that is open, and whether all that it got was right. */
interface Opened {
  readonly task: Task
  readonly load: Load
  readonly broken: () => string | undefined
}

const opened = async (task: Task): Promise<Opened> => {
  let broken: string | undefined
  const { open } = await kinds[task.kind]()
  const load = await open(task, (reason) => (broken ??= reason))
  return { task, load, broken: () => broken }
}

const warm = async ({ broken, task }: Opened) => {
  const start = cpuOfAll(task.pids)
  await sleep(task.warmUp)
  const patience = performance.now() + task.cold * 4_000
  while (cpuOfAll(task.pids) - start < task.cold && performance.now() < patience && broken() === undefined)
    await sleep(0.02)
}

/** Why a load is wrong, where it is: on a busy machine whoever has not been served may be late, but not for long. */
const wrong = async ({ broken, load }: Opened): Promise<string | undefined> => {
  let starved = load.starved()
  for (let waited = 0; starved !== undefined && broken() === undefined && waited < 100; waited++) {
    await sleep(0.1)
    starved = load.stillStarved()
  }
  return (
    broken() ??
    (starved === undefined ? undefined : `connection ${starved}: no reply in the window, nor in ten seconds after it`)
  )
}

const hold = async (task: Task): Promise<Report | Broken> => {
  const { broken, load } = await opened(task)
  held = load
  const reason = broken()
  return reason === undefined
    ? { requests: load.completed(), seconds: 0, cpu: 0, loadCpu: 0, othersCpu: 0 }
    : { broken: reason }
}

const measure = async (task: Task): Promise<Report | Broken> => {
  const one = await opened(task)
  const { broken, load } = one
  try {
    await warm(one)
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
    for (let waited = 0; load.completed() - before.requests < 10 && broken() === undefined && waited < 100; waited++) {
      await sleep(0.1)
    }
    const after = now()
    const reason = await wrong(one)
    if (reason !== undefined) return { broken: reason }
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

const stopped = new Set<number>()
const halt = ({ pids }: Task) => {
  for (const pid of pids) {
    stopped.add(pid)
    process.kill(pid, "SIGSTOP")
  }
}
const go = ({ pids }: Task) => {
  for (const pid of pids) {
    stopped.delete(pid)
    process.kill(pid, "SIGCONT")
  }
}
const goAll = () => {
  for (const pid of stopped) {
    try {
      process.kill(pid, "SIGCONT")
    } catch {
      // It has ended.
    }
  }
  stopped.clear()
}

/** For so long what a server wrote before it was stopped may take until it is counted. */
const settling = 0.003

const inTurns = async ({ tasks, turns }: Turns): Promise<ReadonlyArray<Turned | Broken>> => {
  const reasons = new Map<Task, string>()
  const costs = new Map<Task, Array<number>>(tasks.map((task) => [task, []]))
  const all: Array<Opened> = []
  const attempt = async (task: Task, what: () => Promise<void>) => {
    if (reasons.has(task)) return
    try {
      await what()
    } catch (error) {
      reasons.set(task, String(error))
    }
  }
  const turn = async (one: Opened) => {
    const { broken, load, task } = one
    const before = { requests: load.completed(), cpu: cpuOfAll(task.pids) }
    go(task)
    await sleep(task.seconds / turns)
    // Where the machine is busy, or a request is dear, a turn may hold next to none.
    const enough = () => load.completed() - before.requests >= 10 || broken() !== undefined
    for (let waited = 0; !enough() && waited < 1_000; waited++) await sleep(0.01)
    halt(task)
    await sleep(settling)
    const requests = load.completed() - before.requests
    if (broken() !== undefined || requests === 0) throw new Error(broken() ?? "no reply in ten seconds")
    costs.get(task)!.push((cpuOfAll(task.pids) - before.cpu) / requests)
  }
  try {
    for (const task of tasks) {
      await attempt(task, async () => {
        const one = await opened(task)
        all.push(one)
        await warm(one)
        one.load.starved()
        halt(task)
        await sleep(settling)
      })
    }
    const clock = { at: performance.now(), machine: machineBusy(), load: cpuOf(process.pid), cpu: sum(tasks) }
    for (let number = 0; number < turns; number++) {
      for (const one of number % 2 === 0 ? all : all.toReversed()) await attempt(one.task, () => turn(one))
    }
    const seconds = (performance.now() - clock.at) / 1000
    const ours = cpuOf(process.pid) - clock.load + sum(tasks) - clock.cpu
    const othersCpu = machineBusy() - clock.machine - ours
    for (const one of all) {
      await attempt(one.task, async () => {
        go(one.task)
        const reason = await wrong(one)
        if (reason !== undefined) throw new Error(reason)
      })
    }
    return tasks.map((task) => {
      const reason = reasons.get(task)
      return reason === undefined ? { costs: costs.get(task)!, seconds, othersCpu } : { broken: reason }
    })
  } finally {
    goAll()
    for (const { load } of all) load.close()
  }
}

const sum = (tasks: ReadonlyArray<Task>) => tasks.reduce((total, { pids }) => total + cpuOfAll(pids), 0)

process.on("message", (message: Task | Turns | "release") => {
  const answer = (report: unknown) => void process.send?.(report as object)
  if (message === "release") {
    held?.close()
    held = undefined
    return answer({})
  }
  const report = "tasks" in message ? inTurns(message) : message.hold === true ? hold(message) : measure(message)
  report.then(answer, (error: unknown) => answer({ broken: String(error) }))
})
process.on("disconnect", () => {
  goAll()
  process.exit()
})
