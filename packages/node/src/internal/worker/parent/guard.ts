/** For every process that must not outlive this one: workers, and copies of the program. */
import { type ChildProcess, spawn } from "node:child_process"

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

const watched = new Set<number>()
let shell: ChildProcess | undefined

/** From now on a process ends with this one. */
export const watch = (pid: number): void => {
  watched.add(pid)
  if (shell === undefined) begin()
  else tell(`+ ${pid}\n`)
}

/** A process has ended. */
export const forget = (pid: number): void => {
  if (!watched.delete(pid)) return
  if (watched.size > 0) return tell(`- ${pid}\n`)
  const { stdin } = shell ?? {}
  shell = undefined
  stdin?.end(`- ${pid}\n`)
}

const begin = (): void => {
  // There is no such shell on Windows, where a busy worker ends when it is no longer busy.
  if (process.platform === "win32") return
  const child = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true })
  child.on("error", () => {})
  const again = () => {
    if (shell === undefined && watched.size > 0) begin()
  }
  if (child.pid === undefined) return void setTimeout(again, 100).unref()
  shell = child
  child.stdin.on("error", () => {})
  child.once("exit", () => {
    if (shell !== child) return
    // Somebody has killed it.
    shell = undefined
    setTimeout(again, 100).unref()
  })
  child.unref()
  unref(child.stdin)
  tell([...watched].map((pid) => `+ ${pid}\n`).join(""))
}

const tell = (line: string): void => void shell?.stdin?.write(line)

const unref = (stream: object): void => (stream as { readonly unref?: () => void }).unref?.()
