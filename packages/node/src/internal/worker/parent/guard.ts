/** For every process that must not outlive this one: workers, and copies of the program. */
import * as Result from "effect/Result"
import { type ChildProcess, spawn } from "node:child_process"
import { platformTick } from "../channel/platformTick.ts"
import { Backoff, longestDelay } from "./backoff.ts"

/**
 * Kills what this program has started when this program has died, however that
 * was: a worker that is busy does not notice that its channel has closed.
 *
 * It is one shell for the whole program, which waits for the end of a pipe. A
 * thread in every worker that did the same would be a third of a worker's start.
 */
const script = `trap '' HUP INT TERM
pids=' '
while read -r op pid; do
  case $op in
    +) pids="$pids$pid " ;;
    -) case $pids in *" $pid "*) pids="\${pids%% $pid *} \${pids#* $pid }" ;; esac ;;
  esac
done
kill -9 $pids 2>/dev/null`

/** The same where there is no shell, as in an image that has nothing but Node: at ten times the memory, and no other cost. */
const program = `for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) process.on(signal, () => {})
const pids = new Set()
let rest = ""
process.stdin.setEncoding("utf8").on("data", (text) => {
  const lines = (rest + text).split("\\n")
  rest = lines.pop()
  for (const line of lines) line[0] === "+" ? pids.add(Number(line.slice(2))) : pids.delete(Number(line.slice(2)))
}).on("close", () => {
  for (const pid of pids) try { process.kill(pid, "SIGKILL") } catch {}
  process.exit()
})`

const guards: ReadonlyArray<readonly [command: string, args: ReadonlyArray<string>]> = [
  ["/bin/sh", ["-c", script]],
  [process.execPath, ["--max-old-space-size=16", "-e", program]]
]

const watched = new Set<number>()
let guard: ChildProcess | undefined
/** Which of them is taken: the next one where the one before cannot be had. */
let chosen = 0
const backoff = new Backoff(platformTick)

/** From now on a process ends with this one. */
export const watch = (pid: number): void => {
  watched.add(pid)
  if (guard !== undefined) tell(`+ ${pid}\n`)
  else if (!backoff.isPaused) begin()
}

/** A process has ended. */
export const forget = (pid: number): void => {
  if (!watched.delete(pid)) return
  if (watched.size > 0) return tell(`- ${pid}\n`)
  backoff.stop()
  const { stdin } = guard ?? {}
  guard = undefined
  stdin?.end(`- ${pid}\n`)
}

const begin = (): void => {
  // There is no such shell on Windows, where a busy worker ends when it is no longer busy.
  if (process.platform === "win32") return
  const [command, args] = guards[chosen] as (typeof guards)[number]
  const startedAt = performance.now()
  // What the system refuses for want of memory is thrown, other than what it refuses for want of processes.
  const child = Result.getOrUndefined(
    Result.try(() =>
      spawn(command, args, {
        stdio: ["pipe", "ignore", "ignore"],
        detached: true,
        env: { ...process.env, NODE_OPTIONS: "" }
      })
    )
  )
  child?.on("error", noop)
  const again = () => {
    if (guard === undefined && watched.size > 0) begin()
  }
  if (child?.pid === undefined) {
    chosen = (chosen + 1) % guards.length
    // When none can be had, the system has no processes left.
    if (chosen === 0) backoff.failed(undefined, true, again)
    else begin()
    return
  }
  guard = child
  child.stdin.on("error", noop)
  child.once("exit", (code) => {
    if (guard !== child) return
    guard = undefined
    if (performance.now() - startedAt > longestDelay) backoff.isWell()
    // One that ends by itself will do so again; another one was killed by somebody.
    if (code !== null) chosen = (chosen + 1) % guards.length
    backoff.failed(undefined, true, again)
  })
  child.unref()
  unref(child.stdin)
  tell([...watched].map((pid) => `+ ${pid}\n`).join(""))
}

const tell = (line: string): void => void guard?.stdin?.write(line)

const unref = (stream: object): void => (stream as { readonly unref?: () => void }).unref?.()

const noop = () => {}
