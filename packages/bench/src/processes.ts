/**
 * The processes that are measured. Each is pinned to a core where the system can do that, and is ended by its id:
 * at the end of its work, when this program ends for whatever reason, and when it is interrupted.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"

/** Whether `taskset` is here and may use the first two cores. */
export const canPin: boolean = ["0", "1"].every(
  (core) => spawnSync("taskset", ["-c", core, "true"], { stdio: "ignore" }).status === 0
)

/** What a process that is measured runs on, and what its load runs on. */
export const serverCore = 0
export const loadCore = 1

const patience = 20_000

export interface Started {
  readonly pid: number
  /** The first match of a pattern in what it prints, of its first group where there is one. */
  readonly prints: (pattern: RegExp) => Promise<string>
  /** Says something to it and waits for what it answers, with an end to patience. */
  readonly ask: <A>(question: object | string, millis?: number) => Promise<A>
  readonly closed: Promise<unknown>
  readonly stop: () => Promise<void>
}

const alive = new Set<ChildProcess>()

const kill = (child: ChildProcess, signal: NodeJS.Signals = "SIGKILL") => {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill(signal)
}

process.on("exit", () => {
  for (const child of alive) kill(child)
})
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1]
] as const) {
  process.on(signal, () => process.exit(128 + number))
}

export interface Command {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly core?: number | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Whether it hears questions, and ends when nobody can ask any more. A program that does not, ends when its input does. */
  readonly ipc?: boolean | undefined
  /** How it is asked to end: `SIGTERM` where it has processes of its own. */
  readonly signal?: NodeJS.Signals | undefined
}

export const start = ({ args, core, env = {}, ipc = false, program, signal }: Command): Started => {
  const pinned = core !== undefined && canPin ? ["taskset", "-c", String(core), program] : [program]
  const child = spawn(pinned[0]!, [...pinned.slice(1), ...args], {
    stdio: ["pipe", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
    env: { ...process.env, ...env }
  })
  alive.add(child)
  let out = ""
  let wrong = ""
  child.stdin!.on("error", () => {})
  child.stdout!.setEncoding("utf8").on("data", (text: string) => (out = (out + text).slice(-65_536)))
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (wrong = (wrong + text).slice(0, 65_536)))
  const closed = new Promise((resolve) => {
    child.once("error", (error) => {
      wrong += error.message
      resolve(error)
    })
    // Not `exit`: by then everything it printed has arrived.
    child.once("close", resolve)
  })
  void closed.then(() => alive.delete(child))

  const wait = <A>(what: string, millis: number, listen: (answer: (value: A) => void) => () => void): Promise<A> =>
    new Promise<A>((resolve, reject) => {
      let over = false
      const end = () => {
        over = true
        clearTimeout(timer)
        stop()
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`${what}: nothing within ${millis / 1000} s. ${said(wrong)}`))
      }, millis)
      const stop = listen((value) => {
        end()
        resolve(value)
      })
      void closed.then(() => {
        if (over) return
        end()
        reject(new Error(`it ended: ${said(wrong) || `status ${child.exitCode ?? child.signalCode}`}`))
      })
    })

  return {
    pid: child.pid ?? 0,
    closed,
    prints: (pattern) =>
      wait<string>(String(pattern), patience, (answer) => {
        const look = () => {
          const match = pattern.exec(out)
          if (match !== null) answer(match[1] ?? match[0])
        }
        child.stdout!.on("data", look)
        queueMicrotask(look)
        return () => child.stdout!.off("data", look)
      }),
    ask: (question, millis = patience) =>
      wait("an answer", millis, (answer) => {
        const onMessage = (message: unknown) => answer(message as never)
        child.once("message", onMessage)
        if (child.connected) child.send(question)
        return () => child.off("message", onMessage)
      }),
    stop: async () => {
      kill(child, signal)
      const late = setTimeout(() => kill(child), 5_000)
      await closed
      clearTimeout(late)
    }
  }
}

/** Runs a command to its end; its output, or why it failed. */
export const run = async (command: Command): Promise<string> => {
  const child = spawn(command.program, command.args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...command.env }
  })
  alive.add(child)
  let out = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (out += text))
  try {
    const [status] = (await once(child, "close")) as [number | null]
    if (status !== 0) throw new Error(`${command.program} ${command.args.join(" ")}: ${out.slice(-2_000)}`)
    return out
  } finally {
    alive.delete(child)
  }
}

const said = (text: string): string => {
  const lines = text.split("\n").map((line) => line.trim())
  const error =
    lines.find((line) => /error/i.test(line) && !line.startsWith("at ")) ?? lines.find((line) => line !== "")
  return (error ?? "").replaceAll(root, "").slice(0, 300)
}

const root = new URL("../../../", import.meta.url).pathname
