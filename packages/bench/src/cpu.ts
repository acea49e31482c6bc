/**
 * CPU time of processes, of all their threads and also of those that have ended, to the nanosecond and as of now.
 * `/proc` would be late by a tick. Linux only, as all of the benchmark.
 */
import koffi from "koffi"
import { readFileSync } from "node:fs"

const clockGettime = koffi.load(null).func("int clock_gettime(int, void *)")
const time = new BigInt64Array(2)

/** Seconds of CPU of a process; 0 once it is gone. */
export const cpuOf = (pid: number): number => {
  // The kernel's number of the clock of another process, as `clock_getcpuclockid` makes it.
  if (clockGettime((~pid << 3) | 2, time) !== 0) return 0
  return Number(time[0]) + Number(time[1]) / 1e9
}

export const cpuOfAll = (pids: ReadonlyArray<number>): number => pids.reduce((sum, pid) => sum + cpuOf(pid), 0)

/** Seconds that all cores spent in any program, in the system, or stolen by other machines. */
export const machineBusy = (): number => {
  const [, user, nice, system, , , irq, soft, steal] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]!
    .split(/\s+/)
  return [user, nice, system, irq, soft, steal].reduce((sum, ticks) => sum + Number(ticks), 0) / 100
}

/** A process and those that it started, as they are now. */
export const family = (pid: number): ReadonlyArray<number> => {
  const children = () => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").map(Number)
    } catch {
      return []
    }
  }
  return [
    pid,
    ...children()
      .filter((child) => child > 0)
      .flatMap(family)
  ]
}

/** Seconds of CPU of this process and of all that it has started, ended ones included, to a hundredth. */
export const ownCpu = (): number =>
  family(process.pid).reduce((sum, pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return sum + [11, 12, 13, 14].reduce((ticks, field) => ticks + Number(fields[field]), 0) / 100
    } catch {
      return sum
    }
  }, 0)
